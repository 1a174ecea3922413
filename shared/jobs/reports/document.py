"""What a summary says, apart from how it is shown: sections of sentences, tables and bars.

It is kept as JSON before anything is made of it, so that the page, the PDF and the mail say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """`failed`: its source failed, with the reason. `empty`: there was nothing to tell."""

    TOLD = "told"
    EMPTY = "empty"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Table:
    """`left` are the columns that hold words; the others hold numbers. Rows are as wide as the head."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Bars:
    """Amounts by name, in their order."""

    caption: str
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """`headline` is its conclusion in a few words, for the beginning of the summary."""

    title: str
    headline: str
    state: State = State.TOLD
    needs_attention: bool = False
    said: tuple[str, ...] = ()
    bars: tuple[Bars, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """`made_at` is RFC 3339 text in UTC; `period` says in words what it is about."""

    report_id: str
    title: str
    period: str
    made_at: str
    sections: tuple[Section, ...]

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def conclusion(self) -> str:
        """The headlines, those that need attention first."""
        ordered = sorted(self.sections, key=lambda section: not section.needs_attention)
        return " ".join(section.headline for section in ordered)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Summary:
        """What `json` gave."""
        return Summary(**{**data, "sections": tuple(map(_section, data["sections"]))})


def _section(data: Mapping[str, Any]) -> Section:
    changed = {
        "state": State(data["state"]),
        "said": tuple(data["said"]),
        "bars": tuple(Bars(one["caption"], _pairs(one["values"])) for one in data["bars"]),
        "tables": tuple(map(_table, data["tables"])),
    }
    return Section(**{**data, **changed})


def _table(data: Mapping[str, Any]) -> Table:
    rows = tuple(tuple(row) for row in data["rows"])
    return Table(data["caption"], tuple(data["head"]), rows, tuple(data["left"]))


def _pairs(values: Any) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(amount)) for name, amount in values)
