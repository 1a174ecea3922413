"""Rows of JSON values into the float32 matrix that models take. Each row is right or wrong alone."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.errors import FieldError
from shared.tabular.columns import Column, Columns

Encoder: TypeAlias = Callable[[Any], float]

_SHOWN: Final = 60
"""Characters of a wrong value that a message repeats."""

MAX_COMPLAINTS: Final = 100
"""So much at most is told of one row; names like those that aren't known are looked for until then in all."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """`x` is (good rows, columns), float32; `rows` says which of the given ones those are, in order.

    `errors` holds, by the place of each other row, what is wrong with it: every field, not the first alone,
    up to `MAX_COMPLAINTS`.
    """

    x: NDArray[np.float32]
    rows: NDArray[np.int64]
    errors: Mapping[int, tuple[FieldError, ...]]


class RowEncoder:
    """Encodes rows of one schema. Make it once: it is what a request waits for."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._encoders = tuple((column.name, _encoder(column)) for column in columns.columns)
        self._names = frozenset(columns.names)

    def encode(self, rows: Sequence[Mapping[str, Any]], pointer: str) -> Encoded:
        """Numbers as they are, booleans 0 or 1, categories by their place; missing and null are NaN.

        Pointers of errors are `<pointer>/<row>/<column>` (JSON Pointer, RFC 6901).
        """
        good: list[list[float]] = []
        places: list[int] = []
        errors: dict[int, tuple[FieldError, ...]] = {}
        told = 0
        for place, row in enumerate(rows):
            values = self._values(row)
            if values is None:
                found = self._complaints(row, f"{pointer}/{place}", hints=told < MAX_COMPLAINTS)
                errors[place] = tuple(islice(found, MAX_COMPLAINTS))
                told += len(errors[place])
            else:
                good.append(values)
                places.append(place)
        x = np.array(good, np.float32).reshape(len(good), len(self._encoders))
        return Encoded(x, np.array(places, np.int64), errors)

    def _values(self, row: Mapping[str, Any]) -> list[float] | None:
        """The row's codes, or None where anything is wrong with it."""
        try:
            values = [encode(row.get(name)) for name, encode in self._encoders]
            return values if row.keys() <= self._names else None
        except (ValueError, TypeError, AttributeError):
            return None

    def _complaints(self, row: Any, pointer: str, *, hints: bool) -> Iterator[FieldError]:
        """Everything that is wrong with one row; `hints` says which known name an unknown one is like."""
        if not isinstance(row, Mapping):
            yield FieldError(pointer, f"must be an object of column names and values, found {_shown(row)}")
            return
        for column, (name, encode) in zip(self._columns.columns, self._encoders, strict=True):
            value = row.get(name)
            try:
                encode(value)
            except (ValueError, TypeError):
                found = "nothing" if value is None else _shown(value)
                yield FieldError(_below(pointer, name), f"must be {column.expected}, found {found}")
        for name in row:
            if name not in self._names:
                near = (
                    difflib.get_close_matches(str(name)[:_SHOWN], self._columns.names, n=1) if hints else ()
                )
                hint = f"; is {near[0]!r} meant?" if near else ""
                yield FieldError(_below(pointer, str(name)), f"is no column of this model{hint}")


def _encoder(column: Column) -> Encoder:
    """A function that gives a value's code, and raises ValueError or TypeError for what isn't one."""
    if column.type == "category":
        return _category(column)
    if column.type == "boolean":
        return _boolean(column)
    return _number(column)


def _number(column: Column) -> Encoder:
    low, high = column.bounds
    nullable, integral = column.nullable, column.type == "integer"

    def encode(value: Any) -> float:
        if value is None:
            return _missing(nullable)
        kind = type(value)
        if kind is not float and kind is not int:
            raise TypeError
        if not low <= value <= high or (integral and value != int(value)):  # NaN is in no range
            raise ValueError
        return value  # type: ignore[no-any-return]  # an int or a float

    return encode


def _boolean(column: Column) -> Encoder:
    nullable = column.nullable

    def encode(value: Any) -> float:
        if value is None:
            return _missing(nullable)
        if value is True or value is False:
            return float(value)
        raise TypeError

    return encode


def _category(column: Column) -> Encoder:
    codes: dict[Any, float] = {category: float(place) for place, category in enumerate(column.categories)}
    nullable = column.nullable

    def encode(value: Any) -> float:
        if value is None:
            return _missing(nullable)
        if value is True or value is False:
            raise TypeError
        code = codes.get(value)
        if code is None:
            raise ValueError
        return code

    return encode


def _missing(nullable: bool) -> float:
    if nullable:
        return math.nan
    raise ValueError


def _below(pointer: str, name: str) -> str:
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
