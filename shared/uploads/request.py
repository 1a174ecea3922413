"""What is said of an uploaded model: its inputs, its classes, and rows with the answers it must give."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from pydantic import Field, FiniteFloat, JsonValue

from shared.errors import FieldError, InvalidInput
from shared.schema import Body
from shared.tabular import Column, Columns
from shared.uploads.formats import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_EXAMPLES: Final = 3
MAX_EXAMPLES: Final = 1_000
MAX_CLASSES: Final = 100

_SUM_TOLERANCE: Final = 1e-3

Tag: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}$")]
Tags: TypeAlias = Annotated[tuple[Tag, ...], Field(max_length=20)]
Description: TypeAlias = Annotated[str, Field(max_length=2_000)]
ClassName: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)]
Probability: TypeAlias = Annotated[FiniteFloat, Field(ge=0, le=1)]


class Example(Body):
    """A row, by the names of its columns, and the probability of each class that the model answers to it."""

    inputs: dict[str, JsonValue]
    probabilities: Annotated[tuple[Probability, ...], Field(min_length=2, max_length=MAX_CLASSES)]


class UploadRequest(Body):
    """What is uploaded. `classes` are in the order of the model's probabilities; of two, the last is the
    positive one, and `threshold` is the probability from which on it is predicted.

    `examples` prove that the model is read as it was meant: rows from your own data, with what your own
    library answers to them. `shared` gives the model to everybody; only operators may.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    format: Annotated[Format, Field(strict=False)]
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=2_000)]
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=MAX_CLASSES)]
    threshold: Probability = 0.5
    description: Description = ""
    tags: Tags = ()
    shared: bool = False
    examples: Annotated[tuple[Example, ...], Field(min_length=MIN_EXAMPLES, max_length=MAX_EXAMPLES)]

    @cached_property
    def schema_of_rows(self) -> Columns:
        """
        Raises:
            InvalidInput: two columns have one name.
        """
        try:
            return Columns(self.columns)
        except ValueError as error:
            wrong = FieldError("/columns", str(error))
            raise InvalidInput(f"The columns can't be used: {error}.", errors=[wrong]) from error

    def check(self) -> NDArray[np.float32]:
        """The examples as the model takes them, (examples, columns).

        Raises:
            InvalidInput: names every example that doesn't fit the columns or the classes.
        """
        if len(set(self.classes)) != len(self.classes):
            raise InvalidInput("Each class is there once.", errors=[FieldError("/classes", "is there twice")])
        rows = [example.inputs for example in self.examples]
        encoded = self.schema_of_rows.encode(rows, pointer="/examples")
        errors = [_inside(error) for found in encoded.errors.values() for error in found]
        errors += [FieldError(f"/examples/{place}/probabilities", why) for place, why in self._unfit()]
        if errors:
            raise InvalidInput("The examples don't fit the columns or the classes.", errors=errors)
        return encoded.x

    def expected(self) -> NDArray[np.float64]:
        """The probabilities that the examples must give, (examples, classes)."""
        import numpy as np

        return np.array([example.probabilities for example in self.examples], np.float64)

    def _unfit(self) -> list[tuple[int, str]]:
        found = []
        for place, example in enumerate(self.examples):
            if len(example.probabilities) != len(self.classes):
                found.append((place, f"must be {len(self.classes)} numbers, one per class"))
            elif abs(sum(example.probabilities) - 1.0) > _SUM_TOLERANCE:
                found.append((place, f"must add up to 1, found {sum(example.probabilities):g}"))
        return found

    def to_json(self) -> bytes:
        return self.__pydantic_serializer__.to_json(self)

    @staticmethod
    def from_json(content: bytes) -> UploadRequest:
        """What `to_json` gave."""
        return UploadRequest.model_validate_json(content)


def _inside(error: FieldError) -> FieldError:
    """`/examples/3/age` is `/examples/3/inputs/age` in the request."""
    _, examples, place, *rest = error.pointer.split("/")
    return FieldError("/".join(["", examples, place, "inputs", *rest]), error.detail)
