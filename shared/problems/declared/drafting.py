"""A first declaration of a problem, from what its file looks like: a draft for its owner to correct."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pydantic import ValidationError

from shared.errors import InvalidInput
from shared.problems.declared.parameters import hint
from shared.problems.declared.target import MAX_CLASSES
from shared.tabular.columns import MAX_COLUMNS, MAX_INTEGER, MAX_NUMBER, Column

MAX_CATEGORIES: Final = 50
"""A text with more different values than this is taken for words, not for categories."""

_SHOWN: Final = 40
"""Characters of a value that a reason repeats."""

_ENOUGH_ROWS: Final = 10
"""With so many rows per value it is no chance that each value has one class."""

_LIKELY: Final = (
    "target",
    "label",
    "class",
    "outcome",
    "result",
    "y",
    "diagnosis",
    "churn",
    "churned",
    "default",
)
"""How targets are often called."""
_POSITIVE: Final = frozenset(
    {"1", "yes", "y", "true", "t", "positive", "pos", "present", "bad", "fraud", "sick"}
)
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WRITTEN_NUMBER: Final = re.compile(
    r"[+-]?[$€£]? ?[+-]?([0-9]{1,3}([,' ][0-9]{3})+|[0-9]+)([.,][0-9]+)? ?[%$€£]?"
)
"""With a decimal comma, with its thousands divided, or with a sign of what it is of."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}")
_ID: Final = re.compile(r"(.*[_\s-])?(id|uuid|guid|key|index|row|no|nr|number)", re.IGNORECASE)
_TRUTH: Final = frozenset({"true", "false"})
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TAKEN: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
"""Words that YAML takes for something else."""


@dataclass(frozen=True, slots=True)
class Draft:
    """`text` is the declaration as YAML, with comments; `left_out` says of columns why they aren't in it."""

    text: str
    target: str
    is_guess: bool
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Seen:
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


def draft(table: pa.Table, *, name: str, data: str, target: str | None = None) -> Draft:
    """A declaration called `name` of the problem whose rows `table` holds; `data` is the file's path.

    Raises:
        InvalidInput: there are no rows, no such target, or none that could be one.
    """
    if not len(table):
        raise InvalidInput("The file has no rows to look at.")
    seen = [_look(column, table.column(column)) for column in table.column_names]
    chosen = _chosen(seen, target)
    others = [one for one in seen if one is not chosen]
    left_out = {one.name: why for one in others if (why := _why(one, chosen))}
    kept = [one for one in others if one.name not in left_out]
    if len(kept) > MAX_COLUMNS:
        raise InvalidInput(f"{len(kept)} columns are left, and at most {MAX_COLUMNS} can be learnt from.")
    if not kept:
        why = "; ".join(f"{_text(column)}: {why}" for column, why in list(left_out.items())[:3])
        raise InvalidInput(
            f"Nothing is left to learn {chosen.name} from: every other column was left out. {why}".strip()
        )
    lines = _lines(name, data, kept, left_out, chosen, is_guess=target is None)
    return Draft("\n".join(lines) + "\n", chosen.name, target is None, left_out)


def _look(name: str, column: pa.ChunkedArray) -> _Seen:
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
        return _Seen(name, len(column), [], [], is_time=False, odd=str(column.type))
    values = [value for value in column.to_pylist() if value is not None and value == value]
    is_time = pa.types.is_temporal(column.type)
    if _is_text(column.type):
        texts = [text.strip() for text in values]
        is_time = bool(texts) and all(_TIME.fullmatch(text) for text in texts)
        if all(_NUMBER.fullmatch(text) for text in texts):
            values = [_number(text) for text in texts]
    odd = "numbers beyond all bounds" if any(_is_beyond(value) for value in values) else ""
    return _Seen(name, len(column), values, sorted(set(values)), is_time, odd)


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


def _chosen(seen: Sequence[_Seen], target: str | None) -> _Seen:
    """The target: what was asked for, else what is called like one, else the last that could be one."""
    if target is not None:
        found = next((one for one in seen if one.name == target), None)
        if found is None:
            raise InvalidInput(
                f"The file has no column {target!r}; {hint(target, [one.name for one in seen])}"
            )
        if why := _no_target(found):
            raise InvalidInput(f"The column {target!r} can't be the target: {why}.")
        return found
    possible = [one for one in seen if not _no_target(one) and not one.why_left_out]
    for name in _LIKELY:
        for one in possible:
            if one.name.lower() == name:
                return one
    few = [one for one in possible if len(one.distinct) <= 10]
    if not few:
        raise InvalidInput(
            "None of the columns looks like classes to tell apart, with 2 to 10 different values: name one "
            "with --target."
        )
    return few[-1]


def _no_target(one: _Seen) -> str:
    """Why a column can't be the target; empty where it can."""
    if not one.name:
        return "it has no name"
    if one.odd:
        return f"it holds {one.odd}"
    if one.is_number and not one.is_integral:
        return "it has fractions, and what is learnt here are classes"
    if not 2 <= len(one.distinct) <= MAX_CLASSES:
        return f"it has {len(one.distinct)} different values, and classes are 2 to {MAX_CLASSES}"
    if any(isinstance(value, bool) for value in one.distinct):
        return "its values are true and false: write them as text or as 0 and 1"
    return ""


def _why(one: _Seen, target: _Seen) -> str:
    """Why a column is left out beside this target; empty where it isn't."""
    count = len(one.distinct)
    may_tell = count == len(target.distinct) or (count > 1 and _ENOUGH_ROWS * count <= one.rows)
    is_whole = len(one.values) == len(target.values) == one.rows
    if may_tell and is_whole and count == len(set(zip(one.values, target.values, strict=True))):
        return "it tells the target: each of its values has one class"
    return one.why_left_out


def _lines(
    name: str,
    data: str,
    kept: Sequence[_Seen],
    left_out: dict[str, str],
    target: _Seen,
    *,
    is_guess: bool,
) -> Iterator[str]:
    yield f"# A draft from {target.rows} rows: correct it, then 'mlengine problem check' and 'apply' it."
    yield f"name: {name}"
    yield f"title: {_text('What ' + target.name + ' will be')}"
    yield f"data: {_text(data)}"
    yield ""
    yield "# The source of the data, and under which licence they may be used."
    yield 'source: ""'
    yield 'licence: ""'
    yield ""
    yield "columns:"
    for one in kept:
        yield f"  {_text(one.name)}: {_column(one)}"
    for column, why in left_out.items():
        yield f"  # {_text(column)} is left out: {why}"
    yield ""
    yield "target:" + ("  # a guess" if is_guess else "")
    yield from _target(target)
    yield ""
    yield "metric: auc"
    yield "gates: {auc.low: 0.5}  # a model goes live by itself only if it is above these"
    yield "# candidates: [logistic_regression, random_forest, lightgbm, xgboost]"
    yield "folds: 5"
    yield "repeats: 10"
    yield '# schedule: "0 3 * * 1"  # trains every Monday at 03:00 UTC'


def _column(one: _Seen) -> str:
    """One column, with what was seen of it."""
    terms: list[str] = []
    said = f"{one.missing / one.rows:.1%} missing" if one.missing else ""
    if one.is_boolean:
        terms.append("type: boolean")
    elif one.is_number:
        low, high = one.distinct[0], one.distinct[-1]
        is_integer = one.is_integral and max(abs(low), abs(high)) <= MAX_INTEGER
        terms.append(f"type: {'integer' if is_integer else 'number'}")
        if low >= 0:
            terms.append("minimum: 0")
        said = ", ".join(filter(None, [f"seen {low:g} to {high:g}", said]))
    else:
        terms.append("type: category")
        terms.append(f"categories: [{', '.join(map(_text, one.distinct))}]")
    if not one.missing:
        terms.append("nullable: false")
    return f"{{{', '.join(terms)}}}" + (f"  # {said}" if said else "")


def _target(target: _Seen) -> Iterator[str]:
    values = [int(value) if target.is_number else value for value in target.distinct]
    counts = {value: target.values.count(value) for value in values}
    yield f"  column: {_text(target.name)}"
    yield f"  classes: [{', '.join(map(_text, values))}]"
    if len(values) == 2:
        likely = [value for value in values if str(value).strip().lower() in _POSITIVE]
        positive = likely[0] if len(likely) == 1 else min(values, key=lambda value: counts[value])
        shares = ", ".join(f"{_text(value)} {counts[value]}" for value in values)
        yield f"  positive: {_text(str(positive))}  # whose probability counts; rows: {shares}"
    if target.missing:
        yield f"  # {target.missing} rows have no target: leave them out with --leave-out-bad-rows"


def _text(value: Any) -> str:
    """A value as YAML reads it back: words plain, everything else as JSON."""
    text = str(value)
    if isinstance(value, str) and _PLAIN.fullmatch(text) and text.lower() not in _TAKEN:
        return text
    written = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in written)
