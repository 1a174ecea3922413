"""Decision trees as arrays: what every tree library's model is read into before it is written to ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.training.export.memberships import Membership


class Scale(Enum):
    """What a model's raw scores are."""

    PROBABILITY = auto()
    LOGIT = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree as arrays over its nodes; node 0 is the root, and leaves have no children (-1).

    A row goes left where its value is <= (or, in a strict ensemble, <) the threshold, and where the
    value is missing and `missing_left` says so. `value` is (nodes, k): what a leaf adds to the
    outputs `first_output` to `first_output + k`. A `feature` below 0 is `~k` of the ensemble's membership k.
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
    memberships: tuple[Membership, ...] = ()

    def check(self, features: int) -> None:
        """For trees that come from a file: that each is one, over so many features.

        Raises:
            ExportRefused: naming the first tree that isn't.
        """
        if not self.trees:
            raise ExportRefused("The model holds no tree.")
        if not np.isfinite(self.base).all():
            raise ExportRefused("The model's base score must be finite.")
        for number, tree in enumerate(self.trees):
            wrong = _wrong(tree, features, len(self.memberships), len(self.base))
            if wrong:
                raise ExportRefused(f"Tree {number} {wrong}.")
        if any(not 0 <= one.feature < features for one in self.memberships):
            raise ExportRefused(f"A split on categories is of a feature that isn't one of the {features}.")

    def splits(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every distinct pair of a feature and a value that it is compared with, in order: thresholds, and
        the members of memberships.
        """
        inner = [~tree.is_leaf for tree in self.trees]
        feature = np.concatenate([tree.feature[rows] for tree, rows in zip(self.trees, inner, strict=True)])
        threshold = np.concatenate(
            [tree.threshold[rows] for tree, rows in zip(self.trees, inner, strict=True)]
        )
        members = [(one.feature, member) for one in self.memberships for member in one.members]
        own = feature >= 0
        asked = np.array(members, np.int64).reshape(-1, 2)
        feature = np.concatenate([feature[own], asked[:, 0]])
        threshold = np.concatenate([threshold[own], asked[:, 1].astype(np.float32)])
        order = np.lexsort((threshold, feature))
        feature, threshold = feature[order], threshold[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (feature[1:] != feature[:-1]) | (threshold[1:] != threshold[:-1])
        return feature[first], threshold[first]


def _wrong(tree: Tree, features: int, memberships: int, outputs: int) -> str:
    """What keeps the arrays from being a tree; nothing where they are one."""
    nodes, inner = len(tree.left), ~tree.is_leaf
    columns = (tree.feature, tree.threshold, tree.right, tree.missing_left, tree.value)
    if nodes == 0 or any(len(column) != nodes for column in columns):
        return "lacks some of its nodes' values"
    children = np.concatenate([tree.left[inner], tree.right[inner]])
    if (children <= 0).any() or (children >= nodes).any() or len(np.unique(children)) != nodes - 1:
        return "has a node with no parent, or with two"
    if not _is_connected(tree, inner):
        return "has nodes that its root doesn't lead to"
    if (tree.feature[inner] < -memberships).any() or (tree.feature[inner] >= features).any():
        return f"splits on a feature that isn't one of the {features}"
    if np.isnan(tree.threshold[inner]).any() or not np.isfinite(tree.value).all():
        return "has a threshold or a leaf that is no number"
    if not 0 <= tree.first_output <= outputs - tree.value.shape[1]:
        return f"adds to an output that isn't one of the {outputs}"
    return ""


def _is_connected(tree: Tree, inner: NDArray[np.bool_]) -> bool:
    """Every node but the root has one parent: all are reached, or some lie in a loop."""
    reached, level = 0, np.zeros(1, np.int64)
    while len(level):
        reached += len(level)
        parents = level[inner[level]]
        level = np.concatenate([tree.left[parents], tree.right[parents]])
    return reached == len(inner)


def check_outputs(outputs: int, trees: int) -> None:
    """Before anything is made that is as large as a file says.

    Raises:
        ExportRefused: there isn't a tree for each output.
    """
    if not 1 <= outputs <= trees:
        raise ExportRefused(f"The model has {trees} trees for {outputs} outputs: each needs one at least.")


def expect(library: str, found: str, known: tuple[str, ...]) -> None:
    """
    Raises:
        ExportRefused: `found` is none of `known`.
    """
    if found not in known:
        raise ExportRefused(f"{library}: expected {' or '.join(known)}; found {found}, which has no export.")


def float32_at_most(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 <= each threshold.

    `x <= threshold` holds for a float32 `x` exactly where `x <= float32_at_most(threshold)` does;
    rounding to the nearest instead would let the float32 just above the threshold pass.
    """
    with np.errstate(over="ignore"):
        nearest = threshold.astype(np.float32)
        down = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > threshold, down, nearest)
