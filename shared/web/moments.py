"""Dates and times as callers write them: ISO 8601 with its hyphens. A bare number isn't taken for seconds."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(_DATE.pattern + r"[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)")
_EXPECTED = "a time with its offset, like 2024-01-31T14:30:00Z"
_AS_DATE = {"type": "string", "format": "date"}
_AS_TIME = {"type": "string", "format": "date-time"}


def read_moment(value: Any) -> datetime:
    """A date, which stands for its midnight in UTC, or a time with its offset."""
    is_date = isinstance(value, str) and _DATE.fullmatch(value)
    return _read(f"{value}T00:00:00Z" if is_date else value, f"a date, like 2024-01-31, or {_EXPECTED}")


def read_time(value: Any) -> datetime:
    """A time with its offset."""
    return _read(value, _EXPECTED)


def _read(value: Any, expected: str) -> datetime:
    if isinstance(value, str) and _TIME.fullmatch(value):
        with suppress(ValueError):  # the 30th of February
            return datetime.fromisoformat(value.upper())
    raise PydanticCustomError("moment", "Input should be {expected}", {"expected": expected})


Moment: TypeAlias = Annotated[
    datetime,
    PlainValidator(read_moment),
    WithJsonSchema({"anyOf": [_AS_DATE, _AS_TIME], "description": "An ISO date, or a time with its offset."}),
]
"""A date or a time in a pydantic model, as an aware time."""

Time: TypeAlias = Annotated[datetime, PlainValidator(read_time), WithJsonSchema(_AS_TIME)]
"""A time in a pydantic model."""
