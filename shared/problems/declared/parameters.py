"""Which hyper-parameters a declared problem may set, and within which bounds.

A table and not whatever the libraries take: some of their parameters name files, devices or machines, and
those of a declaration come from outside.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from shared.problems.spec import Algorithm

Value: TypeAlias = int | float | str
"""A hyper-parameter's value, as JSON has it. `true` and `false` are none: no parameter takes them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a hyper-parameter may be: a number from `low` to `high`, both included, or one of `words`."""

    type: Literal["int", "float", "word"]
    low: float = 0.0
    high: float = 0.0
    words: tuple[str, ...] = ()

    def refusal(self, value: object) -> str | None:
        """What is wrong with the value; None where nothing is."""
        if isinstance(value, str):
            return None if value in self.words else f"must be {self.expected}, found {value!r}"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.type == "word" or not is_number or not self.low <= float(str(value)) <= self.high:
            return f"must be {self.expected}, found {value!r}"
        if self.type == "int" and not isinstance(value, int):
            return f"must be {self.expected}, found {value!r}"
        return None

    @property
    def expected(self) -> str:
        words = [repr(word) for word in self.words]
        if self.type != "word":
            kind = "an integer" if self.type == "int" else "a number"
            words.insert(0, f"{kind} from {self.low:g} to {self.high:g}")
        return " or ".join(words)


def _int(low: int, high: int) -> Parameter:
    return Parameter("int", low, high)


def _float(low: float, high: float, *words: str) -> Parameter:
    return Parameter("float", low, high, words)


_BALANCED: Final = Parameter("word", words=("balanced",))
_TREES: Final = _int(1, 2_000)
_RATE: Final = _float(1e-4, 1.0)
_SHARE: Final = _float(0.01, 1.0)
_PENALTY: Final = _float(0.0, 1e4)
_LEAF_SHARE: Final = _float(1e-5, 0.5)

PARAMETERS: Final[Mapping[Algorithm, Mapping[str, Parameter]]] = MappingProxyType(
    {
        Algorithm.LOGISTIC_REGRESSION: {"C": _float(1e-6, 1e6), "class_weight": _BALANCED},
        Algorithm.RANDOM_FOREST: {
            "n_estimators": _TREES,
            "max_depth": _int(1, 64),
            "min_samples_leaf": _int(1, 1_000_000),
            "min_leaf_share": _LEAF_SHARE,
            "max_features": _float(0.01, 1.0, "sqrt", "log2"),
            "max_samples": _SHARE,
            "class_weight": _BALANCED,
        },
        Algorithm.HIST_GRADIENT_BOOSTING: {
            "max_iter": _TREES,
            "learning_rate": _RATE,
            "max_leaf_nodes": _int(2, 1_024),
            "max_depth": _int(1, 64),
            "min_samples_leaf": _int(1, 1_000_000),
            "min_leaf_share": _LEAF_SHARE,
            "max_features": _SHARE,
            "l2_regularization": _PENALTY,
        },
        Algorithm.LIGHTGBM: {
            "n_estimators": _TREES,
            "learning_rate": _RATE,
            "num_leaves": _int(2, 1_024),
            "max_depth": _int(1, 64),
            "min_child_samples": _int(1, 1_000_000),
            "min_leaf_share": _LEAF_SHARE,
            "colsample_bytree": _SHARE,
            "subsample": _SHARE,
            "subsample_freq": _int(0, 100),
            "reg_alpha": _PENALTY,
            "reg_lambda": _PENALTY,
            "class_weight": _BALANCED,
        },
        Algorithm.XGBOOST: {
            "n_estimators": _TREES,
            "learning_rate": _RATE,
            "max_depth": _int(1, 32),
            "min_child_weight": _float(0.0, 1e6),
            "min_leaf_share": _LEAF_SHARE,
            "colsample_bytree": _SHARE,
            "subsample": _SHARE,
            "reg_alpha": _PENALTY,
            "reg_lambda": _PENALTY,
            "gamma": _PENALTY,
        },
    }
)

DEFAULTS: Final[Mapping[Algorithm, Mapping[str, Value]]] = MappingProxyType(
    {
        Algorithm.LOGISTIC_REGRESSION: {"C": 0.3},
        Algorithm.RANDOM_FOREST: {"n_estimators": 300, "min_samples_leaf": 3},
        Algorithm.HIST_GRADIENT_BOOSTING: {"max_iter": 150, "learning_rate": 0.05, "max_leaf_nodes": 7},
        Algorithm.LIGHTGBM: {"n_estimators": 150, "learning_rate": 0.05, "num_leaves": 7},
        Algorithm.XGBOOST: {"n_estimators": 150, "learning_rate": 0.05, "max_depth": 3},
    }
)
"""Small trees and strong shrinkage: on tables of hundreds to tens of thousands of rows the libraries' own
defaults lose some points."""

USUAL: Final = (
    Algorithm.LOGISTIC_REGRESSION,
    Algorithm.RANDOM_FOREST,
    Algorithm.LIGHTGBM,
    Algorithm.XGBOOST,
)
"""What competes where a declaration names no candidates."""


def refusal(algorithm: Algorithm, name: str, value: object) -> str | None:
    """What is wrong with a parameter of that name and value; None where nothing is."""
    parameter = PARAMETERS[algorithm].get(name)
    return unknown(algorithm, name) if parameter is None else parameter.refusal(value)


def unknown(algorithm: Algorithm, name: str) -> str:
    """That the algorithm has no such parameter, with the near ones."""
    known = sorted(PARAMETERS[algorithm])
    return f"is no parameter of {algorithm} here; {hint(name, known)}"


def hint(name: str, known: Sequence[str]) -> str:
    """Which of the known names may be meant; all of them where none is near."""
    near = difflib.get_close_matches(name, known, n=2)
    return f"is {' or '.join(map(repr, near))} meant?" if near else f"known are {', '.join(known)}"
