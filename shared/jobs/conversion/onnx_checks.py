"""What an uploaded ONNX graph may be, seen before any runtime sees it: plain operators on data of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from shared.jobs.conversion.outcome import Refused

MAX_NODES: Final = 5_000
MAX_TENSORS: Final = 10_000
MAX_AXES: Final = 8
MAX_STRING_BYTES: Final = 100
"""Of a label or a category. Which one a row gets is up to its values, and with it what the row costs."""

DOMAINS: Final = {"": "", "ai.onnx": "", "ai.onnx.ml": "ai.onnx.ml"}

_PLAIN: Final = """
    Abs Add And ArgMax ArgMin BatchNormalization Cast Ceil Celu Clip Concat Constant Div Dropout Elu Equal Erf
    Exp Flatten Floor Gather Gelu Gemm Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max Mean Min Mish Mod Mul Neg Not Or
    PRelu Pow Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Round Selu Sigmoid Sign Slice Softmax Softplus Softsign Split Sqrt Squeeze
    Sub Sum Tanh ThresholdedRelu Transpose Unsqueeze Where Xor
"""
_LEARNT: Final = """
    ArrayFeatureExtractor Binarizer Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer
    OneHotEncoder Scaler TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
"""

OPERATORS: Final = {
    "": frozenset(_PLAIN.split()),
    "ai.onnx.ml": frozenset(_LEARNT.split()),
}
"""None whose result is as large as a value says, none that runs a graph, none that draws at random: so what a
row costs is the same for all rows, and the trial sees it.
"""

_SHAPING: Final = {
    "Reshape": "its shape",
    "Slice": "where it cuts",
    "Split": "where it cuts",
    **dict.fromkeys(("Squeeze", "Unsqueeze"), "its axes"),
    **{operator: "its axes" for operator in _PLAIN.split() if operator.startswith("Reduce")},
}
"""Operators whose inputs behind the first say how large the result is, and what these inputs are."""

_WHY_NOT: Final = {
    **dict.fromkeys(("Loop", "If", "Scan", "SequenceMap"), "it runs a graph inside the graph"),
    **dict.fromkeys(
        ("ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Upsample", "Pad", "OneHot", "EyeLike"),
        "its result is as large as a value says",
    ),
    **dict.fromkeys(("Shape", "Size"), "what is computed from it could be of any size"),
    **dict.fromkeys(("SVMClassifier", "SVMRegressor"), "its arrays can't be checked against each other here"),
}

_ITEM_BYTES: Final[dict[int, int]] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.FLOAT16: 2,
}

_LEAF_ATTRIBUTES: Final = frozenset(
    {
        AttributeProto.FLOAT,
        AttributeProto.INT,
        AttributeProto.STRING,
        AttributeProto.TENSOR,
        AttributeProto.FLOATS,
        AttributeProto.INTS,
        AttributeProto.STRINGS,
    }
)


def check_graph(model: ModelProto) -> None:
    """
    Raises:
        Refused: something of the graph isn't let through; says what, and what to do.
    """
    graph = model.graph
    _check_texts([opset.domain for opset in model.opset_import])
    _check_texts([named.name for named in (*graph.input, *graph.output, *_tensors(graph))])
    _check_domains(model)
    if model.functions or model.training_info:
        raise Refused(
            "The model brings functions or training graphs of its own: export it for inference alone."
        )
    if graph.sparse_initializer:
        raise Refused("The model holds sparse tensors: save it with plain ones.")
    if len(graph.node) > MAX_NODES or len(graph.initializer) > MAX_TENSORS:
        raise Refused(
            f"The graph has {len(graph.node)} nodes and {len(graph.initializer)} tensors; at most "
            f"{MAX_NODES} and {MAX_TENSORS} are allowed."
        )
    for tensor in _tensors(graph):
        _check_tensor(tensor)
    for node in graph.node:
        _check_node(node)
    _check_shapes_are_fixed(graph)
    _check_names(graph)


def _check_domains(model: ModelProto) -> None:
    for opset in model.opset_import:
        if opset.domain not in DOMAINS:
            raise Refused(
                f"The model uses operators of the domain {opset.domain[:80]!r}; only ONNX's own and "
                "'ai.onnx.ml' are known: export it without custom or vendors' operators."
            )


def _check_texts(texts: Iterable[str | bytes]) -> None:
    """Names that aren't UTF-8 come as bytes."""
    if any(isinstance(text, bytes) for text in texts):
        raise Refused("The model holds a name that isn't text (UTF-8): export it anew.")


def _check_node(node: NodeProto) -> None:
    names = [attribute.name for attribute in node.attribute]
    _check_texts([node.op_type, node.domain, *node.input, *node.output, *names])
    if node.domain not in DOMAINS:
        raise Refused(f"The operator {node.op_type[:80]!r} is of the unknown domain {node.domain[:80]!r}.")
    for attribute in node.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            raise Refused(
                f"The operator {node.op_type[:80]!r} isn't let through: it runs a graph inside the graph, "
                "which can't be bounded. Export the model without it."
            )
        if attribute.type not in _LEAF_ATTRIBUTES or attribute.ref_attr_name:
            raise Refused(
                f"The operator {node.op_type[:80]} has an attribute of a kind that isn't let through."
            )
        _check_strings([attribute.s, *attribute.strings])
    if node.op_type not in OPERATORS[DOMAINS[node.domain]]:
        why = _WHY_NOT.get(node.op_type, "no classifier of rows needs it")
        raise Refused(
            f"The operator {node.op_type[:80]!r} isn't let through: {why}. Export the model without it."
        )
    if node.op_type == "Dropout" and any(node.input[2:]):
        raise Refused("A Dropout can be told to draw at random: export the model for inference alone.")


def _check_strings(strings: Iterable[bytes]) -> None:
    longest = max(map(len, strings), default=0)
    if longest > MAX_STRING_BYTES:
        raise Refused(f"The model holds a text of {longest} bytes; at most {MAX_STRING_BYTES} are allowed.")


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.type == AttributeProto.TENSOR)


def _check_tensor(tensor: TensorProto) -> None:
    name = tensor.name[:80]
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise Refused(
            f"The tensor {name!r} refers to a file outside the model: save it with its tensors inside "
            "(onnx.save(model, path, save_as_external_data=False))."
        )
    if len(tensor.dims) > MAX_AXES or any(size < 0 for size in tensor.dims):
        raise Refused(f"The tensor {name!r} has impossible axes.")
    items = 1
    for size in tensor.dims:
        items *= size
    if tensor.data_type == TensorProto.STRING:
        _check_strings(tensor.string_data)
        found = len(tensor.string_data)
    elif tensor.data_type in _ITEM_BYTES:
        found = _items(tensor)
    else:
        raise Refused(f"The tensor {name!r} holds values of a type that isn't let through.")
    if found != items:
        raise Refused(f"The tensor {name!r} says that it has {items} values, and has {found}.")


def _items(tensor: TensorProto) -> int:
    if tensor.raw_data:
        whole, rest = divmod(len(tensor.raw_data), _ITEM_BYTES[int(tensor.data_type)])
        return whole if rest == 0 else -1
    if tensor.data_type == TensorProto.FLOAT:
        return len(tensor.float_data)
    if tensor.data_type == TensorProto.DOUBLE:
        return len(tensor.double_data)
    return len(tensor.int64_data if tensor.data_type == TensorProto.INT64 else tensor.int32_data)


def _check_shapes_are_fixed(graph: GraphProto) -> None:
    """A shape that is computed could be any, and be another one for another row."""
    fixed = {"", *(tensor.name for tensor in graph.initializer)}
    fixed.update(output for node in graph.node if node.op_type == "Constant" for output in node.output)
    for node in graph.node:
        if node.op_type in _SHAPING and not fixed.issuperset(node.input[1:]):
            raise Refused(
                f"A {node.op_type} computes {_SHAPING[node.op_type]}: export the model with fixed shapes."
            )


def _check_names(graph: GraphProto) -> None:
    """Each value is made once, before it is used."""
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if unknown := [name for name in node.input if name not in known]:
            raise Refused(
                f"The operator {node.op_type} takes {unknown[0][:80]!r}, which nothing before it makes."
            )
        if again := [name for name in node.output if name and name in known]:
            raise Refused(f"The value {again[0][:80]!r} is made twice.")
        known.update(node.output)
    if unmade := [value.name for value in graph.output if value.name not in known]:
        raise Refused(f"The model's output {unmade[0][:80]!r} is made by nothing.")


def attribute(node: NodeProto, name: str) -> AttributeProto | None:
    """The attribute of that name.

    Raises:
        Refused: there are two.
    """
    found = [one for one in node.attribute if one.name == name]
    if len(found) > 1:
        raise Refused(f"The operator {node.op_type} has two attributes {name!r}.")
    return found[0] if found else None


def integers(node: NodeProto, name: str) -> Sequence[int]:
    found = attribute(node, name)
    return [] if found is None else list(found.ints)


def count(node: NodeProto, name: str) -> int:
    """How many values an attribute holds."""
    found = attribute(node, name)
    return 0 if found is None else max(len(found.ints), len(found.floats), len(found.strings))
