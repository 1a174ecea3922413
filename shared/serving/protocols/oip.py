"""Requests and answers of the Open Inference Protocol, version 2, over REST.

Source: Open Inference Protocol 2 (KServe), "HTTP/REST"; Triton's binary tensor data extension, by which a
request's or an answer's JSON is followed by the bytes of its tensors, and a header says how long the JSON is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

from pydantic import ConfigDict, Field, PrivateAttr

from shared.errors import MalformedRequest, UnsupportedMediaType
from shared.schema import Answer, Body
from shared.serving.protocols.tensors import Datatype, faulty, values_of_bytes, values_of_json
from shared.serving.rows import MOST_ROWS, ROWS_LIMIT_BYTES

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
BINARY_TYPE: Final = "application/octet-stream"
MOST_TENSORS: Final = 4_000
_REFUSED: Final = {
    "classification": "ask for the outputs 'label' and 'probabilities'",
    "shared_memory_region": "send the data in the request",
}

Parameters: TypeAlias = Annotated[dict[str, Any], Field(default_factory=dict)]


class _Part(Body):
    """Parts that the protocol may extend: members that aren't known here are passed over."""

    model_config = ConfigDict(extra="ignore")


class InputTensor(_Part):
    """One tensor: `data` in row-major order, flat or nested, or bytes after the JSON."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=2)]
    datatype: Datatype
    parameters: Parameters
    data: list[Any] | None = None

    @property
    def count(self) -> int:
        return self.shape[0] * (self.shape[1] if len(self.shape) > 1 else 1)


class OutputTensor(_Part):
    """An output that is asked for."""

    name: str
    parameters: Parameters


class InferBody(_Part):
    """Rows for a tabular model: a tensor for each column, `[n]` or `[n, 1]`, or one FP32 tensor `input`,
    `[n, columns]`, of encoded rows.
    """

    media_types: ClassVar[tuple[str, ...]] = ("application/json", BINARY_TYPE, "")
    limit_bytes: ClassVar[int] = ROWS_LIMIT_BYTES

    id: Annotated[str, Field(max_length=200)] | None = None
    parameters: Parameters
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=MOST_TENSORS)]
    outputs: Annotated[list[OutputTensor], Field(max_length=100)] | None = None
    _tail: bytes = PrivateAttr(b"")

    @classmethod
    def decode(cls, content: bytes, headers: Mapping[bytes, bytes]) -> Self:
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if encoding != "identity":
            raise UnsupportedMediaType(
                f"The body must be sent as it is, found 'content-encoding: {encoding}'."
            )
        length = _json_length(headers, len(content))
        body = cls.model_validate_json(content[:length])
        if length < len(content):
            body._tail = content[length:]  # noqa: SLF001 - its own
        return body

    @property
    def rows(self) -> range:
        """As many as the call counts for."""
        return range(min(self.inputs[0].shape[0], MOST_ROWS))

    def values(self) -> list[list[Any]]:
        """The elements of each input, flat, None where a value is missing.

        Raises:
            InvalidInput: elements that aren't as the tensor says, or bytes that belong to none.
        """
        found, place = [], 0
        for number, tensor in enumerate(self.inputs):
            pointer = f"/inputs/{number}"
            _refuse_unknown_ways(tensor.parameters, pointer)
            size = tensor.parameters.get("binary_data_size")
            if size is None:
                if tensor.data is None:
                    raise faulty(f"{pointer}/data", "must be there, or the parameter binary_data_size")
                found.append(values_of_json(tensor.datatype, tensor.data, tensor.count, f"{pointer}/data"))
                continue
            data = self._bytes(place, size, pointer, is_told_twice=tensor.data is not None)
            found.append(values_of_bytes(tensor.datatype, data, tensor.count, pointer))
            place += size
        if place != len(self._tail):
            raise faulty("/inputs", f"name {place} bytes of binary data, {len(self._tail)} came")
        return found

    def wanted(self, known: Sequence[str]) -> dict[str, bool]:
        """The outputs that are asked for, all if none is, and whether each is wanted as bytes.

        Raises:
            InvalidInput: an output that isn't there, or that comes twice.
        """
        usually = self.parameters.get("binary_data_output") is True
        if not self.outputs:
            return dict.fromkeys(known, usually)
        found: dict[str, bool] = {}
        for number, output in enumerate(self.outputs):
            pointer = f"/outputs/{number}"
            if output.name not in known:
                raise faulty(f"{pointer}/name", f"must be one of {', '.join(known)}, found {output.name!r}")
            if output.name in found:
                raise faulty(f"{pointer}/name", f"{output.name!r} is asked for twice")
            _refuse_unknown_ways(output.parameters, pointer)
            found[output.name] = output.parameters.get("binary_data", usually) is True
        return found

    def _bytes(self, place: int, size: Any, pointer: str, *, is_told_twice: bool) -> bytes:
        pointer = f"{pointer}/parameters/binary_data_size"
        if is_told_twice:
            raise faulty(pointer, "goes without 'data'")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(self._tail) - place:
            left = len(self._tail) - place
            raise faulty(pointer, f"must be a number of the {left} bytes that are left, found {size!r}")
        return self._tail[place : place + size]


class OutputAnswer(Answer):
    """One output: `data`, or in its parameters the number of its bytes after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Annotated[dict[str, Any] | None, Field(exclude_if=lambda value: value is None)] = None
    data: Annotated[list[Any] | None, Field(exclude_if=lambda value: value is None)] = None


class InferAnswer(Answer):
    """The outputs of all rows. `parameters` names the version and the request."""

    model_name: str
    model_version: str
    id: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    parameters: dict[str, Any]
    outputs: list[OutputAnswer]


def _json_length(headers: Mapping[bytes, bytes], whole: int) -> int:
    text = headers.get(HEADER_LENGTH.lower().encode())
    if text is None:
        return whole
    if not text.isdigit() or len(text) > len(str(whole)) or int(text) > whole:
        raise MalformedRequest(
            f"{HEADER_LENGTH} must be the length of the JSON in a body of {whole} bytes, found "
            f"{text[:20].decode('latin-1')!r}."
        )
    return int(text)


def _refuse_unknown_ways(parameters: Mapping[str, Any], pointer: str) -> None:
    for name in parameters:
        if name in _REFUSED:
            raise faulty(f"{pointer}/parameters/{name}", f"isn't supported: {_REFUSED[name]}")
