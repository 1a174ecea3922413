"""Divisions of whole numbers: the one operator that is let through and can end the process that runs it.

A processor traps where the least of all whole numbers is divided by -1, and runtimes don't look. The trial
needn't meet such a row; whoever serves the model would.
"""

from __future__ import annotations

from typing import Final

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.shape_inference import infer_shapes

from shared.jobs.conversion.outcome import Refused

_DIVIDING: Final = frozenset({"Div", "Mod"})
_FLOATS: Final = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16})
_OF_FLOATS: Final = frozenset({"LinearRegressor", "Normalizer", "Scaler"})
"""Operators that ONNX's inference of types doesn't know, and that give floats."""


def check_divisions(model: ModelProto) -> None:
    """
    Raises:
        Refused: whole numbers are divided by something else than constants above 0.
    """
    dividing = [node for node in model.graph.node if node.op_type in _DIVIDING]
    if not dividing:
        return
    types = _types(model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in dividing:
        divisor = tensors.get(node.input[1])
        is_safe = divisor is not None and bool((numpy_helper.to_array(divisor) > 0).all())
        if types.get(node.output[0]) not in _FLOATS and not is_safe:
            raise Refused(
                f"A {node.op_type} divides whole numbers by what isn't a constant above 0, which can end the "
                "process: compute it with floats."
            )


def _types(model: ModelProto) -> dict[str, int]:
    """The type of each value's elements, where that can be told."""
    known = ModelProto()
    known.CopyFrom(model)
    known.graph.value_info.extend(
        helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)
        for node in model.graph.node
        if _gives_floats(node)
    )
    found = infer_shapes(known).graph.value_info
    return {value.name: value.type.tensor_type.elem_type for value in found}


def _gives_floats(node: NodeProto) -> bool:
    if node.op_type == "Imputer":
        return any(attribute.name == "imputed_value_floats" for attribute in node.attribute)
    return node.op_type in _OF_FLOATS
