"""Reads UBJSON (draft 12), as XGBoost writes it: data alone, within bounds.

Source: https://ubjson.org, with the containers of one type and known length that draft 12 calls optimised.
Written here because the library for it has had no release for years, and reads without bounds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from shared.jobs.conversion.outcome import Refused

MAX_DEPTH: Final = 32

_NUMBERS: Final[dict[bytes, np.dtype[Any]]] = {
    b"i": np.dtype("i1"),
    b"U": np.dtype("u1"),
    b"I": np.dtype(">i2"),
    b"l": np.dtype(">i4"),
    b"L": np.dtype(">i8"),
    b"d": np.dtype(">f4"),
    b"D": np.dtype(">f8"),
}
_INTEGERS: Final = frozenset(b"iUIlL")
_CONSTANTS: Final = {b"Z": None, b"T": True, b"F": False}


def decode(content: bytes) -> Any:
    """The document. Arrays of one numeric type are NumPy arrays.

    Raises:
        Refused: not such a document; one that is nested too deeply, cut off, or says it is longer than it is.
    """
    reader = _Reader(content)
    document = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise Refused(f"The UBJ document ends at byte {reader.at} of {len(content)}: the rest is none of it.")
    return document


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self._content):
            raise Refused(
                f"The UBJ document is cut off, or says it is longer than it is: {count} bytes are announced "
                f"at byte {self.at} of {len(self._content)}."
            )
        self.at += count
        return self._content[self.at - count : self.at]

    def value(self, marker: bytes, depth: int) -> Any:
        if marker in _NUMBERS:
            kind = _NUMBERS[marker]
            return np.frombuffer(self.take(kind.itemsize), kind)[0].item()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == b"S":
            return self._text()
        if marker == b"C":
            return self.take(1).decode("latin-1")
        if depth >= MAX_DEPTH:
            raise Refused(f"The UBJ document is nested more than {MAX_DEPTH} deep.")
        if marker == b"[":
            return self._array(depth + 1)
        if marker == b"{":
            return self._object(depth + 1)
        raise Refused(f"The UBJ document has no such type as {marker!r}, at byte {self.at - 1}.")

    def _array(self, depth: int) -> Any:
        kind, count = self._header()
        if kind in _NUMBERS and count is not None:
            dtype = _NUMBERS[kind]
            values = np.frombuffer(self.take(count * dtype.itemsize), dtype)
            return values.astype(dtype.newbyteorder("="))
        found: list[Any] = []
        while not self._has_ended(b"]", len(found), count):
            found.append(self.value(kind or self.take(1), depth))
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        found: dict[str, Any] = {}
        number = 0
        while not self._has_ended(b"}", number, count):
            name = self._text()
            found[name] = self.value(kind or self.take(1), depth)
            number += 1
        return found

    def _header(self) -> tuple[bytes, int | None]:
        """The type of all items, and how many there are, as far as that is said in front."""
        kind = b""
        if self._next() == b"$":
            self.take(1)
            kind = self.take(1)
            if self._next() != b"#":
                raise Refused("The UBJ document has a container of one type without a length.")
        if self._next() != b"#":
            return kind, None
        self.take(1)
        count = self._length()
        if kind in _CONSTANTS and count > len(self._content):  # items without a byte of their own
            raise Refused("The UBJ document says it is longer than it is.")
        return kind, count

    def _has_ended(self, end: bytes, number: int, count: int | None) -> bool:
        if count is not None:
            return number >= count
        if self._next() != end:
            return False
        self.take(1)
        return True

    def _next(self) -> bytes:
        return self._content[self.at : self.at + 1]

    def _length(self) -> int:
        marker = self.take(1)
        if marker[0] not in _INTEGERS:
            raise Refused(f"The UBJ document has a length of type {marker!r}, at byte {self.at - 1}.")
        return int(self.value(marker, 0))

    def _text(self) -> str:
        return self.take(self._length()).decode()
