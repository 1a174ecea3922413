"""Builds an ONNX graph node by node; names are numbered, so equal models give equal bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from shared.registry.scorer import INPUT, OUTPUT
from shared.training.export.ensemble import Tree, TreeEnsemble
from shared.training.export.memberships import add_memberships, places

OPSET: Final = 17
TREES_OPSET: Final = 3
IR_VERSION: Final = 8
"""The oldest versions that hold all that is used: every runtime of the last years can read the model."""

TREES_DOMAIN: Final = "ai.onnx.ml"


class Graph:
    """Nodes and constants in the making. What `add` returns is the name of the node's output."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def add(
        self,
        operator: str,
        *inputs: str | NDArray[Any],
        output: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Append a node; arrays among the inputs become constants."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, names, [output], domain=domain, **attributes))
        return output

    def to_float64(self, x: str) -> str:
        return self.add("Cast", x, to=TensorProto.DOUBLE)

    def to_float32(self, x: str) -> str:
        return self.add("Cast", x, to=TensorProto.FLOAT)

    def finish(self, probabilities: str, *, features: int, classes: int) -> bytes:
        """The model's bytes, with `probabilities` as its output in float32."""
        self.add("Cast", probabilities, output=OUTPUT, to=TensorProto.FLOAT)
        model = helper.make_model(
            self._graph(features, classes),
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(TREES_DOMAIN, TREES_OPSET)],
            ir_version=IR_VERSION,
            producer_name="mlengine",
        )
        return bytes(model.SerializeToString(deterministic=True))

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def _graph(self, features: int, classes: int) -> GraphProto:
        rows = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", features])
        scores = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", classes])
        return helper.make_graph(self._nodes, "classifier", [rows], [scores], self._constants)


def add_trees(graph: Graph, x: str, ensemble: TreeEnsemble) -> str:
    """Append the ensemble; its output is (rows, outputs) float32.

    Raises:
        ExportRefused: its splits on categories need too large a table.
    """
    return graph.add(
        "TreeEnsembleRegressor",
        add_memberships(graph, x, ensemble.memberships),
        domain=TREES_DOMAIN,
        n_targets=len(ensemble.base),
        base_values=ensemble.base.tolist(),
        **_node_attributes(ensemble),
        **_leaf_attributes(ensemble.trees),
    )


def _node_attributes(ensemble: TreeEnsemble) -> dict[str, Any]:
    trees = ensemble.trees
    leaf = np.concatenate([tree.is_leaf for tree in trees])
    inner = "BRANCH_LT" if ensemble.strict else "BRANCH_LEQ"
    column, memberships = places(ensemble.memberships), len(ensemble.memberships)

    def laid(arrays: list[NDArray[Any]]) -> list[Any]:
        return list(np.where(leaf, 0, np.concatenate(arrays)).tolist())

    def placed(feature: NDArray[np.int64]) -> NDArray[np.int64]:
        """Features stand behind the memberships. What a leaf says of a feature means nothing."""
        of_membership = (feature < 0) & (feature >= -memberships)
        found = feature + memberships
        found[of_membership] = column[~feature[of_membership]]
        return found

    return {
        "nodes_treeids": np.repeat(np.arange(len(trees)), [len(tree.left) for tree in trees]).tolist(),
        "nodes_nodeids": np.concatenate([np.arange(len(tree.left)) for tree in trees]).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", inner).tolist(),
        "nodes_featureids": laid([placed(tree.feature) for tree in trees]),
        "nodes_values": laid([tree.threshold for tree in trees]),
        "nodes_truenodeids": laid([tree.left for tree in trees]),
        "nodes_falsenodeids": laid([tree.right for tree in trees]),
        "nodes_missing_value_tracks_true": laid([tree.missing_left.astype(np.int64) for tree in trees]),
    }


def _leaf_attributes(trees: tuple[Tree, ...]) -> dict[str, Any]:
    """One entry per leaf and output it adds to; all trees of a model add to equally many."""
    outputs = np.arange(trees[0].value.shape[1])
    leaves = [np.flatnonzero(tree.is_leaf) for tree in trees]
    counts = [len(nodes) for nodes in leaves]
    first_output = np.repeat([tree.first_output for tree in trees], counts)
    weights = np.concatenate([tree.value[nodes] for tree, nodes in zip(trees, leaves, strict=True)])
    return {
        "target_treeids": np.repeat(np.arange(len(trees)), np.multiply(counts, len(outputs))).tolist(),
        "target_nodeids": np.repeat(np.concatenate(leaves), len(outputs)).tolist(),
        "target_ids": (first_output[:, None] + outputs).ravel().tolist(),
        "target_weights": weights.ravel().tolist(),
    }
