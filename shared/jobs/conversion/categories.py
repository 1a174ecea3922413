"""Whether the columns list their categories as the model was trained with them: places are codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.jobs.conversion.outcome import Refused
from shared.tabular import Column

_SHOWN = 10


def check_in_order(columns: Sequence[Column], trained: Sequence[Sequence[Any]]) -> None:
    """`trained` has the categories of each column that pandas said was of categories, in order: LightGBM
    keeps those and no names.

    Raises:
        Refused: the columns of type category are others, or list others.
    """
    found = [column for column in columns if column.type == "category"]
    if len(found) != len(trained):
        raise Refused(
            f"The model was trained with pandas' categories in {len(trained)} columns; 'columns' has "
            f"{len(found)} of type 'category'."
        )
    for column, categories in zip(found, trained, strict=True):
        _check(column, categories)


def check_at_places(columns: Sequence[Column], trained: Mapping[int, Sequence[Any]]) -> None:
    """`trained` has the categories of each column that was trained with some, by its place.

    Raises:
        Refused: one of these columns lists others, or isn't of categories.
    """
    for place, categories in trained.items():
        _check(columns[place], categories)


def _check(column: Column, categories: Sequence[Any]) -> None:
    wanted = [str(category) for category in categories]
    if [str(category) for category in column.categories] != wanted:
        more = ", ..." if len(wanted) > _SHOWN else ""
        raise Refused(
            f"Column {column.name!r} must be of type 'category' and list what the model was trained with, in "
            f"this order: {', '.join(wanted[:_SHOWN])}{more}."
        )
