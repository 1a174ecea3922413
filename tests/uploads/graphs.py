"""ONNX graphs as exporters write them, and as nobody should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.uploads.made import COLUMNS, rows

WIDTH = len(COLUMNS)
FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64
ML = "ai.onnx.ml"

WEIGHTS = np.linspace(-0.02, 0.03, WIDTH).astype(np.float32)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    return helper.make_node(operator, list(inputs), list(outputs), **attributes)


def constant(name: str, values: Any, dtype: Any = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def model(
    nodes: Sequence[NodeProto],
    *,
    tensors: Sequence[TensorProto] = (),
    outputs: Sequence[Any] | None = None,
    inputs: Sequence[Any] | None = None,
    domains: Sequence[tuple[str, int]] = (("", 17), (ML, 3)),
    **more: Any,
) -> ModelProto:
    """A model of these nodes, from `x` (rows, columns) to `p` (rows, 2)."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        list(inputs or [helper.make_tensor_value_info("x", FLOAT, [None, WIDTH])]),
        [helper.make_tensor_value_info("p", FLOAT, [None, 2])] if outputs is None else list(outputs),
        list(tensors),
    )
    opsets = [helper.make_opsetid(*domain) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)


def logistic(**more: Any) -> ModelProto:
    """A logistic regression that fills what is missing with 0; it gives both probabilities."""
    return model([*LOGIT, *BOTH], tensors=[*FIXED], **more)


LOGIT = [
    node("IsNaN", ["x"], ["gone"]),
    node("Where", ["gone", "zero", "x"], ["filled"]),
    node("Gemm", ["filled", "w", "b"], ["z"]),
]
BOTH = [
    node("Sigmoid", ["z"], ["q"]),
    node("Sub", ["one", "q"], ["r"]),
    node("Concat", ["r", "q"], ["p"], axis=1),
]
FIXED = [constant("zero", 0.0), constant("one", 1.0), constant("w", WEIGHTS[:, None]), constant("b", [0.1])]


def logistic_answers(count: int = 10) -> NDArray[np.float64]:
    z = np.nan_to_num(rows()[:count]).astype(np.float64) @ WEIGHTS.astype(np.float64) + np.float32(0.1)
    up = 1 / (1 + np.exp(-z))
    return np.column_stack([1 - up, up])


def trees(**changes: Any) -> NodeProto:
    """A classifier of one stump on the first column; `changes` are of its attributes."""
    attributes: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_featureids": [0, 0, 0],
        "nodes_values": [50.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "class_treeids": [0, 0, 0, 0],
        "class_nodeids": [1, 1, 2, 2],
        "class_ids": [0, 1, 0, 1],
        "class_weights": [0.8, 0.2, 0.3, 0.7],
        "classlabels_int64s": [0, 1],
        "post_transform": "NONE",
    }
    chosen = {name: value for name, value in {**attributes, **changes}.items() if value is not None}
    return helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "p"], domain=ML, **chosen)


def stump(**changes: Any) -> ModelProto:
    return model([trees(**changes)])


def stump_answers(count: int = 10) -> NDArray[np.float64]:
    left = rows()[:count, 0] <= 50
    return np.where(left[:, None], [0.8, 0.2], [0.3, 0.7])
