"""Pieces of pages: tables, badges, sections. All text that comes in is escaped here, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

from shared.training.figures import style

NOTHING: Final = "–"  # noqa: RUF001 - an en dash is meant

_COLUMN: Final = ' scope="col"'
_ROW: Final = ' scope="row"'

_MORE_STYLE: Final = """
caption { text-align: left; color: var(--muted); font-size: 13px; padding-bottom: 6px; }
th.words, td.words, th.left, td.left { text-align: left; }
tr:last-child th[scope=row] { border-bottom: 0; }
th[scope=row] { color: var(--ink); }
.warn { color: var(--warn); background: var(--warn-soft); }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px 22px; }
.grid figure { margin: 0; min-width: 0; }
figcaption { font-size: 13.5px; font-weight: 600; overflow-wrap: anywhere; }
figcaption span { color: var(--muted); font-weight: 400; }
details, .scroll + .scroll, .scroll + .grid { margin-top: 14px; }
svg + .scroll, .grid + .scroll { margin-top: 12px; }
summary { cursor: pointer; color: var(--accent); }
section ul { margin: 0; padding-left: 20px; }
a { color: var(--accent); }
section ul + .scroll, section ul + .bars { margin-top: 12px; }
.bars { margin: 0 0 12px; max-width: 640px; }
@media print { body { background: none; } section, .conclusion { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Html:
    """Markup, safe to stand in a page; text that isn't becomes it by `text`."""

    markup: str


def text(value: object) -> Html:
    return Html(escape(str(value)))


def joined(parts: Iterable[Html]) -> Html:
    return Html("".join(part.markup for part in parts))


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits, the thousands apart; a dash for nothing."""
    if value is None:
        return NOTHING
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}"
    before = math.floor(math.log10(abs(value))) + 1 if value else 1
    return f"{value:,.{max(digits - before, 0)}f}"


def counted(count: int, unit: str) -> str:
    """`1 session`, `1,000 rows`: `unit` is in the plural."""
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"


def percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f} %"


def badge(words: str, kind: Literal["good", "bad", "warn", "plain"]) -> Html:
    return Html(f'<span class="badge {kind}">{escape(words)}</span>')


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[str | Html]],
    *,
    words: Collection[int] = (),
    left: Collection[int] = (),
) -> Html:
    """The first cell of a row names it. `words` are the columns that hold sentences, `left` those that hold
    words; the others hold numbers.
    """
    kinds = ["words" if place in words else "left" if place in left else "" for place in range(len(head))]
    titles = "".join(_cell("th", title, kind, _COLUMN) for title, kind in zip(head, kinds, strict=True))
    lines = []
    for first, *rest in rows:
        cells = [_cell("td", cell, kind) for cell, kind in zip(rest, kinds[1:], strict=True)]
        lines.append(f"<tr>{_cell('th', first, 'left', _ROW)}{''.join(cells)}</tr>")
    return Html(
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def section(title: str, said: str, *parts: Html) -> Html:
    """`said` is the sentence below the title."""
    words = f"<p>{escape(said)}</p>" if said else ""
    return Html(f"<section><h2>{escape(title)}</h2>{words}{joined(parts).markup}</section>")


def figures(drawn: Iterable[tuple[str, str, str]]) -> Html:
    """A grid of small figures: each its name, what is said beside it, and its `<svg>`."""
    shown = (
        f"<figure><figcaption>{escape(name)} <span>{escape(said)}</span></figcaption>{svg}</figure>"
        for name, said, svg in drawn
    )
    return Html(f'<div class="grid">{"".join(shown)}</div>')


def folded(summary: str, inside: Html) -> Html:
    """Shown when it is asked for."""
    return Html(f"<details><summary>{escape(summary)}</summary>{inside.markup}</details>")


def bullets(items: Iterable[str]) -> Html:
    return Html(f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>")


def page(kicker: str, title: str, badges: Iterable[Html], conclusion: str, parts: Iterable[Html]) -> str:
    """A whole page that needs nothing else."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style()}{_MORE_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><p>{escape(kicker)}</p><h1>{escape(title)}</h1>"
        f'<div class="badges">{joined(badges).markup}</div></header>\n'
        f'<div class="conclusion">{escape(conclusion)}</div>\n'
        + "\n".join(part.markup for part in parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _cell(tag: str, content: str | Html, kind: str, attributes: str = "") -> str:
    markup = content.markup if isinstance(content, Html) else escape(content)
    return f"<{tag}{f' class={kind}' if kind else ''}{attributes}>{markup}</{tag}>"
