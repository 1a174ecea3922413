"""What competes for a declared problem, and what a search may try of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import (
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from shared.errors import FieldError
from shared.problems.declared.complaints import at
from shared.problems.declared.parameters import DEFAULTS, hint, refusal
from shared.problems.spec import Algorithm, Candidate, Space
from shared.schema import Body

MAX_VARIANTS: Final = 100

Value: TypeAlias = StrictInt | StrictFloat | StrictStr


def by_algorithm(given: Any) -> Any:
    """`[a, b]` is short for `{a: {}, b: {}}`: with the parameters that are usual here."""
    if isinstance(given, list):
        return {str(name): {} for name in given}
    if isinstance(given, dict):
        return {name: {} if one is None else one for name, one in given.items()}
    return given


class SpaceDeclaration(Body):
    """What a search may try of a hyper-parameter: `{int: [4, 64]}`, `{float: [0.01, 0.3], log: true}` or
    `{choice: [sqrt, log2]}`.
    """

    model_config = ConfigDict(strict=False, populate_by_name=False)

    integers: tuple[StrictInt, StrictInt] | None = Field(None, alias="int")
    numbers: tuple[FiniteFloat, FiniteFloat] | None = Field(None, alias="float")
    choice: Annotated[tuple[Value, ...] | None, Field(min_length=1, max_length=MAX_VARIANTS)] = None
    log: StrictBool = False

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(one is not None for one in (self.integers, self.numbers, self.choice)) != 1:
            raise ValueError("must have one of int, float and choice")
        low, high = self.ends
        if self.choice is None and low >= high:
            raise ValueError(f"must begin below its end, found {low:g} to {high:g}")
        if self.log and (self.choice is not None or low <= 0):
            raise ValueError("log is for numbers above 0")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        return self.integers or self.numbers or (0.0, 0.0)

    @property
    def tried(self) -> tuple[Value, ...]:
        """Values that show whether all are allowed."""
        return self.choice or self.integers or self.numbers or ()

    @property
    def kind(self) -> str:
        """The name that its values stand under."""
        return "choice" if self.choice is not None else "float" if self.integers is None else "int"

    def space(self) -> Space:
        if self.choice is not None:
            return Space("choice", choices=self.choice)
        return Space("float" if self.integers is None else "int", *self.ends, log=self.log)


class CandidateDeclaration(Body):
    """What an algorithm competes with, over the parameters that are usual here: each combination of a grid on
    its own. `search` says what a search may try, where that isn't to be what is usual.
    """

    model_config = ConfigDict(strict=False)  # behind a short form lists stand where tuples are meant

    parameters: dict[str, Value] = Field(default_factory=dict)
    grid: dict[str, Annotated[tuple[Value, ...], Field(min_length=1, max_length=MAX_VARIANTS)]] = Field(
        default_factory=dict
    )
    search: dict[str, SpaceDeclaration] = Field(default_factory=dict)

    def candidate(self, algorithm: Algorithm) -> Candidate:
        """What competes: its parameters stand over what is usual."""
        usual = {key: value for key, value in DEFAULTS[algorithm].items() if key not in self.grid}
        search = {key: space.space() for key, space in self.search.items()}
        return Candidate(algorithm, {**usual, **self.parameters}, dict(self.grid), search)

    def canonical(self, algorithm: Algorithm) -> dict[str, Any]:
        """The same with what is usual in it."""
        spaces = {
            name: space.model_dump(mode="json", by_alias=True, exclude_none=True)
            for name, space in self.search.items()
        }
        made = self.candidate(algorithm)
        return {"parameters": dict(made.parameters), "grid": dict(made.grid), "search": spaces}

    @property
    def combinations(self) -> int:
        """How many variants it competes with."""
        return math.prod(len(values) for values in self.grid.values())

    def complaints(self, algorithm: Algorithm) -> Iterator[FieldError]:
        """What is wrong with it as a candidate of this algorithm."""
        for place, key, value in self._tried():
            why = refusal(algorithm, key, value)
            if why is not None:
                yield FieldError(at("candidates", algorithm, *place), why)
        for key, values in self.grid.items():
            if len(set(values)) != len(values):
                yield FieldError(at("candidates", algorithm, "grid", key), "has a value twice")
            if key in self.parameters:
                yield FieldError(at("candidates", algorithm, "grid", key), "is a parameter already")

    def _tried(self) -> Iterator[tuple[tuple[str, ...], str, Value]]:
        """(place, parameter, value) of all that may be fitted with."""
        for key, value in self.parameters.items():
            yield ("parameters", key), key, value
        for key, values in self.grid.items():
            for place, value in enumerate(values):
                yield ("grid", key, str(place)), key, value
        for key, space in self.search.items():
            for place, value in enumerate(space.tried):
                yield ("search", key, space.kind, str(place)), key, value


def complaints(candidates: Mapping[str, CandidateDeclaration]) -> Iterator[FieldError]:
    """What is wrong with all of them."""
    variants = 0
    for name, one in candidates.items():
        if name in set(Algorithm):
            yield from one.complaints(Algorithm(name))
            variants += one.combinations
        else:
            known = hint(name, [str(algorithm) for algorithm in Algorithm])
            yield FieldError(at("candidates", name), f"is no algorithm here; {known}")
    if variants > MAX_VARIANTS:
        yield FieldError("/candidates", f"must be at most {MAX_VARIANTS} combinations, found {variants}")
