"""Operators whose arrays say by index what they read: checked against each other and against their input.

Runtimes trust these indices. Here they are checked before one sees them: trees must be trees, and what they
read must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from shared.jobs.conversion.onnx_checks import attribute, count, integers
from shared.jobs.conversion.outcome import Refused
from shared.jobs.conversion.trees import MAX_DEPTH, MAX_NODES

Width = int
_Ints = NDArray[np.int64]

_MODES: Final = {
    b"BRANCH_LEQ",
    b"BRANCH_LT",
    b"BRANCH_GTE",
    b"BRANCH_GT",
    b"BRANCH_EQ",
    b"BRANCH_NEQ",
    b"LEAF",
}
_ID_LIMIT: Final = 2**31


def check_sized(node: NodeProto, width: Width) -> None:
    """Whether the node's arrays fit an input of so many columns, and each other.

    Raises:
        Refused: they don't.
    """
    SIZED[node.op_type](node, width)


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The nodes of all trees of an operator. `key` is tree and node in one number."""

    key: _Ints
    tree: _Ints
    is_leaf: NDArray[np.bool_]
    yes: _Ints
    no: _Ints
    feature: _Ints


def _check_trees(node: NodeProto, width: Width) -> None:
    wrong = _wrong_trees(node, width)
    if wrong:
        raise Refused(f"The operator {node.op_type} {wrong}: export the model anew.")


def _wrong_trees(node: NodeProto, width: Width) -> str:
    if any(one.name.endswith("_as_tensor") for one in node.attribute):
        return "holds trees in float64, which runtimes read otherwise; convert it with float32 inputs"
    nodes = _nodes(node)
    if isinstance(nodes, str):
        return nodes
    inner = ~nodes.is_leaf
    if (nodes.feature[inner] < 0).any() or (nodes.feature[inner] >= width).any():
        return f"splits on an input that isn't one of the {width} it gets"
    return _wrong_shape(nodes) or _wrong_leaves(node, nodes)


def _nodes(node: NodeProto) -> _Nodes | str:
    tree, number = _array(node, "nodes_treeids"), _array(node, "nodes_nodeids")
    modes = list(getattr(attribute(node, "nodes_modes"), "strings", []))
    names = ("nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids")
    feature, yes, no = (_array(node, name) for name in names)
    values = np.array(getattr(attribute(node, "nodes_values"), "floats", []), np.float64)
    if not 0 < len(tree) <= MAX_NODES:
        return f"has {len(tree)} nodes; from 1 to {MAX_NODES} are allowed"
    if len({len(each) for each in (tree, number, modes, feature, yes, no, values)}) != 1:
        return "lacks some of its nodes' values"
    if count(node, "nodes_missing_value_tracks_true") not in (0, len(tree)):
        return "lacks some of its nodes' values"
    if not set(modes) <= _MODES or np.isnan(values).any():
        return "has a split that compares in no known way"
    every = np.concatenate([tree, number, yes, no])
    if (every < 0).any() or (every >= _ID_LIMIT).any():
        return "has a node with an impossible number"
    is_leaf = np.array([mode == b"LEAF" for mode in modes])
    return _Nodes(
        tree * _ID_LIMIT + number, tree, is_leaf, tree * _ID_LIMIT + yes, tree * _ID_LIMIT + no, feature
    )


def _wrong_shape(nodes: _Nodes) -> str:
    """Each tree begins with its root, every other node has one parent, and all are reached."""
    order = np.argsort(nodes.key, kind="stable")
    ordered = nodes.key[order]
    if (ordered[1:] == ordered[:-1]).any():
        return "has two nodes of one number"
    inner = np.flatnonzero(~nodes.is_leaf)
    children = np.concatenate([nodes.yes[inner], nodes.no[inner]])
    found = np.minimum(np.searchsorted(ordered, children), len(ordered) - 1)
    if (ordered[found] != children).any():
        return "has a split that leads to no node"
    place = order[found]
    yes, no = np.full(len(nodes.key), -1), np.full(len(nodes.key), -1)
    yes[inner], no[inner] = place[: len(inner)], place[len(inner) :]
    roots = np.unique(nodes.tree, return_index=True)[1]
    if len(np.unique(place)) != len(place) or np.isin(roots, place).any():
        return "has a node with two parents, or a root with one"
    return _wrong_depth(yes, no, roots)


def _wrong_depth(yes: _Ints, no: _Ints, roots: _Ints) -> str:
    reached, level, depth = 0, roots, -1
    while len(level):
        reached += len(level)
        depth += 1
        if depth > MAX_DEPTH:
            return f"has a tree that is deeper than {MAX_DEPTH} splits"
        parents = level[yes[level] >= 0]
        level = np.concatenate([yes[parents], no[parents]])
    return "" if reached == len(yes) else "has nodes that no root leads to"


def _wrong_leaves(node: NodeProto, nodes: _Nodes) -> str:
    kind = "class" if node.op_type == "TreeEnsembleClassifier" else "target"
    tree, number = _array(node, f"{kind}_treeids"), _array(node, f"{kind}_nodeids")
    output = _array(node, f"{kind}_ids")
    weights = np.array(getattr(attribute(node, f"{kind}_weights"), "floats", []), np.float64)
    if len({len(each) for each in (tree, number, output, weights)}) != 1 or not len(tree):
        return "lacks some of its leaves' values"
    if not np.isfinite(weights).all():
        return "has a leaf that is no number"
    if (np.concatenate([tree, number]) < 0).any() or (number >= _ID_LIMIT).any() or (tree >= _ID_LIMIT).any():
        return "has a leaf with an impossible number"
    if not np.isin(tree * _ID_LIMIT + number, nodes.key[nodes.is_leaf]).all():
        return "has a value for a leaf that isn't one"
    outputs = _outputs(node, kind)
    if (output < 0).any() or (output >= outputs).any():
        return f"has a leaf for an output that isn't one of the {outputs}"
    if count(node, "base_values") not in (0, 1, outputs):
        return "has another number of base values than of outputs"
    return ""


def _outputs(node: NodeProto, kind: str) -> int:
    if kind == "target":
        found = attribute(node, "n_targets")
        return 0 if found is None else int(found.i)
    return _labels(node)


def _labels(node: NodeProto) -> int:
    names = ("classlabels_int64s", "classlabels_strings", "classlabels_ints")
    return max(count(node, name) for name in names)


def _check_linear_classifier(node: NodeProto, width: Width) -> None:
    classes = max(_labels(node), count(node, "intercepts"))
    allowed = {classes * width, width} if classes == 2 else {classes * width}
    if count(node, "coefficients") not in allowed or count(node, "intercepts") not in (0, 1, classes):
        raise Refused(
            f"The operator LinearClassifier has other weights than {classes} classes of {width} inputs need."
        )


def _check_linear_regressor(node: NodeProto, width: Width) -> None:
    found = attribute(node, "targets")
    targets = 1 if found is None else int(found.i)
    if count(node, "coefficients") != targets * width or count(node, "intercepts") not in (0, targets):
        raise Refused(
            f"The operator LinearRegressor has other weights than {targets} targets of {width} inputs need."
        )


def _per_column(*names: str) -> Callable[[NodeProto, Width], None]:
    def check(node: NodeProto, width: Width) -> None:
        wrong = [name for name in names if count(node, name) not in (0, 1, width)]
        if wrong:
            raise Refused(
                f"The operator {node.op_type} has a {wrong[0]!r} of another length than its {width} inputs."
            )

    return check


def _array(node: NodeProto, name: str) -> _Ints:
    return np.array(integers(node, name), np.int64)


SIZED: Final[Mapping[str, Callable[[NodeProto, Width], None]]] = {
    "TreeEnsembleClassifier": _check_trees,
    "TreeEnsembleRegressor": _check_trees,
    "LinearClassifier": _check_linear_classifier,
    "LinearRegressor": _check_linear_regressor,
    "Scaler": _per_column("offset", "scale"),
    "Imputer": _per_column("imputed_value_floats"),
}
"""What is checked, by operator."""
