"""Request bodies that hold rows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import Field, WithJsonSchema

from shared.schema import Body

MOST_ROWS: Final = 10_000
"""More no setting allows."""

ROWS_LIMIT_BYTES: Final = 4_000_000

Row: TypeAlias = Annotated[Any, WithJsonSchema({"type": "object"})]
"""Column names and values; checked against the model's columns, each row alone."""

Rows: TypeAlias = Annotated[list[Row], Field(min_length=1, max_length=MOST_ROWS)]
ModelId: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=80, description="A model name or a version id.")
]


class InputsBody(Body):
    """Rows for a tabular model: objects of column names and values."""

    limit_bytes: ClassVar[int] = ROWS_LIMIT_BYTES

    inputs: Rows


class RowsBody(InputsBody):
    """Rows, and the model that they are for."""

    model: ModelId
