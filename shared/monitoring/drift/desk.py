"""A check of drift from the request to the record, the alert and the request for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.drift import Profile, Verdict
from shared.errors import EngineError, InvalidInput, NoActiveModel
from shared.logs import LOGGER
from shared.market.store import CandleStore
from shared.monitoring.audit import Audit
from shared.monitoring.drift.announcing import Announcer
from shared.monitoring.drift.checks import DriftChecks
from shared.monitoring.drift.judging import Judge, WindowResult, unjudged
from shared.monitoring.drift.record import DriftCheck, is_version_id
from shared.monitoring.drift.windows import ROWS, SESSIONS, Rows, market_rows, tabular_rows
from shared.platform.names import key
from shared.platform.ports import Event, NewId, Now
from shared.platform.times import utc
from shared.registry import Manifest, Package, Registry, Version
from shared.registry.package import PROFILE

MAX_PROBLEMS: Final = 20
"""Why symbols gave no rows: a record keeps so many reasons."""


@dataclass(frozen=True, slots=True)
class DriftRules:
    """`level` is the share of false alarms to accept per length of window, over all families together;
    `min_effect` what a move must be at least, in standard deviations of the reference."""

    level: float = 0.05
    min_effect: float = 0.1


@dataclass(frozen=True, slots=True)
class DriftDesk:
    """A check is kept before anybody is told of it; what is told has ids made of the check's, so that
    telling it again is the same event.
    """

    registry: Registry
    candles: CandleStore
    audit: Audit
    checks: DriftChecks
    announcer: Announcer
    now: Now
    new_id: NewId
    rules: DriftRules

    def check(self, model: str) -> DriftCheck:
        """Check a model by its name, or a version by its id, now.

        Raises:
            NoActiveModel, NotFound: the model isn't there.
            PackageRefused: its bytes aren't those that were registered.
        """
        return self._checked(model, self.new_id())

    def handle(self, event: Event, model: str | None) -> Sequence[DriftCheck]:
        """Do the check that `event` asks for, of all live models where it names none; once, however often it
        comes. Each model is checked as if alone.

        Raises:
            as `check`: the first error, once all models had their turn.
        """
        models = [model] if model is not None else sorted(self.registry.names())
        if not models:
            LOGGER.info("no model is live: no drift to look for", extra={"facts": {"event_id": event.id}})
        checks: list[DriftCheck] = []
        errors: list[EngineError] = []
        for name in models:
            try:
                checks.append(self._checked(name, key("drift", event.source, event.id, name)))
            except EngineError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return checks

    def _checked(self, model: str, check_id: str) -> DriftCheck:
        check = self.checks.find(check_id) or self.checks.add(self._made(model, check_id))
        if not self.checks.is_announced(check_id):
            self.announcer.announce(check)
            self.checks.announced(check_id)
        return check

    def _made(self, model: str, check_id: str) -> DriftCheck:
        version, is_live = self._version(model)
        package = self.registry.open_package(version.id)
        blank = self._blank(package.manifest, version, is_live, check_id)
        lengths = ROWS if blank.unit == "rows" else SESSIONS
        try:
            rows = self._rows(package.manifest, version.id)
            results = self._results(package, rows, lengths)
        except InvalidInput as error:
            nothing = [unjudged(length, error.detail, level=self.rules.level) for length in lengths]
            return replace(blank, why=error.detail, windows=[result.json() for result in nothing])
        return _filled(blank, rows, results)

    def _version(self, model: str) -> tuple[Version, bool]:
        """The version that is meant, and whether it is live."""
        if is_version_id(model):
            version = self.registry.get(model)
            active = self.registry.active(version.name)
            return version, active is not None and active.version_id == version.id
        active = self.registry.active(model)
        if active is None:
            raise NoActiveModel(
                f"No model is active for {model!r}. Train one with 'mlengine train' (POST /admin/train), "
                "then activate it with 'mlengine activate'; or name a version."
            )
        return self.registry.get(active.version_id), True

    def _blank(self, manifest: Manifest, version: Version, is_live: bool, check_id: str) -> DriftCheck:
        """A check before its rows were looked at."""
        is_market = manifest.kind == "market"
        return DriftCheck(
            check_id=check_id,
            model=version.name,
            model_id=version.id,
            unit="sessions" if is_market else "rows",
            is_live=is_live,
            checked_at=utc(self.now()),
            verdict=Verdict.INSUFFICIENT_DATA.value,
            why="",
            level=self.rules.level,
            min_effect=self.rules.min_effect,
            trained_until=manifest.window.end if is_market and manifest.window else None,
            sources=len(manifest.symbols) if is_market else 0,
            without_rows=0,
            problems=(),
            windows=(),
        )

    def _rows(self, manifest: Manifest, version_id: str) -> Rows:
        if manifest.kind == "market":
            return market_rows(self.candles, manifest)
        return tabular_rows(self.audit, manifest, version_id)

    def _results(self, package: Package, rows: Rows, lengths: Sequence[int]) -> Sequence[WindowResult]:
        judge = Judge(
            package.manifest,
            Profile.from_json(package.file(PROFILE)),
            package.verified_scorer(),
            level=self.rules.level,
            min_effect=self.rules.min_effect,
        )
        return list(judge.results(rows, lengths))


def _filled(blank: DriftCheck, rows: Rows, results: Sequence[WindowResult]) -> DriftCheck:
    verdict, why = _overall(results, blank.unit)
    problems = [{"source": source, "detail": detail} for source, detail in rows.problems.items()]
    return replace(
        blank,
        verdict=verdict.value,
        why=why,
        sources=blank.sources or len(rows.x) + len(problems),
        without_rows=len(problems),
        problems=problems[:MAX_PROBLEMS],
        windows=[result.json() for result in results],
    )


def _overall(results: Sequence[WindowResult], unit: str) -> tuple[Verdict, str]:
    """Drift where any window has drifted, else ok where any could be judged."""
    drifted = [result for result in results if result.drift.verdict is Verdict.DRIFT]
    fine = [result for result in results if result.drift.verdict is Verdict.OK]
    if drifted:
        return Verdict.DRIFT, drifted[-1].drift.why
    if fine:
        lengths = ", ".join(str(result.length) for result in fine)
        return Verdict.OK, f"Nothing beyond the null over {lengths} {unit}."
    return Verdict.INSUFFICIENT_DATA, results[0].drift.why
