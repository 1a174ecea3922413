"""ONNX graphs from elsewhere: checked, then rewritten to the form that is served.

`input` float32 (rows, columns) goes in, `probabilities` float32 (rows, classes) comes out; labels, maps,
names and notes are left behind. What nodes compute isn't touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import onnx
import onnxruntime
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from shared.jobs.conversion.onnx_checks import check_graph
from shared.jobs.conversion.onnx_divisions import check_divisions
from shared.jobs.conversion.onnx_sized import SIZED, check_sized
from shared.jobs.conversion.outcome import Converted, Refused, Rows
from shared.registry.scorer import INPUT, OUTPUT
from shared.training.export import Points
from shared.uploads.request import UploadRequest

_OPSET: Final = 17
_SUM_TOLERANCE: Final = 1e-3
_MAX_SIZED: Final = 64
"""Distinct inputs of operators whose width is asked for: each takes a session."""

_FLOATS: Final = (TensorProto.FLOAT, TensorProto.DOUBLE)


def from_onnx(content: bytes, request: UploadRequest) -> Converted:
    """
    Raises:
        Refused: not such a model, or one that isn't let through; says why.
    """
    model = _parsed(content)
    check_graph(model)
    rewriting = _Rewriting(model, columns=len(request.columns), classes=len(request.classes))
    rows = request.check()
    rewriting.check_divisions()
    rewriting.check_sized(rows)
    rewriting.bring_to_probabilities(rows)
    return Converted(rewriting.finished(), "onnx", {"nodes": len(model.graph.node)}, None, Points.none())


def _parsed(content: bytes) -> ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's, whose package isn't to be named outside the platform's adapters
        raise Refused(f"The file isn't an ONNX model, is cut off, or nested too deeply: {error}") from error
    if not model.graph.node:
        raise Refused("The model's graph is empty.")
    return model


class _Rewriting:
    """A checked model on its way to the form that is served. Its values get numbers for names."""

    def __init__(self, model: ModelProto, *, columns: int, classes: int) -> None:
        graph = model.graph
        self._columns = columns
        self._classes = classes
        self._opsets = _opsets(model)
        self._ir_version = model.ir_version
        given = _input(graph, columns)
        names = _numbered(graph)
        names[given.name] = INPUT
        self._nodes = [_plain(node, names) for node in graph.node]
        self._tensors = {names[tensor.name]: _renamed(tensor, names) for tensor in graph.initializer}
        self._answer = names[_answer(graph)]
        if given.type.tensor_type.elem_type == TensorProto.DOUBLE:
            self._take_float()

    def check_sized(self, rows: Rows) -> None:
        """Check the operators that trust their indices, in order: each after all that it depends on.

        Raises:
            Refused
        """
        widths: dict[str, int] = {}
        for node in self._nodes:
            if node.op_type not in SIZED:
                continue
            name = node.input[0]
            if name not in widths:
                if len(widths) >= _MAX_SIZED:
                    raise Refused(f"The model has more than {_MAX_SIZED} trees or linear parts in a row.")
                widths[name] = self._width(name, rows[:1])
            check_sized(node, widths[name])

    def check_divisions(self) -> None:
        """Check them before anything is run.

        Raises:
            Refused
        """
        check_divisions(self._model(self._answer, None))

    def bring_to_probabilities(self, rows: Rows) -> None:
        """See what the answer to `rows` looks like, and bring it to (rows, classes).

        Raises:
            Refused: it isn't a probability per class.
        """
        found = self._run(self._answer, rows)
        if found.shape in ((len(rows), 1), (len(rows),)) and self._classes == 2:
            self._add_other_class(found)
        elif found.shape != (len(rows), self._classes):
            raise Refused(
                f"To {len(rows)} rows the model answers an array of shape {found.shape}; it must be "
                f"({len(rows)}, {self._classes}), a probability for each of 'classes'."
            )

    def finished(self) -> bytes:
        """The model in the form that is served. Equal models give equal bytes."""
        model = self._model(self._answer, ["rows", self._classes])
        return bytes(model.SerializeToString(deterministic=True))

    def _take_float(self) -> None:
        """Widen the rows for a graph that computes in float64."""
        nodes = [_plain(node, {INPUT: "wide"}) for node in self._nodes]
        self._nodes = [helper.make_node("Cast", [INPUT], ["wide"], to=TensorProto.DOUBLE), *nodes]

    def _add_other_class(self, found: Rows) -> None:
        """One probability is that of the last class. A logit is told from it by its range alone."""
        if not ((found >= -_SUM_TOLERANCE) & (found <= 1 + _SUM_TOLERANCE)).all():
            raise Refused(
                "The model answers one number a row, and it isn't a probability: end the model with a "
                f"Sigmoid (found {float(np.min(found)):.4g} to {float(np.max(found)):.4g})."
            )
        self._tensors["one"] = numpy_helper.from_array(np.array([1.0], np.float32), "one")
        self._tensors["column"] = numpy_helper.from_array(np.array([-1, 1], np.int64), "column")
        self._nodes += [
            helper.make_node("Cast", [self._answer], ["flat"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["flat", "column"], ["last"]),
            helper.make_node("Sub", ["one", "last"], ["first"]),
            helper.make_node("Concat", ["first", "last"], ["both"], axis=1),
        ]
        self._answer = "both"

    def _width(self, name: str, rows: Rows) -> int:
        shape = self._run(name, rows).shape
        if len(shape) != 2:
            raise Refused(f"A part of the model takes an array of shape {shape}, not rows of columns.")
        return int(shape[1])

    def _run(self, name: str, rows: Rows) -> Rows:
        """The value called `name`, for rows. Only nodes that it depends on are run."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        model = self._model(name, None).SerializeToString()
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            found: Rows = np.asarray(session.run([OUTPUT], {INPUT: rows})[0])
        except Exception as error:  # its errors have no base of their own
            raise Refused(f"onnxruntime can't run the model: {str(error)[:400]}") from error
        return found

    def _model(self, answer: str, shape: Sequence[str | int] | None) -> ModelProto:
        """The model from `input` to `probabilities`, which are of this shape, or of any."""
        needed = _needed(self._nodes, answer)
        last = helper.make_node("Cast", [answer], [OUTPUT], to=TensorProto.FLOAT)
        used = {name for node in needed for name in node.input} | {answer}
        tensors = [tensor for name, tensor in self._tensors.items() if name in used]
        graph = helper.make_graph(
            [*needed, last],
            "classifier",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", self._columns])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)],
            tensors,
        )
        return helper.make_model(
            graph, opset_imports=self._opsets, ir_version=self._ir_version, producer_name="mlengine"
        )


def _opsets(model: ModelProto) -> list[onnx.OperatorSetIdProto]:
    """Those of the model, with ONNX's own where it lacks that: the last cast is of it."""
    versions = {opset.domain.removeprefix("ai.onnx") or "": opset.version for opset in model.opset_import}
    versions = {f"ai.onnx{domain}" if domain else "": version for domain, version in versions.items()}
    return [helper.make_opsetid(*pair) for pair in sorted({"": _OPSET, **versions}.items())]


def _input(graph: GraphProto, columns: int) -> ValueInfoProto:
    """The one input that isn't a constant.

    Raises:
        Refused: there are several, or it can't take rows of so many columns.
    """
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise Refused(
            f"The model has {len(inputs)} inputs; it must have one, a float tensor of rows and columns "
            "(skl2onnx: convert it with one array X[:1].astype('float32'), not with a data frame)."
        )
    value: ValueInfoProto = inputs[0]
    found = value.type.tensor_type
    axes = list(found.shape.dim)
    if found.elem_type not in _FLOATS or len(axes) != 2:
        raise Refused("The model's input must be a float tensor with two axes: rows and columns.")
    if axes[0].HasField("dim_value") and axes[0].dim_value > 0:
        raise Refused(
            f"The model takes exactly {axes[0].dim_value} rows at a time: export it with a first axis of any "
            "length (PyTorch: dynamic_shapes)."
        )
    if axes[1].HasField("dim_value") and axes[1].dim_value > 0 and axes[1].dim_value != columns:
        raise Refused(f"The model takes {axes[1].dim_value} inputs; 'columns' names {columns}.")
    return value


def _answer(graph: GraphProto) -> str:
    """The name of the value with the probabilities; a map of them is made of one that is taken instead.

    Raises:
        Refused: no output, or several ones, may be it.
    """
    maps = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "ZipMap"}
    mapped = [maps[value.name] for value in graph.output if value.name in maps]
    floats = [value.name for value in graph.output if value.type.tensor_type.elem_type in _FLOATS]
    likely = [name for name in floats if "prob" in name.lower()]
    for found in (mapped, likely, floats):
        if len(found) == 1:
            return str(found[0])
    names = ", ".join(value.name[:40] for value in graph.output) or "none"
    raise Refused(
        f"None of the model's outputs ({names}), or several, may be the probabilities: it needs one float "
        "tensor of rows and classes, called 'probabilities' where there are others."
    )


def _numbered(graph: GraphProto) -> dict[str, str]:
    """A number for each name, in order of appearance: so no name means anything, or clashes with ours."""
    names = [tensor.name for tensor in graph.initializer]
    names += [name for node in graph.node for name in (*node.input, *node.output)]
    names += [value.name for value in (*graph.input, *graph.output)]
    numbers = {name: f"v{number}" for number, name in enumerate(dict.fromkeys(filter(None, names)))}
    return {**numbers, "": ""}


def _plain(node: NodeProto, names: dict[str, str]) -> NodeProto:
    """The node with other names for its values, and without names and notes of its own."""
    plain = NodeProto()
    plain.CopyFrom(node)
    for field in ("name", "doc_string", "metadata_props", "overload"):
        plain.ClearField(field)
    for values in (plain.input, plain.output):
        values[:] = [names.get(name, name) for name in values]
    return plain


def _renamed(tensor: TensorProto, names: dict[str, str]) -> TensorProto:
    renamed = TensorProto()
    renamed.CopyFrom(tensor)
    renamed.ClearField("doc_string")
    renamed.name = names[tensor.name]
    return renamed


def _needed(nodes: Sequence[NodeProto], answer: str) -> list[NodeProto]:
    """The nodes that a value depends on, in their order."""
    return list(_from_last(nodes, {answer}))[::-1]


def _from_last(nodes: Sequence[NodeProto], wanted: set[str]) -> Iterator[NodeProto]:
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            yield node
