"""Between a tabular model's columns and the tensors of the Open Inference Protocol."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import FieldError
from shared.serving.loaded import LoadedModel
from shared.serving.protocols.oip import InferAnswer, InferBody, InputTensor, OutputAnswer
from shared.serving.protocols.oip_answers import ModelMetadata, TensorShape
from shared.serving.protocols.tensors import Datatype, bytes_of_texts, faulty
from shared.serving.tabular import MAX_ERRORS, Place, Scored, refused
from shared.tabular import Column, Columns
from shared.tabular.codes import expected_code

ENCODED: Final = "input"
"""The one tensor of encoded rows."""

PROBABILITIES, LABEL, PREDICTION_ID = OUTPUTS = ("probabilities", "label", "prediction_id")

_DATATYPES: Final[Mapping[str, Datatype]] = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}
_SHORT_FLOATS: Final[Mapping[str, type[np.floating[Any]]]] = {"FP16": np.float16, "FP32": np.float32}


@dataclass(frozen=True, slots=True)
class TensorPlace(Place):
    """Rows that come as a tensor for each column; `tensors` are their places by the columns' names."""

    tensors: Mapping[str, int] = field(default_factory=dict)

    def of(self, row: int, column: str) -> str:
        name = column[1:].replace("~1", "/").replace("~0", "~")
        number = self.tensors.get(name)
        return self.pointer if number is None else f"{self.pointer}/{number}/data/{row}"


def metadata(name: str, loaded: LoadedModel) -> ModelMetadata:
    """What the model takes and gives; `name` is what the caller calls it.

    Raises:
        InvalidInput: it is no tabular model.
    """
    columns, manifest = loaded.columns, loaded.manifest
    classes = len(manifest.classes)
    return ModelMetadata(
        name=name,
        versions=[version_of(loaded)],
        inputs=[TensorShape(name=c.name, datatype=_datatype(c), shape=[-1, 1]) for c in columns.columns],
        outputs=[
            TensorShape(name=PROBABILITIES, datatype="FP32", shape=[-1, classes]),
            TensorShape(name=LABEL, datatype="BYTES", shape=[-1]),
            TensorShape(name=PREDICTION_ID, datatype="BYTES", shape=[-1]),
        ],
        parameters={
            "model_id": loaded.version_id,
            "problem": manifest.problem,
            "classes": list(manifest.classes),
            "threshold": manifest.threshold,
            "columns": [column.model_dump(mode="json") for column in columns.columns],
            "encoded_input": {"name": ENCODED, "datatype": "FP32", "shape": [-1, len(columns)]},
        },
    )


def is_encoded(body: InferBody, columns: Columns) -> bool:
    """Whether the rows come encoded, in one tensor: by its name or, where all columns are of numbers, which
    are their own codes, by its shape. KServe's and MLServer's clients call it as they like ("input-0").
    """
    if any(tensor.name == ENCODED for tensor in body.inputs) and ENCODED not in columns.names:
        return True
    first, *others = body.inputs
    if others or first.name in columns.names or first.shape[1:] != [len(columns)]:
        return False
    return all(column.type != "category" for column in columns.columns)


def codes(body: InferBody, columns: Columns) -> NDArray[np.float32]:
    """The encoded rows (n, columns) of a request that has them.

    Raises:
        InvalidInput: another shape, or codes that no row has: each is named.
    """
    if len(body.inputs) > 1:
        raise faulty("/inputs", f"{ENCODED!r} holds whole rows: send it alone, or a tensor for each column")
    (tensor,) = body.inputs
    if tensor.datatype == "BYTES":
        raise faulty("/inputs/0/datatype", "must be FP32, or other numbers; found BYTES")
    if len(tensor.shape) != 2 or tensor.shape[1] != len(columns):
        raise faulty("/inputs/0/shape", f"must be [n, {len(columns)}], found {tensor.shape}")
    (values,) = body.values()
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused for it
        x = np.array(values, np.float64).astype(np.float32).reshape(tensor.shape)
    wrong = np.flatnonzero(~columns.code_check.good(x))
    if len(wrong):  # a request may have a million: no more words are made than are told
        raise refused(_complaints(columns, x, wrong[:MAX_ERRORS]), count=len(wrong))
    return x


def rows(body: InferBody, columns: Columns) -> tuple[list[dict[str, Any]], TensorPlace]:
    """The rows of a request with a tensor for each column, to be encoded as rows of JSON are, and where each
    value came from.

    Raises:
        InvalidInput: tensors that don't fit together or the columns.
    """
    by_name = columns.by_name
    place = TensorPlace(tensors={tensor.name: n for n, tensor in enumerate(body.inputs)})
    count = body.inputs[0].shape[0]
    for number, tensor in enumerate(body.inputs):
        _check_tensor(tensor, number, count, by_name, place)
    lacking = [c.name for c in columns.columns if not c.nullable and c.name not in place.tensors]
    if lacking:
        errors = [FieldError("/inputs", f"must have a tensor {name!r}") for name in lacking]
        raise refused(errors)
    named = {
        tensor.name: _values(by_name[tensor.name], tensor, values)
        for tensor, values in zip(body.inputs, body.values(), strict=True)
    }
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)], place


def answer(
    wanted: Mapping[str, bool], name: str, id: str | None, scored: Scored, request_id: str
) -> tuple[InferAnswer, bytes]:
    """The answer of the outputs that are `wanted`, and the bytes that follow its JSON. `name` is what the
    caller calls the model, `id` the request.
    """
    outputs, tail = [], b""
    for output, is_binary in wanted.items():
        shape, datatype, values = _output(output, scored)
        if not is_binary:
            data = values if isinstance(values, list) else values.ravel().tolist()
            outputs.append(OutputAnswer(name=output, datatype=datatype, shape=shape, data=data))
            continue
        content = bytes_of_texts(values) if isinstance(values, list) else values.astype("<f4").tobytes()
        size = {"binary_data_size": len(content)}
        outputs.append(OutputAnswer(name=output, datatype=datatype, shape=shape, parameters=size))
        tail += content
    told = InferAnswer(
        model_name=name,
        model_version=version_of(scored.model),
        id=id,
        parameters={"model_id": scored.model.version_id, "request_id": request_id},
        outputs=outputs,
    )
    return told, tail


def version_of(loaded: LoadedModel) -> str:
    """The number of a version, as the protocol has it."""
    return loaded.version_id.rpartition("-v")[2]


def _datatype(column: Column) -> Datatype:
    if column.type == "category":
        return "BYTES" if isinstance(column.categories[0], str) else "INT64"
    return _DATATYPES[column.type]


def _output(name: str, scored: Scored) -> tuple[list[int], str, list[str] | NDArray[np.float32]]:
    if name == PROBABILITIES:
        return list(scored.probabilities.shape), "FP32", scored.probabilities
    texts = [one.label if name == LABEL else one.prediction_id for one in scored.predictions]
    return [len(texts)], "BYTES", texts


def _check_tensor(
    tensor: InputTensor, number: int, count: int, known: Mapping[str, Column], place: TensorPlace
) -> None:
    pointer = f"/inputs/{number}"
    if tensor.name not in known:
        near = difflib.get_close_matches(tensor.name, known, n=1)
        hint = f"; is {near[0]!r} meant?" if near else f"; encoded rows come in {ENCODED!r}"
        raise faulty(f"{pointer}/name", f"{tensor.name!r} is no column of this model{hint}")
    if place.tensors[tensor.name] != number:
        raise faulty(f"{pointer}/name", f"{tensor.name!r} comes twice")
    if tensor.shape not in ([count], [count, 1]):
        raise faulty(f"{pointer}/shape", f"must be [{count}] or [{count}, 1], found {tensor.shape}")


def _values(column: Column, tensor: InputTensor, values: Sequence[Any]) -> Sequence[Any]:
    """Values as rows of JSON have them: of a boolean column true and false, and no float beyond a bound only
    because it came as a short one.
    """
    if column.type == "boolean" and tensor.datatype not in ("BOOL", "BYTES"):
        return [bool(value) if value in (0, 1) else value for value in values]
    short = _SHORT_FLOATS.get(tensor.datatype)
    if short is None or column.type not in ("number", "integer"):
        return values
    low, high = column.bounds
    if all(value is None or low <= value <= high for value in values):
        return values
    with np.errstate(over="ignore"):
        nearest = {float(short(low)): low, float(short(high)): high}
    return [nearest.get(value, value) for value in values]


def _complaints(columns: Columns, x: NDArray[np.float32], places: NDArray[np.intp]) -> Iterator[FieldError]:
    """Of the codes at these places, which no row has."""
    for place in places.tolist():
        column, code = columns.columns[place % len(columns)], float(x.flat[place])
        found = "nothing" if math.isnan(code) else f"{code:g}"
        yield FieldError(
            f"/inputs/0/data/{place}", f"{column.name} must be {expected_code(column)}, found {found}"
        )
