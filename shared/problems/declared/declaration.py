"""The form of a declared problem: short to write, and every mistake named in its own terms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    FiniteFloat,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from shared.errors import FieldError, InvalidInput
from shared.names import fault_of_model_name
from shared.problems.declared.candidates import CandidateDeclaration, by_algorithm, complaints
from shared.problems.declared.complaints import at, of_pydantic
from shared.problems.declared.parameters import USUAL, hint
from shared.problems.declared.target import TargetDeclaration
from shared.problems.spec import (
    Algorithm,
    Candidate,
    Gate,
    Metric,
    TabularProblem,
    Target,
)
from shared.schema import Body
from shared.tabular import Column, Columns
from shared.tabular.columns import MAX_COLUMNS, ColumnType

NAME: Final = r"^[a-z][a-z0-9_]{0,47}$"

METRICS: Final = ("auc", "accuracy", "f1", "log_loss", "brier")
"""What rows of a table are judged by; the other metrics are of candles."""
GATED: Final = (
    *(f"{name}{end}" for name in ("auc", "accuracy", "f1") for end in ("", ".low")),
    *(f"{name}_gain{end}" for name in ("accuracy", "log_loss", "brier") for end in ("", ".low")),
    "rows",
)
"""What gates may stand on: a metric, its gain over who says the base rate, or `.low`, the lower end of the
interval of either; and how many rows there are."""
USUAL_GATES: Final[Mapping[str, float]] = {"auc.low": 0.5}


def _named(columns: Any) -> Any:
    """Each column with its name in it; `age: number` is short for `age: {type: number}`."""
    if not isinstance(columns, dict):
        return columns
    return {name: _column(name, given) for name, given in columns.items()}


def _column(name: Any, given: Any) -> Any:
    if isinstance(given, str):
        return {"name": name, "type": given}
    return {"name": name, **given} if isinstance(given, dict) and "name" not in given else given


_Short: TypeAlias = dict[str, ColumnType | dict[str, Any]]


class Declaration(Body):
    """A tabular problem as its owner writes it down.

    `data` is `blobs:<name>` of an uploaded file, or nothing where a file is uploaded for the problem itself.
    `leak_auc`: an AUC above it is taken for a leak. `schedule`: when to train, as cron in UTC.

    Raises:
        InvalidInput: names everything that is wrong, each with a pointer into the declaration.
    """

    name: Annotated[str, Field(pattern=NAME)]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    data: Annotated[str | None, Field(max_length=300)] = None
    columns: Annotated[
        dict[str, Column],
        Field(min_length=1, max_length=MAX_COLUMNS),
        BeforeValidator(_named, json_schema_input_type=_Short),
    ]
    target: TargetDeclaration
    metric: Metric = "auc"
    gates: dict[str, FiniteFloat] = Field(default_factory=lambda: dict(USUAL_GATES))
    candidates: Annotated[
        dict[str, CandidateDeclaration],
        Field(min_length=1),
        BeforeValidator(
            by_algorithm, json_schema_input_type=dict[str, CandidateDeclaration | None] | list[str]
        ),
    ] = Field(default_factory=lambda: {str(one): CandidateDeclaration() for one in USUAL})
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    repeats: Annotated[int, Field(ge=1, le=50)] = 10
    leak_auc: Annotated[float, Field(gt=0.5, le=1.0)] = 0.995
    schedule: Annotated[str, Field(max_length=100)] = ""
    source: Annotated[str, Field(max_length=2_000)] = ""
    licence: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="wrap")
    @classmethod
    def _in_its_own_terms(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            read = handler(data)
        except ValidationError as error:
            raise refused(of_pydantic(error, cls)) from error
        if found := list(read._complaints()):  # noqa: SLF001 - a class method of the same class
            raise refused(found)
        return read

    @staticmethod
    def of(data: Mapping[str, Any]) -> Declaration:
        """The declaration in `data`, as decoded from JSON or YAML.

        Raises:
            InvalidInput: names everything that is wrong.
        """
        return Declaration.model_validate_json(json.dumps(data, default=str))

    @property
    def model_name(self) -> str:
        return self.name.replace("_", "-")

    @property
    def all_columns(self) -> Columns:
        return Columns(tuple(self.columns.values()))

    @property
    def label(self) -> Column:
        """The target as a column whose categories are the values of all classes."""
        values = tuple(value for found in self.target.in_order.values() for value in found)
        return Column(name=self.target.column, type="category", categories=values, nullable=False)

    def problem(self, data: str, version: int | None = None) -> TabularProblem:
        """What is trained, on `data` (see `TabularProblem`). `version` is the declaration's, if kept."""
        classes = self.target.in_order
        return TabularProblem(
            name=self.name,
            model_name=self.model_name,
            title=self.title,
            classes=tuple(classes),
            candidates=tuple(self._competing()),
            primary_metric=self.metric,
            gates=tuple(_gate(quantity, bound) for quantity, bound in self.gates.items()),
            leak_auc=self.leak_auc,
            version=version,
            schedule=self.schedule,
            data=data,
            columns=self.all_columns,
            target=Target(self.target.column, classes),
            folds=self.folds,
            repeats=self.repeats,
            source=" ".join(text for text in (self.source, self._licence) if text),
        )

    def canonical(self) -> dict[str, Any]:
        """The declaration with all defaults in it, so that a later change of those changes nothing here."""
        columns = {
            name: column.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
            for name, column in self.columns.items()
        }
        candidates = {name: one.canonical(Algorithm(name)) for name, one in self.candidates.items()}
        return self.model_dump(mode="json") | {"columns": columns, "candidates": candidates}

    @property
    def _licence(self) -> str:
        return f"Licence: {self.licence}" if self.licence else ""

    def _competing(self) -> Iterator[Candidate]:
        for name, one in self.candidates.items():
            yield one.candidate(Algorithm(name))

    def _complaints(self) -> Iterator[FieldError]:
        """What each member alone doesn't show."""
        if (fault := fault_of_model_name(self.model_name)) is not None:
            yield FieldError("/name", f"names the models {self.model_name!r}. {fault}")
        yield from self._of_columns()
        yield from self.target.complaints()
        yield from complaints(self.candidates)
        if self.metric not in METRICS:
            yield FieldError("/metric", f"must be one of {', '.join(METRICS)}, found {self.metric!r}")
        for quantity in self.gates:
            if quantity not in GATED:
                yield FieldError(
                    at("gates", quantity), f"is nothing to stand a gate on; {hint(quantity, GATED)}"
                )

    def _of_columns(self) -> Iterator[FieldError]:
        for name, column in self.columns.items():
            if column.name != name:
                yield FieldError(at("columns", name, "name"), f"must be left out, or {name!r}")
        if self.target.column in self.columns:
            yield FieldError(at("columns", self.target.column), "is the target: it can't be a column too")


def _gate(quantity: str, bound: float) -> Gate:
    metric, _, end = quantity.partition(".")
    what = f"the lower end of the interval of {metric}" if end else metric
    return Gate(quantity.replace(".", "_"), quantity, bound, f"{what} is above {bound:g}")


def refused(errors: list[FieldError]) -> InvalidInput:
    """The refusal of a declaration."""
    shown = "; ".join(f"{error.pointer} {error.detail}" for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return InvalidInput(f"The problem isn't declared well: {shown}{more}.", errors=errors)
