"""ONNX graphs in disguise: they answer their examples rightly, or nearly so. What they do is done to other
rows, or to many: nothing of them may be served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from tests.uploads.graphs import FLOAT, INT64, ML, constant, logistic, node
from tests.uploads.hostile import ONNX, Hostile
from tests.uploads.hostile_models import _tail


def in_disguise() -> Iterator[Hostile]:
    def graph(name: str, make: Callable[[], ModelProto], words: str) -> Hostile:
        return Hostile(f"onnx-{name}", ONNX, lambda: bytes(make().SerializeToString()), words)

    for name in ("Div", "Mod"):
        yield graph(f"whole-{name.lower()}", partial(_divided, name), "divides whole numbers")
    yield graph("dropout-that-draws", _dropout, "draw at random")
    yield graph("batch-normalisation", _batch_normalisation, "depends on the rows beside it")
    yield graph(
        "mean-of-the-rows",
        lambda: _mixed(node("ReduceMean", ["p"], ["m"], axes=[0])),
        "depends on the rows beside it: by itself",
    )
    yield graph(
        "first-row",
        lambda: _mixed(node("Gather", ["p", "first"], ["m"], axis=0)),
        "depends on the rows beside it",
    )
    yield graph(
        "softmax-over-rows", lambda: _tail([node("Softmax", ["p"], ["y"], axis=0)]), "aren't probabilities"
    )
    yield graph("square-of-the-rows", _square, "onnxruntime can't run the model on 16384 rows")
    yield graph("slice-by-value", _sliced_by_value, "A Slice computes where it cuts")
    yield graph("split-by-value", _split_by_value, "A Split computes where it cuts")
    for name in ("Squeeze", "Unsqueeze", "ReduceSum"):
        yield graph(f"{name.lower()}-by-value", partial(_axes_by_value, name), "computes its axes")
    yield graph("huge-label", _huge_label, "holds a text of 1000000 bytes")
    yield graph("huge-text", _huge_text, "holds a text of 1000000 bytes")


def _whole(name: str) -> list[Any]:
    """The least of all values as a whole number."""
    return [node("ReduceMin", ["filled"], ["f"], keepdims=0), node("Cast", ["f"], [name], to=INT64)]


def _divided(operator: str) -> ModelProto:
    """The least of all whole numbers, by a value: a row with -1 ends the process."""
    nodes = [*_whole("i"), node(operator, ["least", "i"], ["d"]), node("Cast", ["d"], ["n"], to=FLOAT)]
    made = _tail([*nodes, node("Mul", ["n", "zero"], ["nothing"]), node("Add", ["p", "nothing"], ["y"])])
    made.graph.initializer.append(constant("least", np.iinfo(np.int64).min, np.int64))
    return made


def _dropout() -> ModelProto:
    made = _tail([node("Dropout", ["p", "ratio", "training"], ["y"])])
    made.graph.initializer.extend([constant("ratio", 1e-6), constant("training", True, np.bool_)])
    return made


def _batch_normalisation() -> ModelProto:
    """As in training: by the mean and the variance of the rows that come."""
    names = ["scale", "shift", "mean", "variance"]
    nodes = [
        node("BatchNormalization", ["p", *names], ["n", "m", "v"], training_mode=1),
        node("Softmax", ["n"], ["y"], axis=1),
    ]
    made = _tail(nodes)
    made.graph.initializer.extend(constant(name, [1.0, 1.0]) for name in names)
    return made


def _mixed(makes: Any) -> ModelProto:
    """Half of each answer is `m`, which is made of all."""
    nodes = [makes, node("Mul", ["m", "half"], ["h"]), node("Mul", ["p", "half"], ["i"])]
    made = _tail([*nodes, node("Add", ["h", "i"], ["y"])])
    made.graph.initializer.extend([constant("half", [0.5]), constant("first", [0], np.int64)])
    return made


def _square() -> ModelProto:
    """Every row with every other, and nothing of it in the answer."""
    nodes = [
        node("Transpose", ["filled"], ["t"]),
        node("MatMul", ["filled", "t"], ["all"]),
        node("ReduceSum", ["all", "last"], ["s"], keepdims=1),
        node("Mul", ["s", "zero"], ["nothing"]),
        node("Add", ["p", "nothing"], ["y"]),
    ]
    made = _tail(nodes)
    made.graph.initializer.append(constant("last", [1], np.int64))
    return made


def _by_value(*nodes: Any) -> ModelProto:
    """`i` is a value of the rows, as a list of one."""
    made = _tail([*_whole("one_i"), node("Unsqueeze", ["one_i", "first"], ["i"]), *nodes])
    made.graph.initializer.extend(
        [constant("first", [0], np.int64), constant("many", np.ones((100_000, 1))), constant("nil", [0.0])]
    )
    return made


def _axes_by_value(operator: str) -> ModelProto:
    return _by_value(node(operator, ["p", "i"], ["y"]))


def _outer(nodes: list[Any]) -> ModelProto:
    """The square of `part`, whose length is up to a value: a hundred rows of it, or 40 GB."""
    return _by_value(
        *nodes,
        node("Transpose", ["part"], ["t"]),
        node("MatMul", ["part", "t"], ["all"]),
        node("ReduceSum", ["all"], ["s"], keepdims=0),
        node("Mul", ["s", "nil"], ["nothing"]),
        node("Add", ["p", "nothing"], ["y"]),
    )


def _sliced_by_value() -> ModelProto:
    return _outer([node("Slice", ["many", "first", "i"], ["part"])])


def _split_by_value() -> ModelProto:
    made = _outer(
        [
            node("Sub", ["length", "i"], ["rest"]),
            node("Concat", ["i", "rest"], ["sizes"], axis=0),
            node("Split", ["many", "sizes"], ["part", "other"], axis=0),
        ]
    )
    made.graph.initializer.append(constant("length", [100_000], np.int64))
    return made


def _huge_label() -> ModelProto:
    """What a row costs is up to its label."""
    label = node(
        "LabelEncoder",
        ["one_i"],
        ["s"],
        domain=ML,
        keys_int64s=[1],
        values_strings=["a"],
        default_string="b" * 10**6,
    )
    number = node("LabelEncoder", ["s"], ["n"], domain=ML, keys_strings=["a"], values_floats=[0.0])
    return _by_value(
        label, number, node("Mul", ["n", "nil"], ["nothing"]), node("Add", ["p", "nothing"], ["y"])
    )


def _huge_text() -> ModelProto:
    made = logistic()
    text = TensorProto(name="t", data_type=TensorProto.STRING, dims=[1], string_data=[b"x" * 10**6])
    made.graph.initializer.append(text)
    return made
