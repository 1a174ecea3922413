"""The week that a summary is about, and how what is read page by page is read over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Final, TypeVar

from shared.instance import Instance
from shared.monitoring.reports.periods import bounds
from shared.platform.ports import Document

T = TypeVar("T")

DAYS: Final = 7
MAX_PREDICTIONS: Final = 100_000
"""Of a week, so many of the newest predictions are read one by one."""

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Week:
    """From `begin` to `end`, which isn't part of it; `now` is when it is looked at, maybe before its end."""

    period: str
    begin: datetime
    end: datetime
    now: datetime
    is_replay: bool = False

    @staticmethod
    def of(period: str, now: datetime, *, is_replay: bool = False) -> Week:
        """
        Raises:
            InvalidInput: not a week.
        """
        return Week(period, *bounds(period), now, is_replay)

    @property
    def words(self) -> str:
        last = self.end - timedelta(days=1)
        until = ", which isn't over yet" if self.now < self.end else ""
        until += ", in a replay of history" if self.is_replay else ""
        return f"Week {self.period}: {self.begin:%Y-%m-%d} to {last:%Y-%m-%d} (UTC){until}"

    @property
    def days(self) -> Sequence[date]:
        return [(self.begin + timedelta(days=day)).date() for day in range(DAYS)]

    def has(self, moment: datetime) -> bool:
        return self.begin <= moment < self.end


@dataclass(frozen=True)
class Source:
    """What sections are made from."""

    instance: Instance
    week: Week

    @cached_property
    def predictions(self) -> Predictions:
        return _counted(self.instance, self.week)


@dataclass(frozen=True, slots=True)
class Predictions:
    """How many predictions were audited, by day ("2026-02-09"), model and signal. `is_cut`: of more."""

    days: Mapping[str, int]
    models: Mapping[str, int]
    signals: Mapping[str, int]
    is_cut: bool

    @property
    def total(self) -> int:
        return sum(self.days.values())


def pages(read: Callable[[str | None], tuple[Sequence[T], str | None]]) -> Iterator[T]:
    """What `read` gives for one cursor after the other, until there is none."""
    cursor: str | None = None
    while True:
        found, cursor = read(cursor)
        yield from found
        if cursor is None:
            return


def _counted(instance: Instance, week: Week) -> Predictions:
    def read(cursor: str | None) -> tuple[Sequence[Document], str | None]:
        page = instance.audit.records(
            symbol=None, model_id=None, since=week.begin, until=week.end, limit=_PAGE, cursor=cursor
        )
        return page.documents, page.cursor

    days, models, signals = Counter[str](), Counter[str](), Counter[str]()
    for document in islice(pages(read), MAX_PREDICTIONS):
        days[str(document.data["made_at"])[:10]] += 1
        models[str(document.data["model_id"])] += 1
        signals[str(document.data.get("signal") or document.data.get("label"))] += 1
    return Predictions(days, models, signals, is_cut=days.total() == MAX_PREDICTIONS)
