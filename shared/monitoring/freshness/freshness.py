"""Everything whose age is watched, in one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.monitoring.drift.checks import DriftChecks
from shared.monitoring.freshness.candles import CandleAges
from shared.monitoring.freshness.subjects import Subject, SubjectKind, Verdict, aged, span, verdict_of
from shared.platform.ports import Now
from shared.platform.times import utc
from shared.registry import Registry
from shared.registry.promotions import Active


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessPage:
    """Models and checks of drift (on the first page), then symbols, the longest overdue first. `verdict` is
    the worst of all that was asked for, on whatever page. `cursor` asks for more symbols.
    """

    verdict: Verdict
    checked_at: str
    timeframe: str
    calendar: str
    subjects: tuple[Subject, ...]
    cursor: str | None


class Freshness:
    """Answers how fresh things are; reads only."""

    def __init__(
        self,
        candles: CandleAges,
        registry: Registry,
        drift_checks: DriftChecks,
        *,
        model_age: timedelta,
        drift_check_age: timedelta,
        now: Now,
    ) -> None:
        """The ages are the largest that are borne."""
        self.candles = candles
        self._registry = registry
        self._drift_checks = drift_checks
        self._model_age = model_age
        self._drift_check_age = drift_check_age
        self._now = now

    def page(self, *, is_all: bool = False, limit: int, cursor: str | None = None) -> FreshnessPage:
        """What is watched: of the symbols the overdue ones, or with `is_all` all of them.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        named = (*self.models(), *self.drift_checks())
        symbols, following = self.candles.page(is_all=is_all, limit=limit, cursor=cursor)
        verdicts = [self.candles.verdict(), *(one.verdict for one in named)]
        subjects = (*(named if cursor is None else ()), *symbols)
        return self._answer(verdicts, subjects, following)

    def of_symbol(self, symbol: str) -> FreshnessPage:
        """The candles of one symbol.

        Raises:
            NotFound: none are stored.
        """
        found = self.candles.of(symbol)
        return self._answer([found.verdict], (found,), None)

    def models(self) -> Sequence[Subject]:
        """The live version of each model, by when it was registered: a rollback makes nothing younger."""
        return [self._model(active) for active in self._live()]

    def drift_checks(self) -> Sequence[Subject]:
        """The last check of each live model; one that was never checked may wait as long from its start."""
        return [self._drift_check(active) for active in self._live()]

    def _live(self) -> Sequence[Active]:
        found = (self._registry.active(name) for name in self._registry.names())
        return [active for active in found if active is not None]

    def _model(self, active: Active) -> Subject:
        trained_at = self._registry.get(active.version_id).created_at
        kind, limit = SubjectKind.MODEL, self._model_age
        return aged(active.version_id, kind, trained_at, self._now(), limit, "trained")

    def _drift_check(self, active: Active) -> Subject:
        kind, now, limit = SubjectKind.DRIFT_CHECK, self._now(), self._drift_check_age
        newest = self._drift_checks.newest(active.name)
        if newest is not None:
            return aged(active.name, kind, datetime.fromisoformat(newest.checked_at), now, limit, "checked")
        waiting = now - active.last.at
        return Subject(
            subject=active.name,
            kind=kind,
            at=None,
            age_seconds=None,
            expected_at=utc(active.last.at + limit),
            missed_sessions=None,
            verdict=verdict_of(waiting, limit),
            why=f"never checked, and live for {span(waiting)}, at most {span(limit)} are borne",
        )

    def _answer(
        self, verdicts: Sequence[Verdict], subjects: tuple[Subject, ...], cursor: str | None
    ) -> FreshnessPage:
        return FreshnessPage(
            verdict=max(verdicts, key=lambda one: one.badness),
            checked_at=utc(self._now()),
            timeframe=self.candles.timeframe,
            calendar=self.candles.calendar.name,
            subjects=subjects,
            cursor=cursor,
        )
