"""Whether a window of rows has drifted from the profile of what a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.drift.describe import class_drift, describe
from shared.drift.families import Judged, judge_in_time, judge_independent
from shared.drift.null import LEAST_SESSIONS
from shared.drift.profile import Profile
from shared.drift.result import DriftResult, FeatureDrift, Verdict
from shared.drift.windows import SessionRows
from shared.errors import InvalidInput

MIN_ROWS: Final = 200
"""Of a window without time order."""


@dataclass(frozen=True, slots=True, eq=False)
class CurrentWindow:
    """Rows to judge: `x` (n, features) in the profile's order, the model's scores, and each row's session.

    `scores` are the probabilities of the second class. `sessions` are the rows' time stamps in seconds
    since 1970, equal within a session; None for rows without time order. One row per symbol and session:
    leave out repeated questions. `y` are known labels, as positions in the classes.
    """

    x: NDArray[np.float32]
    scores: NDArray[np.floating] | None = None
    sessions: NDArray[np.int64] | None = None
    y: NDArray[np.integer] | None = None


def check_drift(
    profile: Profile,
    window: CurrentWindow,
    *,
    level: float = 0.05,
    min_effect: float = 0.1,
    min_rows: int = MIN_ROWS,
) -> DriftResult:
    """Judge the window against the profile; the reference itself isn't needed.

    `level` is the share of false alarms to accept over all families together, `min_effect` the least
    distance worth an alarm, in reference standard deviations. `min_rows` is for windows without time order.

    Raises:
        InvalidInput: the window's shape isn't the profile's, or `level` or `min_effect` is out of range.
    """
    _require(profile, window, level, min_effect)
    x = np.asfortranarray(window.x)  # columns are read one by one
    features = [describe(column, values) for column, values in zip(profile.features, x.T, strict=True)]
    score = None if window.scores is None else describe(profile.score, window.scores)
    rows = None
    if profile.time is not None and window.sessions is not None:
        rows = SessionRows.of(window.sessions)
    why = _insufficient(profile, window, rows, min_rows)
    if why:
        judged: list[Judged] = []
    elif rows is not None:
        judged = judge_in_time(profile, x, window.scores, rows, level, min_effect)
    else:
        judged = judge_independent(profile, x, features, score, level, min_effect)
    return _result(profile, window, rows, level, why, judged, features, score)


def _result(
    profile: Profile,
    window: CurrentWindow,
    rows: SessionRows | None,
    level: float,
    why: str,
    judged: Sequence[Judged],
    features: Sequence[FeatureDrift],
    score: FeatureDrift | None,
) -> DriftResult:
    alarms = any(one.result.alarms for one in judged)
    verdict = Verdict.DRIFT if alarms else Verdict.OK
    seen = [_seen(feature, [one for one in judged if one.result.name != "score"]) for feature in features]
    seen.sort(key=lambda one: (-one.drifted, -(one.excess or 0.0), -(one.wasserstein or 0.0)))
    return DriftResult(
        verdict=Verdict.INSUFFICIENT_DATA if why else verdict,
        why=why or _why(judged),
        sessions=None if window.sessions is None else len(np.unique(window.sessions)),
        rows=len(window.x),
        null=None if why else _null_of(profile, rows, len(window.x)),
        level=level,
        families=tuple(one.result for one in judged),
        features=tuple(seen),
        score=score and _seen(score, [one for one in judged if one.result.name == "score"]),
        classes=None if window.y is None else class_drift(profile.class_shares, window.y),
    )


def _seen(feature: FeatureDrift, judged: Sequence[Judged]) -> FeatureDrift:
    """The feature with the family in which it moved furthest: one that alarms for it first."""
    own = [one for one in judged if feature.name in one.excess]
    if not own:
        return feature
    most = max(own, key=lambda one: (one.moved(feature.name), one.excess[feature.name]))
    return replace(
        feature,
        family=most.result.name,
        excess=most.excess[feature.name],
        effect=most.effect[feature.name],
        drifted=most.moved(feature.name),
    )


def _null_of(profile: Profile, rows: SessionRows | None, count: int) -> int:
    if rows is None or profile.time is None:
        return count
    return max(length.sessions for null in profile.time.nulls if (length := null.of(rows.sessions)))


def _why(judged: Sequence[Judged]) -> str:
    alarms = [one.result for one in judged if one.result.alarms]
    if not alarms:
        return "Nothing strays further than windows of the reference do."
    told = (f"{one.meaning} ({', '.join(one.features[:3])}{_more(len(one.features) - 3)})" for one in alarms)
    return f"Further than windows of the reference stray: {'; '.join(told)}."


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _insufficient(profile: Profile, window: CurrentWindow, rows: SessionRows | None, min_rows: int) -> str:
    """Why there can't be a verdict; empty where there can."""
    if profile.format_version == 1:
        return "The model's profile is of format 1 and holds no null to judge by: train the model anew."
    if not len(window.x):
        return "The window holds no rows."
    if profile.time is None:
        fewest = f"The window holds {len(window.x)} rows, and a verdict needs {min_rows}."
        return fewest if len(window.x) < min_rows else ""
    if rows is None:
        return "The reference's rows are ordered in time: a verdict needs the session of each row."
    if not profile.time.nulls:
        return (
            f"The model was trained on {profile.time.sessions} sessions, and a null needs {LEAST_SESSIONS}: "
            "train on a longer history."
        )
    width, usual = len(window.x) / rows.sessions, profile.time.rows_per_session
    if width < usual / 2:
        return (
            f"The window holds {width:.1f} rows a session and the reference {usual:.1f}: fewer symbols stray "
            "further. Give the rows of all symbols that the model was trained on."
        )
    return ""


def _require(profile: Profile, window: CurrentWindow, level: float, min_effect: float) -> None:
    if window.x.ndim != 2 or window.x.shape[1] != len(profile.features):
        raise InvalidInput(
            f"x must have the profile's {len(profile.features)} columns, found shape {window.x.shape}."
        )
    for name in ("scores", "sessions", "y"):
        values = getattr(window, name)
        if values is not None and values.shape != (len(window.x),):
            raise InvalidInput(
                f"{name} must have one value for each of {len(window.x)} rows, found {values.shape}."
            )
    if not 0.0 < level < 1.0 or not min_effect >= 0.0:
        raise InvalidInput(
            f"level must be between 0 and 1 and min_effect not negative: {level}, {min_effect}."
        )
