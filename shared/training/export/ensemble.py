"""Decision trees as arrays: what every tree library's model is read into before it is written to ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray


class Scale(Enum):
    """What a model's raw scores are."""

    PROBABILITY = auto()
    LOGIT = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree as arrays over its nodes; node 0 is the root, and leaves have no children (-1).

    A row goes left where its value is <= (or, in a strict ensemble, <) the threshold, and where the
    value is missing and `missing_left` says so. `value` is (nodes, k): what a leaf adds to the
    outputs `first_output` to `first_output + k`.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    first_output: int = 0

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        return self.left < 0


@dataclass(frozen=True, slots=True, eq=False)
class TreeEnsemble:
    """Trees whose leaves are summed up, over `base`: one number per output.

    A binary model has one output, the score of its second class; others have one per class.
    """

    trees: tuple[Tree, ...]
    base: NDArray[np.float64]
    scale: Scale
    strict: bool = False

    def splits(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every distinct pair of a feature and a threshold that is compared, in order."""
        inner = [~tree.is_leaf for tree in self.trees]
        feature = np.concatenate([tree.feature[rows] for tree, rows in zip(self.trees, inner, strict=True)])
        threshold = np.concatenate(
            [tree.threshold[rows] for tree, rows in zip(self.trees, inner, strict=True)]
        )
        order = np.lexsort((threshold, feature))
        feature, threshold = feature[order], threshold[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (feature[1:] != feature[:-1]) | (threshold[1:] != threshold[:-1])
        return feature[first], threshold[first]


def float32_at_most(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 <= each threshold.

    `x <= threshold` holds for a float32 `x` exactly where `x <= float32_at_most(threshold)` does;
    rounding to the nearest instead would let the float32 just above the threshold pass.
    """
    with np.errstate(over="ignore"):
        nearest = threshold.astype(np.float32)
        down = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > threshold, down, nearest)
