"""Lists that fit their terminal: columns that matter less are left out where there is no room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

_GAP = 2
_EDGES = 2


@dataclass(frozen=True, slots=True)
class Column:
    """`rank` 0 is always shown; of the others the highest go first. With `least` it may be that narrow."""

    title: str | Text
    rank: int = 0
    least: int | None = None
    style: str = ""
    justify: JustifyMethod = "left"


class Listing:
    """Rows below a line of titles."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> None:
        self._columns = columns
        self._rows = list(rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._shown(options.max_width)
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for place in shown:
            column = self._columns[place]
            is_rigid = column.least is None
            table.add_column(
                column.title,
                style=column.style,
                justify=column.justify,
                no_wrap=is_rigid,
                overflow="fold",
                min_width=None if is_rigid else column.least,
            )
        for row in self._rows:
            table.add_row(*(row[place] for place in shown))
        yield table

    def _shown(self, width: int) -> list[int]:
        """The places of the columns that fit."""
        for rank in sorted({column.rank for column in self._columns}, reverse=True):
            places = [place for place, column in enumerate(self._columns) if column.rank <= rank]
            if sum(self._width(place) + _GAP for place in places) - _GAP + _EDGES <= width:
                return places
        return [place for place, column in enumerate(self._columns) if column.rank == 0]

    def _width(self, place: int) -> int:
        column = self._columns[place]
        if column.least is not None:
            return max(column.least, _length(column.title))
        return max(map(_length, self._cells(place)))

    def _cells(self, place: int) -> Iterator[str | Text]:
        yield self._columns[place].title
        yield from (row[place] for row in self._rows)


def _length(cell: str | Text) -> int:
    return cell_len(cell if isinstance(cell, str) else cell.plain)
