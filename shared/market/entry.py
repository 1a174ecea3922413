"""The index entry of one symbol's candles: which parts they are in, and what was found about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from shared.market.candles import rfc3339, seconds_since_1970
from shared.market.findings import POLICIES, Finding, Kind, Policy

MOST_STAMPS = 1_000
"""How many timestamps per kind of finding are remembered, the newest: as a count it means "at least"."""

Stamps: TypeAlias = Mapping[Kind, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet blob. `first` and `last` are timestamps, as everywhere here in seconds since 1970."""

    name: str
    sha256: str
    rows: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored of a symbol.

    `generation` grows when the upstream changed history and all was replaced. `since` is the earliest start
    ever asked for; None means from the beginning. `findings` has the timestamps each kind was found at,
    `breaks` those at which prices change their basis.
    """

    symbol: str
    timeframe: str
    generation: int
    since: int | None
    parts: tuple[Part, ...]
    findings: Stamps
    breaks: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def first(self) -> int | None:
        return min((part.first for part in self.parts), default=None)

    @property
    def last(self) -> int | None:
        return max((part.last for part in self.parts), default=None)

    def findings_summary(self) -> list[dict[str, Any]]:
        """The findings for people and JSON: name, policy, count, first, last."""
        return [
            {
                "name": kind.value,
                "policy": POLICIES[kind].value,
                "count": len(stamps),
                "first": rfc3339(stamps[0]),
                "last": rfc3339(stamps[-1]),
            }
            for kind, stamps in self.findings.items()
        ]

    def to_data(self) -> dict[str, Any]:
        """As a document: times in RFC 3339."""
        return {
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "generation": self.generation,
            "since": None if self.since is None else rfc3339(self.since),
            "rows": self.rows,
            "first": None if self.first is None else rfc3339(self.first),
            "last": None if self.last is None else rfc3339(self.last),
            "parts": [_part_to_data(part) for part in self.parts],
            "findings": {kind.value: to_texts(stamps) for kind, stamps in self.findings.items()},
            "breaks": to_texts(self.breaks),
        }

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Entry:
        return Entry(
            symbol=data["symbol"],
            timeframe=data["timeframe"],
            generation=data["generation"],
            since=None if data["since"] is None else seconds_since_1970(data["since"]),
            parts=tuple(_part_from_data(part) for part in data["parts"]),
            findings={Kind(name): from_texts(texts) for name, texts in data["findings"].items()},
            breaks=from_texts(data["breaks"]),
        )


def lasting(findings: Iterable[Finding]) -> Stamps:
    """The timestamps of what stays true: not that a candle was still open, nor what is accepted."""
    return {
        finding.kind: _newest(finding.timestamp.tolist())
        for finding in findings
        if finding.policy is not Policy.ACCEPT and finding.kind is not Kind.UNCLOSED_CANDLE
    }


def united(first: Stamps, second: Stamps) -> Stamps:
    """Both, each timestamp once; in whatever order they come, the result is the same."""
    kinds = [kind for kind in Kind if kind in first or kind in second]
    return {kind: _newest((*first.get(kind, ()), *second.get(kind, ()))) for kind in kinds}


def to_texts(stamps: Iterable[int]) -> list[str]:
    return [rfc3339(stamp) for stamp in stamps]


def from_texts(texts: Iterable[str]) -> tuple[int, ...]:
    return tuple(seconds_since_1970(text) for text in texts)


def _newest(stamps: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(stamps))[-MOST_STAMPS:])


def _part_to_data(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "sha256": part.sha256,
        "rows": part.rows,
        "first": rfc3339(part.first),
        "last": rfc3339(part.last),
    }


def _part_from_data(data: Mapping[str, Any]) -> Part:
    first, last = seconds_since_1970(data["first"]), seconds_since_1970(data["last"])
    return Part(data["name"], data["sha256"], data["rows"], first, last)
