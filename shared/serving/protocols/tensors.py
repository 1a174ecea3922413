"""Tensors of the Open Inference Protocol: their datatypes, and their data as JSON and as bytes.

Source: Open Inference Protocol 2 (KServe), "Tensor Data"; Triton's binary tensor data extension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from shared.errors import FieldError, InvalidInput

Datatype: TypeAlias = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "BYTES",
]  # fmt: skip

DATATYPES: Final[tuple[Datatype, ...]] = get_args(Datatype)

_DTYPES: Final[dict[Datatype, str]] = {
    "BOOL": "|b1", "UINT8": "|u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "|i1",
    "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_LENGTH_BYTES: Final = 4


def values_of_json(datatype: Datatype, data: Sequence[Any], count: int, pointer: str) -> list[Any]:
    """The elements of a tensor's `data`, flat in row-major order; null is None, and so is NaN.

    Raises:
        InvalidInput: not `count` elements of this datatype.
    """
    values = list(_flat(data)) if list in map(type, data) else data
    _require_count(len(values), count, pointer)
    is_one = _CHECKS[datatype[:2]]
    for place, value in enumerate(values):
        if value is not None and not is_one(value):
            raise faulty(f"{pointer}/{place}", f"must be {datatype}, found {str(value)[:60]!r}")
    return [None if value != value else value for value in values]


def values_of_bytes(datatype: Datatype, data: bytes, count: int, pointer: str) -> list[Any]:
    """The elements of a tensor's binary data; NaN is None.

    Raises:
        InvalidInput: not `count` elements of this datatype.
    """
    if datatype == "BYTES":
        texts = list(_texts(data, pointer))
        _require_count(len(texts), count, pointer)
        return texts
    dtype = np.dtype(_DTYPES[datatype])
    if len(data) != count * dtype.itemsize:
        wanted = f"{count} elements of {datatype} are {count * dtype.itemsize} bytes"
        raise faulty(pointer, f"{wanted}, found {len(data)}")
    if datatype == "BOOL" and any(byte > 1 for byte in data):
        raise faulty(pointer, "the bytes of BOOL are 0 or 1")
    return [None if value != value else value for value in np.frombuffer(data, dtype).tolist()]


def bytes_of_texts(texts: Sequence[str]) -> bytes:
    """BYTES: each element with its length in front, four bytes, the lowest first."""
    encoded = [text.encode() for text in texts]
    return b"".join(len(one).to_bytes(_LENGTH_BYTES, "little") + one for one in encoded)


def faulty(pointer: str, found: str) -> InvalidInput:
    """One wrong member of a request."""
    return InvalidInput(f"{pointer}: {found}", errors=[FieldError(pointer, found)])


def _flat(data: Sequence[Any]) -> Iterator[Any]:
    """Depth first, without recursion: a request may nest as deep as it likes."""
    open_lists = [iter(data)]
    while open_lists:
        for value in open_lists[-1]:
            if isinstance(value, list):
                open_lists.append(iter(value))
                break
            yield value
        else:
            open_lists.pop()


def _texts(data: bytes, pointer: str) -> Iterator[str]:
    place = 0
    while place < len(data):
        begin = place + _LENGTH_BYTES
        place = begin + int.from_bytes(data[place:begin], "little")
        if begin > len(data) or place > len(data):
            raise faulty(pointer, "an element of BYTES ends before its length says")
        try:
            yield data[begin:place].decode()
        except UnicodeDecodeError as error:
            raise faulty(pointer, "the elements of BYTES must be UTF-8") from error


def _require_count(found: int, count: int, pointer: str) -> None:
    if found != count:
        raise faulty(pointer, f"must have {count} elements by its shape, found {found}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (isinstance(value, float) and not math.isinf(value)) or _is_integer(value)


_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "BO": lambda value: isinstance(value, bool),
    "BY": lambda value: isinstance(value, str),
    "FP": _is_number,
    "IN": _is_integer,
    "UI": lambda value: _is_integer(value) and value >= 0,
}
"""Whether JSON's value is one of a datatype, by its first letters. What is beyond a column's range, its check
finds.
"""
