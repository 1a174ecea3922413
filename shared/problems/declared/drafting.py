"""A first declaration of a problem, from what its file looks like: a draft for its owner to correct."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from shared.errors import InvalidInput
from shared.problems.declared.parameters import hint
from shared.problems.declared.seen import Seen, look
from shared.problems.declared.target import MAX_CLASSES
from shared.tabular.columns import MAX_COLUMNS, MAX_INTEGER

_FEW_CLASSES: Final = 10
"""More of them are rarely classes: nobody guesses such a target, and who names one is asked again."""

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
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TAKEN: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
"""Words that YAML takes for something else."""


@dataclass(frozen=True, slots=True)
class Draft:
    """`text` is the declaration as YAML, with comments; `left_out` says of columns why they aren't in it,
    `doubt` why the target may be none; empty where nothing speaks against it.
    """

    text: str
    target: str
    is_guess: bool
    left_out: dict[str, str]
    doubt: str


def draft(table: pa.Table, *, name: str, data: str, target: str | None = None) -> Draft:
    """A declaration called `name` of the problem whose rows `table` holds; `data` is the file's path.

    Raises:
        InvalidInput: there are no rows, no such target, or none that could be one.
    """
    if not len(table):
        raise InvalidInput("The file has no rows to look at.")
    seen = [look(column, table.column(column)) for column in table.column_names]
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
    return Draft("\n".join(lines) + "\n", chosen.name, target is None, left_out, _doubt(chosen))


def _chosen(seen: Sequence[Seen], target: str | None) -> Seen:
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
    few = [one for one in possible if len(one.distinct) <= _FEW_CLASSES]
    if not few:
        raise InvalidInput(
            f"None of the columns looks like classes to tell apart, with 2 to {_FEW_CLASSES} different "
            "values: name one with --target."
        )
    return few[-1]


def _no_target(one: Seen) -> str:
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


def _doubt(target: Seen) -> str:
    count = len(target.distinct)
    if not target.is_number or count <= _FEW_CLASSES:
        return ""
    return f"{count} different numbers: each becomes a class. A quantity isn't predicted here."


def _why(one: Seen, target: Seen) -> str:
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
    kept: Sequence[Seen],
    left_out: dict[str, str],
    target: Seen,
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
    said = "a guess" if is_guess else _doubt(target)
    yield "target:" + (f"  # {said}" if said else "")
    yield from _target(target)
    yield ""
    yield "metric: auc"
    yield "gates: {auc.low: 0.5}  # a model goes live by itself only if it is above these"
    yield "# candidates: [logistic_regression, random_forest, lightgbm, xgboost]"
    yield "folds: 5"
    yield "repeats: 10"
    yield '# schedule: "0 3 * * 1"  # trains every Monday at 03:00 UTC'


def _column(one: Seen) -> str:
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


def _target(target: Seen) -> Iterator[str]:
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
