"""What a check of drift says: a verdict, the families of statistics it rests on, and each feature."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    OK = "ok"
    DRIFT = "drift"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """One family of statistics: its standardised maximum over the features against its null.

    The family alarms when `statistic` exceeds `threshold` for a feature whose `effect` is at least
    `min_effect`. `level` is the family's part of the whole check's. `features` are those that exceed,
    furthest first. Effects are in the family's own unit: reference standard deviations, or a share of rows.
    """

    name: str
    meaning: str
    statistic: float | None
    threshold: float | None
    level: float
    effect: float | None
    min_effect: float
    alarms: bool
    features: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "features": list(self.features)}


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One column now and in the reference.

    `ks` is the Kolmogorov-Smirnov distance, `wasserstein` the first Wasserstein distance over the reference's
    standard deviation, `psi` the population stability index and `jensen_shannon` a distance in natural
    logarithms, both over Sturges' bins: as Evidently gives them. None where a side has no finite value. They
    inform and don't decide. `family` is the one that moved furthest, `excess` its statistic over its
    threshold (above 1: beyond the null), `effect` its effect size, `drifted` whether the
    rule finds the column moved.
    """

    name: str
    kind: str
    ks: float | None
    wasserstein: float | None
    psi: float | None
    jensen_shannon: float | None
    mean: float | None
    reference_mean: float | None
    sd: float | None
    reference_sd: float | None
    missing_share: float
    reference_missing_share: float
    infinite_share: float
    reference_infinite_share: float
    unseen_share: float
    family: str | None
    excess: float | None
    effect: float | None
    drifted: bool

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DriftResult:
    """`features` come most moved first. `sessions` is None for rows without time order.

    `null` says which window the null was made for: so many sessions, or so many rows.
    `score` is the drift of the model's answers, `classes` that of the labels, where the window has them.
    """

    verdict: Verdict
    why: str
    sessions: int | None
    rows: int
    null: int | None
    level: float
    families: tuple[FamilyResult, ...]
    features: tuple[FeatureDrift, ...]
    score: FeatureDrift | None
    classes: FeatureDrift | None

    def json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "why": self.why,
            "sessions": self.sessions,
            "rows": self.rows,
            "null": self.null,
            "level": self.level,
            "families": [family.json() for family in self.families],
            "features": [feature.json() for feature in self.features],
            "score": None if self.score is None else self.score.json(),
            "classes": None if self.classes is None else self.classes.json(),
        }
