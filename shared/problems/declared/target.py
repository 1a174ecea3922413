"""What a declared problem predicts: a column, and the classes that its values stand for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field

from shared.errors import FieldError
from shared.problems.declared.complaints import at
from shared.problems.declared.parameters import hint
from shared.schema import Body
from shared.tabular.columns import Category

MAX_CLASSES: Final = 100


def _values(classes: Any) -> Any:
    """For each class the values it is written by: `[a, b]` is short for `{a: [a], b: [b]}`."""
    if isinstance(classes, list):
        return {str(value): [value] for value in classes}
    if isinstance(classes, dict):
        return {name: given if isinstance(given, list) else [given] for name, given in classes.items()}
    return classes


class TargetDeclaration(Body):
    """What is predicted. `positive` is the class whose probability counts; where two classes stand without
    it, the last one.
    """

    model_config = ConfigDict(strict=False)  # behind a short form lists stand where tuples are meant

    column: Annotated[str, Field(min_length=1, max_length=128)]
    classes: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], tuple[Category, ...]],
        BeforeValidator(_values, json_schema_input_type=dict[str, Any] | list[Any]),
    ]
    positive: str | None = None

    @property
    def in_order(self) -> dict[str, tuple[Category, ...]]:
        """The classes, the positive one last."""
        others = {name: values for name, values in self.classes.items() if name != self.positive}
        return others if self.positive is None else {**others, self.positive: self.classes[self.positive]}

    def complaints(self) -> Iterator[FieldError]:
        """What is wrong with it as a whole."""
        values = [value for found in self.classes.values() for value in found]
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            found = len(self.classes)
            yield FieldError("/target/classes", f"must be 2 to {MAX_CLASSES} classes, found {found}")
        for name, given in self.classes.items():
            if not given:
                yield FieldError(at("target", "classes", name), "needs a value of the target")
        if len({type(value) for value in values}) > 1:
            yield FieldError("/target/classes", "must be written by text alone, or by integers alone")
        for value in sorted({str(value) for value in values if values.count(value) > 1}):
            yield FieldError("/target/classes", f"have the value {value} twice")
        if self.positive is not None and self.positive not in self.classes:
            known = hint(self.positive, list(self.classes))
            yield FieldError("/target/positive", f"must be one of the classes; {known}")
        elif self.positive is not None and len(self.classes) > 2:
            yield FieldError("/target/positive", "is for two classes")
