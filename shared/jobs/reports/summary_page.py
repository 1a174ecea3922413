"""A summary as a page, and as the body of a mail: text, and simple HTML that mail readers understand."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from html import escape
from typing import Final

from shared.jobs.reports.document import Bars, Section, State, Summary, Table
from shared.jobs.reports.html import Html, badge, bullets, page, section, table
from shared.training.figures import SERIES_VARIABLES

_WIDTH: Final = 78
_BAR: Final = 30
_ROW_HEIGHT: Final = 22
_LETTER: Final = 8
_GAP: Final = 10
_LONGEST: Final = 420
"""Of the bars, in pixels; letters are at most about so wide."""


def render(summary: Summary) -> str:
    """The page; it needs nothing else."""
    badges = [badge(summary.period, "plain"), *_badges(summary)]
    return page(
        "Weekly summary",
        summary.title,
        badges,
        summary.conclusion,
        [*map(_shown, summary.sections), Html(f"<section><p>{escape(_made(summary))}</p></section>")],
    )


def as_mail(summary: Summary) -> str:
    """The same as simple HTML, without style sheet and drawings."""
    parts = [f"<h2>{escape(summary.title)}</h2>", bullets(_headlines(summary)).markup]
    for part in summary.sections:
        parts.append(f"<h3>{escape(part.title)}</h3>")
        parts += [f"<p>{escape(words)}</p>" for words in (part.headline, *part.said)]
        parts += [_mail_table(shown) for shown in (*map(_table_of, part.bars), *part.tables)]
    parts.append(f"<p>{escape(_made(summary))}</p>")
    return f'<!doctype html><html lang="en"><body>{"".join(parts)}</body></html>\n'


def as_text(summary: Summary) -> str:
    """The same as plain text, 78 columns wide where tables allow."""
    lines = [summary.title, "=" * len(summary.title), "", summary.period, ""]
    lines += [_wrapped(headline, "- ", "  ") for headline in _headlines(summary)]
    for part in summary.sections:
        lines += ["", part.title, "-" * len(part.title)]
        lines += [_wrapped(words) for words in (part.headline, *part.said)]
        lines += [line for bars in part.bars for line in _text_bars(bars)]
        lines += [line for shown in part.tables for line in _text_table(shown)]
    return "\n".join([*lines, "", _wrapped(_made(summary))]) + "\n"


def _headlines(summary: Summary) -> Iterator[str]:
    for part in summary.sections:
        yield f"{'! ' if part.needs_attention else ''}{part.headline}"


def _made(summary: Summary) -> str:
    return (
        f"Made at {summary.made_at[:16].replace('T', ' ')} UTC. 'mlengine reports open {summary.report_id}' "
        f"shows it as a page; GET /reports/{summary.report_id} is the same."
    )


def _badges(summary: Summary) -> Iterator[Html]:
    attention = sum(part.needs_attention for part in summary.sections)
    failed = sum(part.state is State.FAILED for part in summary.sections)
    if attention:
        yield badge(f"{attention} to look at", "bad")
    if failed:
        yield badge(f"{failed} couldn't be told", "warn")
    if not attention and not failed:
        yield badge("nothing to look at", "good")


def _shown(part: Section) -> Html:
    said = bullets(part.said) if part.said else Html("")
    drawn = [Html(_drawn(bars)) for bars in part.bars]
    tables = [table(one.caption, one.head, one.rows, left=one.left) for one in part.tables]
    title = part.title if part.state is not State.FAILED else f"{part.title}: couldn't be told"
    return section(title, part.headline, said, *drawn, *tables)


def _drawn(bars: Bars) -> str:
    """Horizontal bars with their amounts beside them, as text: who can't see reads the same."""
    most = max((amount for _, amount in bars.values), default=0.0) or 1.0
    left = _LETTER * max((len(name) for name, _ in bars.values), default=0) + _GAP
    rows = []
    for place, (name, amount) in enumerate(bars.values):
        y, width = place * _ROW_HEIGHT, _LONGEST * amount / most
        middle = f'y="{y + 15}" font-size="13"'
        rows.append(
            f'<text x="0" {middle} fill="var(--muted)">{escape(name)}</text>'
            f'<rect x="{left}" y="{y + 3}" width="{width:.1f}" height="15" fill="{SERIES_VARIABLES[0]}"/>'
            f'<text x="{left + width + _GAP:.1f}" {middle} fill="var(--ink)">{amount:,.0f}</text>'
        )
    box = f'viewBox="0 0 {left + _LONGEST + 90} {_ROW_HEIGHT * len(bars.values)}"'
    svg = f'<svg role="img" aria-label="{escape(bars.caption)}" {box}>{"".join(rows)}</svg>'
    return f'<figure class="bars"><figcaption>{escape(bars.caption)}</figcaption>{svg}</figure>'


def _table_of(bars: Bars) -> Table:
    return Table(bars.caption, ("", ""), tuple((name, f"{amount:,.0f}") for name, amount in bars.values))


def _mail_table(shown: Table) -> str:
    def cells(tag: str, row: tuple[str, ...]) -> str:
        sides = ("left" if place in shown.left else "right" for place in range(len(row)))
        made = (
            f'<{tag} align="{side}">{escape(cell)}</{tag}>' for side, cell in zip(sides, row, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    rows = [cells("th", shown.head), *(cells("td", row) for row in shown.rows)]
    return f'<p>{escape(shown.caption)}</p><table border="0" cellpadding="4">{"".join(rows)}</table>'


def _wrapped(words: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(words, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _text_bars(bars: Bars) -> Iterator[str]:
    most = max((amount for _, amount in bars.values), default=0.0) or 1.0
    width = max((len(name) for name, _ in bars.values), default=0)
    yield from ("", f"{bars.caption}:")
    for name, amount in bars.values:
        yield f"  {name:<{width}}  {'#' * round(_BAR * amount / most):<{_BAR}} {amount:,.0f}".rstrip()


def _text_table(shown: Table) -> Iterator[str]:
    lines = [shown.head, *shown.rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(shown.head))]
    yield from ("", f"{shown.caption}:")
    for line in lines:
        cells = (
            cell.ljust(width) if place in shown.left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()
