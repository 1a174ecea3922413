"""The specification of a problem: plain frozen values, checked when they are made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias

from shared.tabular import Columns
from shared.tabular.columns import Category

Metric: TypeAlias = Literal["auc", "accuracy", "f1", "log_loss", "brier", "rank_ic"]

LOWER_IS_BETTER: frozenset[str] = frozenset({"log_loss", "brier"})


def merit(value: float, metric: str) -> float:
    """Higher is better; what is undefined is worst."""
    if math.isnan(value):
        return -math.inf
    return -value if metric in LOWER_IS_BETTER else value


class Kind(StrEnum):
    MARKET = "market"
    TABULAR = "tabular"


class Algorithm(StrEnum):
    LOGISTIC_REGRESSION = "logistic_regression"
    RANDOM_FOREST = "random_forest"
    HIST_GRADIENT_BOOSTING = "hist_gradient_boosting"
    LIGHTGBM = "lightgbm"
    XGBOOST = "xgboost"


@dataclass(frozen=True, slots=True)
class Space:
    """Values of a hyper-parameter to search: from `low` to `high`, on a logarithmic scale with `log`, or one
    of `choices`.
    """

    type: Literal["int", "float", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """An algorithm with its hyper-parameters. With a grid, each combination competes on its own.

    Parameters are the library's own, and `min_leaf_share`: the least share of the rows in a tree's leaf.
    `search` is what a search may try of it, where that isn't what is usual.
    """

    algorithm: Algorithm
    parameters: Mapping[str, Any]
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    search: Mapping[str, Space] = field(default_factory=dict)

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
    """What to learn, and what counts as having learnt it: what every kind of problem has.

    The last of `classes` is the positive one where there are two. `schedule` is cron, UTC; none where it is
    empty. An AUC above `leak_auc` is taken for a leak until a human says otherwise. `version` counts what was
    declared under the name; a built-in problem has none: the code's revision says which it is.
    """

    kind: ClassVar[Kind]

    name: str
    model_name: str
    title: str
    classes: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    primary_metric: Metric
    gates: tuple[Gate, ...]
    leak_auc: float
    schedule: str
    version: int | None = None

    def __post_init__(self) -> None:
        names = [name for name, *_ in self.variants()]
        _must(len(self.classes) >= 2, "at least two classes are needed")
        _must(len(set(self.classes)) == len(self.classes), "each class is there once")
        _must(0.5 < self.leak_auc <= 1.0, "leak_auc must be above 0.5, at most 1")
        _must(bool(names) and len(set(names)) == len(names), "candidates must be there, each once")
        _must(len({gate.name for gate in self.gates}) == len(self.gates), "gates need distinct names")

    def variants(self) -> Iterator[tuple[str, Algorithm, dict[str, Any]]]:
        """(name, algorithm, parameters) of everything that competes."""
        for candidate in self.candidates:
            for name, parameters in candidate.variants():
                yield name, candidate.algorithm, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketProblem(Problem):
    """The direction of the close over the next `horizon` candles, from a symbol's own features.

    The threshold is on the probability of the last class. `embargo` is a number of sessions left out before
    each test block, beyond the purge of the labels' horizon.
    """

    kind: ClassVar[Kind] = Kind.MARKET

    feature_set: str
    horizon: int
    threshold: float
    embargo: int

    def __post_init__(self) -> None:
        Problem.__post_init__(self)
        _must(len(self.classes) == 2, "a direction has two classes")
        _must(self.horizon >= 1, "horizon must be at least one candle")
        _must(self.embargo >= 0, "embargo can't be negative")
        _must(0.0 < self.threshold < 1.0, "threshold must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class Target:
    """The column that is to be predicted: `values` says, for each class, by which values it is written."""

    column: str
    values: Mapping[str, tuple[Category, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularProblem(Problem):
    """The class of a row, from its columns.

    `data` says where the rows are: `package:<file>` lies in `shared/problems/data`, `blobs:<name>` in the
    store of blobs; CSV or Parquet, by its ending. Judged by `repeats` times stratified `folds`-fold
    cross-validation; the threshold of two classes is tuned on scores out of fold. `source` names where the
    data come from and their licence.
    """

    kind: ClassVar[Kind] = Kind.TABULAR

    data: str
    columns: Columns
    target: Target
    folds: int = 5
    repeats: int = 10
    source: str = ""

    def __post_init__(self) -> None:
        Problem.__post_init__(self)
        values = [value for found in self.target.values.values() for value in found]
        _must(tuple(self.target.values) == self.classes, "the target's classes are the problem's, in order")
        _must(len(set(values)) == len(values), "a value of the target stands for one class")
        _must(all(self.target.values.values()), "each class needs a value of the target")
        _must(self.target.column not in self.columns.names, "the target can't be one of the columns")
        _must(self.folds >= 2, "folds must be at least 2")
        _must(self.repeats >= 1, "repeats must be at least 1")
        _must(self.data.partition(":")[0] in ("package", "blobs"), "data is package:<file> or blobs:<name>")


def _must(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(f"problem: {otherwise}")
