"""Whether bytes are an ONNX model by their outermost fields: cheap, and without the library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_VARINT: Final = 0
_BYTES: Final = 2
_LONGEST_VARINT: Final = 10
_MOST_FIELDS: Final = 10_000
"""Outermost ones: models have a few, and a file of nothing else would take a minute to walk."""

_MODEL_FIELDS: Final = {
    1: _VARINT,  # ir_version
    2: _BYTES,  # producer_name
    3: _BYTES,
    4: _BYTES,
    5: _VARINT,
    6: _BYTES,
    7: _BYTES,  # graph
    8: _BYTES,  # opset_import
    14: _BYTES,
    20: _BYTES,
    25: _BYTES,
    26: _BYTES,
}
"""The fields of `ModelProto` and their wire types (onnx.proto3)."""

_GRAPH: Final = 7
_OPSETS: Final = 8


def looks_like_onnx(content: bytes) -> bool:
    """Whether the outermost fields are those of a model, up to the last byte."""
    try:
        fields = list(_fields(content))
    except ValueError:
        return False
    known = all(_MODEL_FIELDS.get(number) == wire for number, wire in fields)
    return known and {_GRAPH, _OPSETS} <= {number for number, _ in fields}


def looks_like_saved_model(content: bytes) -> bool:
    """Whether it is TensorFlow's `saved_model.pb`: a version, and graphs with what is around them."""
    try:
        fields = list(_fields(content))
    except ValueError:
        return False
    return len(fields) > 1 and set(fields) == {(1, _VARINT), (2, _BYTES)}


def _fields(content: bytes) -> Iterator[tuple[int, int]]:
    """Number and wire type of each outermost field; ValueError where the bytes are no such message."""
    at = count = 0
    while at < len(content):
        count += 1
        if count > _MOST_FIELDS:
            raise ValueError("more fields than any model has")
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            _, at = _varint(content, at)
        elif wire == _BYTES:
            length, at = _varint(content, at)
            at += length
        else:
            raise ValueError("no such field in a model")
        if at > len(content):
            raise ValueError("cut off")
        yield number, wire


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(content):
            raise ValueError("cut off")
        byte = content[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number without an end")
