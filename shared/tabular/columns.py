"""What a model's columns are: names, types, ranges and categories, checked when they are made."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

if TYPE_CHECKING:
    from shared.tabular.codes import CodeCheck
    from shared.tabular.rows import Encoded, RowEncoder

ColumnType: TypeAlias = Literal["number", "integer", "boolean", "category"]
Category: TypeAlias = StrictStr | StrictInt
Value: TypeAlias = StrictStr | StrictInt | StrictBool | FiniteFloat | None

MAX_COLUMNS: Final = 2_000
MAX_CATEGORIES: Final = 1_000
MAX_NUMBER: Final = 3.4028234663852886e38
"""The largest float32. Models take float32: numbers beyond are refused."""
MAX_INTEGER: Final = 2**24
"""Up to here every integer is a float32."""


class Column(BaseModel):
    """One column. `minimum` and `maximum` are what can be at all, both included, not what training saw.

    `categories` are all of text or all of integers; which of them a value is, is all that the model sees.
    A column that is not `nullable` must have a value in every row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=128)]
    type: ColumnType
    categories: Annotated[tuple[Category, ...], Field(max_length=MAX_CATEGORIES)] = ()
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    nullable: bool = True
    unit: Annotated[str, Field(max_length=40)] = ""
    description: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if not self.name.isprintable() or self.name != self.name.strip():
            raise ValueError("a column's name is printable text without white space at its ends")
        if (self.type == "category") != bool(self.categories):
            raise ValueError("categories belong to a column of type category, and it needs them")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("each category is there once")
        if len({type(category) for category in self.categories}) > 1:
            raise ValueError("categories are all of text or all of integers")
        if self.type in ("boolean", "category") and (self.minimum, self.maximum) != (None, None):
            raise ValueError("minimum and maximum belong to numbers and integers")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value of a number or an integer."""
        widest = MAX_NUMBER if self.type == "number" else float(MAX_INTEGER)
        low = -widest if self.minimum is None else max(self.minimum, -widest)
        high = widest if self.maximum is None else min(self.maximum, widest)
        return low, high

    @property
    def expected(self) -> str:
        """What a value must be, in words: for error messages and documents."""
        if self.type == "boolean":
            return "true or false"
        if self.type == "category":
            return "one of " + _few(
                [json.dumps(category, ensure_ascii=False) for category in self.categories]
            )
        word = "a number" if self.type == "number" else "an integer"
        if self.minimum is not None and self.maximum is not None:
            return f"{word} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{word} of at least {self.minimum:g}"
        if self.maximum is not None:
            return f"{word} of at most {self.maximum:g}"
        return word

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of one value."""
        schema: dict[str, Any]
        if self.type == "category":
            schema = {"enum": [*self.categories, None] if self.nullable else [*self.categories]}
        else:
            schema = {"type": [self.type, "null"] if self.nullable else self.type}
            schema |= {
                name: bound for name in ("minimum", "maximum") if (bound := getattr(self, name)) is not None
            }
        words = f"{self.description} ({self.unit})" if self.description and self.unit else self.description
        return schema | ({"description": words or self.unit} if words or self.unit else {})

    def decoded(self, code: float) -> Value:
        """The value that is encoded as `code`; for examples and reports."""
        if math.isnan(code):
            return None
        if self.type == "category":
            return self.categories[int(code)]
        if self.type == "boolean":
            return bool(code)
        return int(code) if self.type == "integer" else float(code)


@dataclass(frozen=True)
class Columns:
    """A model's columns, in the order of its inputs. `hash` changes with anything a model depends on."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.columns) <= MAX_COLUMNS:
            raise ValueError(f"between 1 and {MAX_COLUMNS} columns are needed, found {len(self.columns)}")
        if len(set(self.names)) != len(self.names):
            raise ValueError("each column's name is there once")

    def __len__(self) -> int:
        return len(self.columns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def hash(self) -> str:
        """The sha256 of names, types, categories, ranges and what may be missing; not of descriptions."""
        facts = [column.model_dump(mode="json", exclude={"unit", "description"}) for column in self.columns]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def encode(self, rows: Sequence[Mapping[str, Any]], *, pointer: str = "/inputs") -> Encoded:
        """Rows as decoded from JSON: see `shared.tabular.rows.RowEncoder`."""
        return self._encoder.encode(rows, pointer)

    @cached_property
    def _encoder(self) -> RowEncoder:
        from shared.tabular.rows import RowEncoder

        return RowEncoder(self)

    @cached_property
    def code_check(self) -> CodeCheck:
        """What checks rows that come encoded."""
        from shared.tabular.codes import CodeCheck

        return CodeCheck(self)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of one row."""
        return {
            "type": "object",
            "properties": {column.name: column.json_schema() for column in self.columns},
            "required": [column.name for column in self.columns if not column.nullable],
            "additionalProperties": False,
        }


def _few(words: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} others"
