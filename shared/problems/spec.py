"""The specification of a problem: plain frozen values, checked when they are made."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

Metric: TypeAlias = Literal["auc", "accuracy", "f1", "log_loss", "brier", "rank_ic"]

LOWER_IS_BETTER: frozenset[str] = frozenset({"log_loss", "brier"})


class Kind(StrEnum):
    MARKET = "market"


class Algorithm(StrEnum):
    LOGISTIC_REGRESSION = "logistic_regression"
    RANDOM_FOREST = "random_forest"
    HIST_GRADIENT_BOOSTING = "hist_gradient_boosting"
    LIGHTGBM = "lightgbm"
    XGBOOST = "xgboost"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An algorithm with its hyper-parameters. With a grid, each combination competes on its own.

    Parameters are the library's own, and `min_leaf_share`: the least share of the rows in a tree's leaf.
    """

    algorithm: Algorithm
    parameters: Mapping[str, Any]
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def variants(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, parameters) of each combination: `lightgbm`, or `lightgbm[num_leaves=15]`."""
        for values in itertools.product(*self.grid.values()):
            chosen = dict(zip(self.grid, values, strict=True))
            suffix = ",".join(f"{key}={value}" for key, value in chosen.items())
            name = f"{self.algorithm}[{suffix}]" if suffix else str(self.algorithm)
            yield name, {**self.parameters, **chosen}


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition for activation without a human: `quantity` of the hold-out must exceed `bound`.

    Quantities are `<metric>` and `<metric>.low` (the lower end of its interval), the paired gains
    over the base rate `log_loss_gain` and `brier_gain` (and `.low`), and `blocks`, the number of
    independent blocks of time the interval rests on. For log-loss and Brier gate on the gain.
    """

    name: str
    quantity: str
    bound: float
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What to learn, and what counts as having learnt it.

    `horizon` is in candles: the label is the direction of the close over the next `horizon` candles.
    `classes` are (0, 1); the threshold is on the probability of class 1. `embargo` is a number of
    sessions left out before each test block, beyond the purge of the labels' horizon.
    An AUC above `leak_auc` is taken for a leak until a human says otherwise. `schedule` is cron, UTC.
    """

    name: str
    model_name: str
    title: str
    kind: Kind
    feature_set: str
    horizon: int
    classes: tuple[str, str]
    threshold: float
    candidates: tuple[Candidate, ...]
    primary_metric: Metric
    gates: tuple[Gate, ...]
    embargo: int
    leak_auc: float
    schedule: str

    def __post_init__(self) -> None:
        names = [name for name, *_ in self.variants()]
        _must(self.horizon >= 1, "horizon must be at least one candle")
        _must(self.embargo >= 0, "embargo can't be negative")
        _must(0.0 < self.threshold < 1.0, "threshold must be between 0 and 1")
        _must(0.5 < self.leak_auc <= 1.0, "leak_auc must be above 0.5, at most 1")
        _must(bool(names) and len(set(names)) == len(names), "candidates must be there, each once")
        _must(len({gate.name for gate in self.gates}) == len(self.gates), "gates need distinct names")

    def variants(self) -> Iterator[tuple[str, Algorithm, dict[str, Any]]]:
        """(name, algorithm, parameters) of everything that competes."""
        for candidate in self.candidates:
            for name, parameters in candidate.variants():
                yield name, candidate.algorithm, parameters


def _must(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(f"problem: {otherwise}")
