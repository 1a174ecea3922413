"""A column of a file as its values are: what it may be, and why nothing can be learnt from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pydantic import ValidationError

from shared.tabular.columns import MAX_NUMBER, Column

MAX_CATEGORIES: Final = 50
"""A text with more different values than this is taken for words, not for categories."""
_SHOWN: Final = 40
"""Characters of a value that a reason repeats."""
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WRITTEN_NUMBER: Final = re.compile(
    r"[+-]?[$€£]? ?[+-]?([0-9]{1,3}([,' ][0-9]{3})+|[0-9]+)([.,][0-9]+)? ?[%$€£]?"
)
"""With a decimal comma, with its thousands divided, or with a sign of what it is of."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}")
_ID: Final = re.compile(r"(.*[_\s-])?(id|uuid|guid|key|index|row|no|nr|number)", re.IGNORECASE)
_TRUTH: Final = frozenset({"true", "false"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A column as its values are: those that aren't missing, as numbers where all of them are."""

    name: str
    rows: int
    values: list[Any]
    distinct: list[Any]
    is_time: bool
    odd: str = ""
    """What its values are, where a column can't hold them."""

    @property
    def missing(self) -> int:
        return self.rows - len(self.values)

    @property
    def is_boolean(self) -> bool:
        return all(isinstance(value, bool) or str(value).lower() in _TRUTH for value in self.distinct)

    @property
    def is_number(self) -> bool:
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.distinct)

    @property
    def is_integral(self) -> bool:
        return self.is_number and all(value == int(value) for value in self.distinct)

    @property
    def why_left_out(self) -> str:
        """Why nothing can be learnt from it; empty where that isn't plain to see."""
        if self.odd:
            return f"it holds {self.odd}"
        if not self.distinct:
            return "it is empty"
        if len(self.distinct) == 1:
            return f"it has one value, {str(self.distinct[0])[:_SHOWN]!r}"
        if self.is_time:
            return "it is a time: nothing that is learnt from past ones holds for later ones"
        is_text = not self.is_number and not self.is_boolean
        if is_text and (why := self._why_no_numbers):
            return why
        if self._is_id:
            return "it is another one in every row: an id"
        if not _can_be_named(self.name):
            return "its name isn't 1 to 128 characters that print, without white space at its ends: rename it"
        if is_text and len(self.distinct) > MAX_CATEGORIES:
            return f"it is text with {len(self.distinct)} different values"
        return ""

    @property
    def _why_no_numbers(self) -> str:
        """What is wrong with a text that is meant for numbers; empty where it isn't."""
        texts = [text.strip() for text in self.distinct]
        if all(_WRITTEN_NUMBER.fullmatch(text) for text in texts):
            return f"its numbers aren't plain ones, such as {texts[0]!r}: write them as 1234.5"
        words = [text for text in texts if not _NUMBER.fullmatch(text)]
        if len(texts) > MAX_CATEGORIES and 2 * len(words) < len(texts):
            return f"most of its values are numbers, and {len(words)} aren't, such as {words[0][:_SHOWN]!r}"
        return ""

    @property
    def _is_id(self) -> bool:
        if len(self.distinct) < len(self.values) or len(self.values) < 3:
            return False
        if not self.is_number:
            return not self.is_boolean
        counts_up = self.is_integral and self.values == list(
            range(int(self.values[0]), int(self.values[0]) + len(self.values))
        )
        return counts_up or (self.is_integral and _ID.fullmatch(self.name) is not None)


def look(name: str, column: pa.ChunkedArray) -> Seen:
    """What is missing is null, as it is to the encoding; `read_table` sees to that in CSV."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64(), safe=False)
    known = (
        _is_text,
        pa.types.is_null,
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_temporal,
    )
    if not any(is_known(column.type) for is_known in known):
        return Seen(name, len(column), [], [], is_time=False, odd=str(column.type))
    values = [value for value in column.to_pylist() if value is not None and value == value]
    is_time = pa.types.is_temporal(column.type)
    if _is_text(column.type):
        texts = [text.strip() for text in values]
        is_time = bool(texts) and all(_TIME.fullmatch(text) for text in texts)
        if all(_NUMBER.fullmatch(text) for text in texts):
            values = [_number(text) for text in texts]
    odd = "numbers beyond all bounds" if any(_is_beyond(value) for value in values) else ""
    return Seen(name, len(column), values, sorted(set(values)), is_time, odd)


def _can_be_named(name: str) -> bool:
    try:
        Column(name=name, type="number")
    except ValidationError:
        return False
    return True


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type))


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else float(text)


def _is_beyond(value: Any) -> bool:
    """Whether it is a number that no model can take."""
    return isinstance(value, int | float) and not abs(value) <= MAX_NUMBER
