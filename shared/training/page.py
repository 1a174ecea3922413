"""The training report of every kind of problem: one HTML file that needs nothing else, and its parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final, Protocol

from shared.evaluation.bootstrap import Estimate
from shared.training.figures import style
from shared.training.gates import GateResult

_TEMPLATE: Final = Path(__file__).with_name("report.html")


class Measured(Protocol):
    """What has a name and metrics."""

    @property
    def name(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, Estimate]: ...


def report(
    *,
    title: str,
    badges: Iterable[str],
    conclusion: str,
    warnings: Iterable[str],
    sections: Iterable[str],
    facts: Mapping[str, str],
) -> str:
    """The whole page. Holds no time of its own and no random id; `badges` and `sections` are HTML."""
    return Template(_TEMPLATE.read_text("utf-8")).substitute(
        style=style(),
        title=escape(title),
        badges="".join(badges),
        conclusion=escape(conclusion),
        warnings=_warnings_list(warnings),
        sections="\n".join(sections),
        facts="".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v),
    )


def section(title: str, words: str, content: str = "") -> str:
    """A heading, what there is to say, and a table or a plot."""
    return f"<section><h2>{escape(title)}</h2><p>{escape(words)}</p>{content}</section>"


def side_by_side(sections: Iterable[str]) -> str:
    """Sections in columns where the page is wide enough."""
    return '<div class="pair">' + "\n".join(sections) + "</div>"


def plain_badge(words: str) -> str:
    """One that is neither good nor bad."""
    return f'<span class="badge plain">{escape(words)}</span>'


def badge(words: str, good: bool) -> str:
    return f'<span class="badge {"good" if good else "bad"}">{escape(words)}</span>'


def gates_badge(gates: Sequence[GateResult]) -> str:
    passed = sum(gate.passed for gate in gates)
    return badge(f"{passed} of {len(gates)} gates passed", passed == len(gates))


def leak_badge(leak: str) -> str:
    return badge("leak suspected" if leak else "no leak suspected", not leak)


def _warnings_list(warnings: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(words)}</li>" for words in warnings)
    return f'<ul class="warnings">{items}</ul>' if items else ""


def metrics_table(
    models: Sequence[Measured], naive: Sequence[Measured], chosen: str, titles: Mapping[str, str]
) -> str:
    """Models and baselines with their metrics, in the order of `titles`; `chosen` is marked."""
    head = "<tr><th></th>" + "".join(f"<th>{escape(title)}</th>" for title in titles.values()) + "</tr>"
    rows = [_metrics_row(m, "chosen" if m.name == chosen else "model", titles) for m in models]
    rows += [_metrics_row(b, "naive", titles) for b in naive]
    return table(head, rows)


def _metrics_row(measured: Measured, kind: str, titles: Mapping[str, str]) -> str:
    cells = "".join(f"<td>{_cell(measured.metrics.get(name))}</td>" for name in titles)
    return f'<tr class="{kind}"><td>{escape(measured.name.replace("_", " "))}</td>{cells}</tr>'


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "–"  # noqa: RUF001 - an en dash is meant
    interval = "" if math.isnan(estimate.low) else f"<small>{estimate.low:.4f} to {estimate.high:.4f}</small>"
    return f"{estimate.value:.4f}{interval}"


def gates_table(gates: Iterable[GateResult]) -> str:
    head = '<tr><th>Gate</th><th></th><th class="words">Why</th></tr>'
    rows = (
        f"<tr><td>{escape(gate.name.replace('_', ' '))}</td>"
        f"<td>{badge('passed' if gate.passed else 'failed', gate.passed)}</td>"
        f'<td class="words">{escape(gate.why)}</td></tr>'
        for gate in gates
    )
    return table(head, rows)


def table(head: str, rows: Iterable[str]) -> str:
    """A table that scrolls by itself where it is wider than the page."""
    return f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'
