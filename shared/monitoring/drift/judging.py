"""Judges each length of window by the profile that came with the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.drift import CurrentWindow, DriftResult, Profile, Verdict, check_drift
from shared.drift.describe import class_drift
from shared.market.candles import rfc3339
from shared.monitoring.drift.windows import Rows
from shared.registry import Manifest, Scorer

MAX_FEATURES: Final = 100
"""Features that a record keeps per window: those that moved most. It must fit into a document."""

Shares: TypeAlias = Mapping[str, Mapping[str, float | None]]
"""By class: its share in the `reference`, and the `current` one."""

_BATCH_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What was found over one length. `start` and `end` are the first and last session, where there are any.

    `predicted` is the share of each class among the answers, `reference` that among the answers at training
    (as the profile's knots have it; None where there are more than two classes). `labelled` is the same of
    the labels that are known by now; empty where there are none.
    """

    length: int
    start: str | None
    end: str | None
    drift: DriftResult
    predicted: Shares
    labelled: Shares

    def json(self) -> dict[str, Any]:
        found = self.drift.json()
        features = found["features"]
        return {
            "length": self.length,
            "start": self.start,
            "end": self.end,
            **found,
            "features": features[:MAX_FEATURES],
            "features_total": len(features),
            "excess": self.excess,
            "predicted": {name: dict(shares) for name, shares in self.predicted.items()},
            "labelled": {name: dict(shares) for name, shares in self.labelled.items()},
        }

    @property
    def excess(self) -> float | None:
        """The furthest family's statistic over its threshold: above 1 it is beyond the null."""
        ratios = [
            family.statistic / family.threshold
            for family in self.drift.families
            if family.statistic is not None and family.threshold
        ]
        return max(ratios, default=None)


class Judge:
    """Judges windows of one model's rows."""

    def __init__(
        self, manifest: Manifest, profile: Profile, scorer: Scorer, *, level: float, min_effect: float
    ) -> None:
        self._manifest = manifest
        self._profile = profile
        self._scorer = scorer
        self._level = level
        self._min_effect = min_effect

    def results(self, rows: Rows, lengths: Sequence[int]) -> Iterator[WindowResult]:
        """One per length. A window that isn't full yet has insufficient data."""
        answers = self._answers(rows.x)
        for length in lengths:
            if rows.available < length:
                yield self._too_few(rows, length)
            else:
                yield self._result(rows, answers, length)

    def _result(self, rows: Rows, answers: NDArray[np.float32], length: int) -> WindowResult:
        chosen = rows.last(length)
        x, scores = rows.x[chosen], answers[chosen]
        stamps = None if rows.stamps is None else rows.stamps[chosen]
        drift = check_drift(
            self._profile,
            CurrentWindow(x, scores[:, 1].astype(np.float64), stamps),
            level=self._level,
            min_effect=self._min_effect,
        )
        known = _known(rows, chosen)
        if len(known):
            drift = replace(drift, classes=class_drift(self._profile.class_shares, known))
        start, end = (None, None) if stamps is None else (stamps.min(), stamps.max())
        return WindowResult(
            length, _text(start), _text(end), drift, self._predicted(scores), self._labelled(known)
        )

    def _too_few(self, rows: Rows, length: int) -> WindowResult:
        unit = "predictions in the audit" if rows.stamps is None else "sessions since it was trained"
        why = f"{length} {unit} are needed; there are {rows.available}."
        sessions = None if rows.stamps is None else rows.available
        return unjudged(length, why, level=self._level, rows=len(rows.x), sessions=sessions)

    def _answers(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, classes), by the model that is judged."""
        answers = np.empty((len(x), len(self._manifest.classes)), np.float32)
        for first in range(0, len(x), _BATCH_ROWS):
            batch = np.ascontiguousarray(x[first : first + _BATCH_ROWS])
            answers[first : first + len(batch)] = self._scorer.score(batch)
        return answers

    def _predicted(self, answers: NDArray[np.float32]) -> dict[str, dict[str, float | None]]:
        """Shares of the predicted classes: by the threshold where there are two, else the likeliest."""
        names, threshold = self._manifest.classes, self._manifest.threshold
        if len(names) > 2:
            counts = np.bincount(answers.argmax(axis=1), minlength=len(names))
            shares = (counts / len(answers)).tolist()
            return {n: {"reference": None, "current": s} for n, s in zip(names, shares, strict=True)}
        knots = np.array(self._profile.score.knots)
        ranks = np.linspace(0.0, 1.0, len(knots))
        before = 1.0 - float(np.interp(threshold, knots, ranks)) if len(knots) else None
        now = float((answers[:, 1] >= threshold).mean())
        return {
            names[0]: {"reference": None if before is None else 1.0 - before, "current": 1.0 - now},
            names[1]: {"reference": before, "current": now},
        }

    def _labelled(self, known: NDArray[np.int8]) -> dict[str, dict[str, float | None]]:
        if not len(known):
            return {}
        before = self._profile.class_shares
        counts = np.bincount(known, minlength=len(self._manifest.classes))
        shares = (counts / len(known)).tolist()
        return {
            name: {"reference": before.get(name), "current": share}
            for name, share in zip(self._manifest.classes, shares, strict=True)
        }


def _known(rows: Rows, chosen: NDArray[np.intp]) -> NDArray[np.int8]:
    """The labels of the chosen rows, as far as they are known."""
    y = np.empty(0, np.int8) if rows.y is None else rows.y[chosen]
    return y[y >= 0]


def unjudged(
    length: int, why: str, *, level: float, rows: int = 0, sessions: int | None = None
) -> WindowResult:
    """A window that nothing can be said about, and why."""
    drift = DriftResult(
        verdict=Verdict.INSUFFICIENT_DATA,
        why=why,
        sessions=sessions,
        rows=rows,
        null=None,
        level=level,
        families=(),
        features=(),
        score=None,
        classes=None,
    )
    return WindowResult(length, None, None, drift, {}, {})


def _text(stamp: np.int64 | None) -> str | None:
    return None if stamp is None else rfc3339(int(stamp))
