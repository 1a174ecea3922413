"""What pydantic finds wrong with a declaration, in the words of who wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from shared.errors import FieldError
from shared.problems.declared.parameters import hint

_SHOWN: Final = 60
_AFTER: Final = " after validation, not more"
_TYPE_WORDS: Final = {
    "missing": "must be there",
    "dict_type": "must be names with values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "int_type": "must be an integer",
    "float_type": "must be a number",
}
_TRUTH: Final = (
    "; unquoted, YAML takes yes, no, on and off for true and false: write them in quotes to mean the words"
)


def of_pydantic(error: ValidationError, model: type[BaseModel]) -> list[FieldError]:
    """One finding per place; `model` is what was read."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False):
        location = _without_branch(item["loc"])
        found.setdefault(_pointer(location), _detail(dict(item), location, model))
    return [FieldError(pointer, detail) for pointer, detail in found.items()]


_BRANCHES: Final = frozenset({"str", "int", "float", "constrained-str", "[key]"})
"""What pydantic adds after a place where a value may have one of several types."""


def _without_branch(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Names and places alone. Columns and gates may be called like types: they stand second."""
    return location[:-1] if len(location) > 2 and location[-1] in _BRANCHES else location


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _detail(item: dict[str, Any], location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    kind, given = item["type"], item["input"]
    if kind == "extra_forbidden":
        fields = _model_at(location[:-1], model).model_fields.items()
        known = sorted(field.alias or name for name, field in fields)
        return f"isn't known; {hint(str(location[-1]), known)}"
    words = _TYPE_WORDS.get(kind) or _own_words(item)
    found = "" if kind == "missing" or isinstance(given, dict) else f", found {_shown(given)}"
    return words + found + (_TRUTH if isinstance(given, bool) else "")


def _own_words(item: dict[str, Any]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "value_error":
        return message
    if item["type"] == "string_pattern_mismatch":
        return f"must match {item['ctx']['pattern']}"
    return "must " + message.partition(" should ")[2].replace("be a valid ", "be ").replace(_AFTER, "")


def _model_at(location: tuple[int | str, ...], model: type[BaseModel]) -> type[BaseModel]:
    """The model that is read at a place; columns and candidates lie below their names."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def at(*parts: str) -> str:
    """A pointer to what stands below these names (JSON Pointer, RFC 6901)."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
