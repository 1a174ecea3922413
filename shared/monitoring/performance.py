"""Live performance: what settled predictions were worth, beside naive rules and beside the validation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.drift.profile import Profile
from shared.drift.result import Verdict
from shared.errors import FieldError, InvalidInput
from shared.evaluation.bootstrap import Estimate
from shared.market.candles import rfc3339
from shared.monitoring.measuring import Measured, measure
from shared.monitoring.outcomes import Outcomes, State
from shared.platform.ports import Now
from shared.platform.times import utc
from shared.problems.spec import LOWER_IS_BETTER
from shared.registry import Manifest, Package, Registry
from shared.registry.package import PROFILE

DEFAULT_WINDOW: Final = "90d"
MIN_ROWS: Final = 200
MIN_BLOCKS: Final = 8
"""Fewer blocks of time give an interval that is too narrow: it would cry wolf."""

MAX_OUTCOMES: Final = 50_000
"""The newest of a window; more are read by nobody, and said to be left out."""

_WINDOW = re.compile(r"([1-9][0-9]{0,3})d\Z")


@dataclass(frozen=True, slots=True)
class Validation:
    """The primary metric as it was on the hold-out, with its interval."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceReport:
    """How a version did on what it predicted about a window of time.

    `predictions` were settled; of those about the same symbol and candle the first one counts: `rows`.
    `waiting` aren't settled (counted up to 1,000), `unsettleable` never will be. `measured` is None without
    rows. `primary` is the metric that the verdict goes by.
    """

    model_id: str
    window: str
    start: str | None
    measured_at: str
    predictions: int
    waiting: int
    unsettleable: int
    is_truncated: bool
    primary: str
    validation: Validation | None
    measured: Measured | None
    verdict: Verdict
    why: str

    @property
    def live(self) -> Estimate | None:
        """The primary metric now."""
        return None if self.measured is None else self.measured.metrics.get(self.primary)

    def json(self) -> dict[str, Any]:
        told = {
            name: getattr(self, name) for name in self.__slots__ if name not in ("measured", "validation")
        }
        found = {} if self.measured is None else self.measured.json()
        validation = None
        if self.validation is not None:
            validation = {name: getattr(self.validation, name) for name in Validation.__slots__}
        return {**told, "verdict": str(self.verdict), "validation": validation, **_NOTHING, **found}


_NOTHING: Final[Mapping[str, Any]] = {
    "rows": 0,
    "sessions": 0,
    "blocks": 0,
    "first": None,
    "last": None,
    "rank_ic_within": None,
    "metrics": {},
    "baselines": {},
    "gains": {},
    "calibration": None,
}


class Performance:
    """Measures versions by their outcomes. Every call blocks, and reads each outcome of its window."""

    def __init__(self, outcomes: Outcomes, registry: Registry, now: Now) -> None:
        self._outcomes = outcomes
        self._registry = registry
        self._now = now

    def report(self, model: str, window: str = DEFAULT_WINDOW) -> PerformanceReport:
        """The performance of a version, or of a model's live one, over the predictions about the last days.

        `window` is `30d`, any other number of days, or `all`.

        Raises:
            NotFound: no such version, and nothing is live under that name.
            InvalidInput: not a window.
            PackageRefused: the package isn't the one that was registered.
        """
        now = self._now()
        days = window_days(window)
        since = None if days is None else int((now - timedelta(days=days)).timestamp())
        active = self._registry.active(model)
        version_id = model if active is None else active.version_id
        package = self._registry.open_package(version_id)
        found = list(self._outcomes.of_model(version_id, since=since, limit=MAX_OUTCOMES))
        settled = [one for one in found if one["state"] == State.SETTLED]
        measured = measure(settled, package.manifest, _base_rate(package)) if settled else None
        primary, validation = _validation(package.manifest)
        verdict, why = judge(primary, validation, measured)
        return PerformanceReport(
            model_id=version_id,
            window=window,
            start=None if since is None else rfc3339(since),
            measured_at=utc(now),
            predictions=len(settled),
            waiting=self._outcomes.waiting(version_id),
            unsettleable=len(found) - len(settled),
            is_truncated=len(found) == MAX_OUTCOMES,
            primary=primary,
            validation=validation,
            measured=measured,
            verdict=verdict,
            why=why,
        )


def window_days(window: str) -> int | None:
    """How many days a window has; None for `all`.

    Raises:
        InvalidInput
    """
    if window == "all":
        return None
    match = _WINDOW.match(window)
    if match is None:
        expected = f"a number of days, like 30d, or all; found {window!r}"
        raise InvalidInput(f"The window must be {expected}.", errors=[FieldError("?window", expected)])
    return int(match[1])


def judge(primary: str, validation: Validation | None, measured: Measured | None) -> tuple[Verdict, str]:
    """Drift: the live interval lies wholly on the worse side of the validation's. With the reason."""
    live = None if measured is None else measured.metrics.get(primary)
    if measured is None or live is None or measured.rows < MIN_ROWS or measured.blocks < MIN_BLOCKS:
        rows, blocks = (0, 0) if measured is None else (measured.rows, measured.blocks)
        return Verdict.INSUFFICIENT_DATA, (
            f"{rows} settled rows in {blocks} blocks of time; at least {MIN_ROWS} in {MIN_BLOCKS} are needed"
        )
    if validation is None:
        return Verdict.INSUFFICIENT_DATA, f"the package tells no interval of {primary} on its hold-out"
    if not live.low <= live.high:
        return Verdict.INSUFFICIENT_DATA, f"{primary} is undefined on these rows: one class only"
    said = (
        f"{primary} is {live.value:.4f} [{live.low:.4f}, {live.high:.4f}], on the hold-out it was "
        f"{validation.value:.4f} [{validation.low:.4f}, {validation.high:.4f}]"
    )
    lower_is_better = primary in LOWER_IS_BETTER
    is_worse = live.low > validation.high if lower_is_better else live.high < validation.low
    if is_worse:
        return Verdict.DRIFT, f"{said}: the whole interval is worse"
    return Verdict.OK, f"{said}: the intervals meet, or the live one is better"


def _validation(manifest: Manifest) -> tuple[str, Validation | None]:
    """The primary metric, and its interval on rows unseen in training where the manifest tells one."""
    metrics: Any = manifest.metrics
    primary = metrics.get("primary")
    if not isinstance(primary, str):
        return ("auc" if len(manifest.classes) == 2 else "log_loss"), None
    try:
        unseen = metrics["hold_out"] if manifest.kind == "market" else metrics["cross_validation"]
        found = unseen["model"][primary]
        return primary, Validation(primary, *(float(found[name]) for name in ("value", "low", "high")))
    except (KeyError, TypeError):
        return primary, None


def _base_rate(package: Package) -> float | None:
    """The last class's share of the rows that were trained on."""
    shares = Profile.from_json(package.file(PROFILE)).class_shares
    return shares.get(package.manifest.classes[-1])
