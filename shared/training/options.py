"""What one training run is asked to do: the request, checked, and its options with defaults filled in.

Light: the function that starts runs imports this, and no training library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, ValidationError

from shared.config import Settings
from shared.errors import FieldError, InvalidInput, NotFound
from shared.problems import MarketProblem, Problem, TabularProblem
from shared.problems.declared import Problems
from shared.problems.spec import Kind
from shared.schema import Body
from shared.training.search.records import SearchRequest

Text = Annotated[str, Field(min_length=1, max_length=64)]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """`candidates` are names of the problem's variants, empty for all. `resamples` are of the bootstrap."""

    random_state: int = 42
    cv_folds: int = 6
    candidates: tuple[str, ...] = ()
    resamples: int = 1_000

    def json(self) -> dict[str, Any]:
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOptions(TrainingOptions):
    """`symbols` empty: all there are. `lookback`: latest candles per symbol, 0 for all."""

    symbols: tuple[str, ...] = ()
    lookback: int = 0
    test_size: float = 0.2
    horizon: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularOptions(TrainingOptions):
    """Cross-validation of `cv_folds` folds, `cv_repeats` times."""

    cv_folds: int = 5
    cv_repeats: int = 10


ONLY: Final[Mapping[str, Kind]] = {
    "symbols": Kind.MARKET,
    "lookback": Kind.MARKET,
    "test_size": Kind.MARKET,
    "horizon": Kind.MARKET,
    "cv_repeats": Kind.TABULAR,
    "search": Kind.TABULAR,
}
"""What can be overridden for problems of one kind alone."""


class TrainingRequest(Body):
    """Which problem to train for, whether a model that passes may go live at once, and what to override.

    What isn't given comes from the problem and from the settings (TRAIN_RANDOM_STATE; of a market's problems
    also TRAIN_SYMBOLS, TRAIN_LOOKBACK, TRAIN_TEST_SIZE and TRAIN_CV_FOLDS). `symbols`, `lookback`,
    `test_size` and `horizon` belong to a market's problems, `cv_repeats` and `search` to tabular ones. With
    a search, which every outer fold needs of its own, `cv_repeats` is 1 unless it is given.
    """

    problem: Text = "market_signal"
    activate: bool = False
    symbols: Annotated[list[Text] | None, Field(min_length=1, max_length=5_000)] = None
    lookback: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    test_size: Annotated[float | None, Field(gt=0, lt=0.9)] = None
    random_state: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    cv_folds: Annotated[int | None, Field(ge=2, le=50)] = None
    cv_repeats: Annotated[int | None, Field(ge=1, le=50)] = None
    candidates: Annotated[list[Text] | None, Field(min_length=1, max_length=100)] = None
    horizon: Annotated[int | None, Field(ge=1, le=1_000)] = None
    search: SearchRequest | None = None

    def checked(self, problems: Problems) -> dict[str, Any]:
        """What was given, as JSON, if its names exist, none comes twice, and all fits the kind of problem.

        Raises:
            InvalidInput: naming each field that is wrong, and what it may be.
            Conflict: the problem was declared, and has no data yet.
        """
        errors = list(self._errors(problems))
        if errors:
            raise InvalidInput("The training request is not valid.", errors=errors)
        return self.model_dump(mode="json", exclude_none=True)

    @staticmethod
    def from_data(data: Mapping[str, Any], problems: Problems) -> TrainingRequest:
        """The request that a run has recorded.

        Raises:
            InvalidInput: not a training request.
            Conflict: the problem was declared, and has no data yet.
        """
        try:
            request = TrainingRequest.model_validate(data)
        except ValidationError as error:
            errors = [FieldError("/" + "/".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
            raise InvalidInput("The training request is not valid.", errors=errors) from error
        request.checked(problems)
        return request

    def market_options(self, settings: Settings, problem: MarketProblem) -> MarketOptions:
        """What was asked for, over the settings' and the problem's defaults."""
        return MarketOptions(
            symbols=settings.train_symbols if self.symbols is None else tuple(self.symbols),
            lookback=_given(self.lookback, settings.train_lookback),
            test_size=_given(self.test_size, settings.train_test_size),
            random_state=_given(self.random_state, settings.train_random_state),
            cv_folds=_given(self.cv_folds, settings.train_cv_folds),
            candidates=tuple(self.candidates or ()),
            horizon=_given(self.horizon, problem.horizon),
        )

    def tabular_options(self, settings: Settings, problem: TabularProblem) -> TabularOptions:
        """The same, for a tabular problem."""
        return TabularOptions(
            random_state=_given(self.random_state, settings.train_random_state),
            cv_folds=_given(self.cv_folds, problem.folds),
            cv_repeats=_given(self.cv_repeats, problem.repeats if self.search is None else 1),
            candidates=tuple(self.candidates or ()),
        )

    def _errors(self, problems: Problems) -> Iterator[FieldError]:
        yield from _repeated("symbols", self.symbols or ())
        yield from _repeated("candidates", self.candidates or ())
        try:
            problem = problems.get(self.problem)
        except NotFound:
            known = ", ".join(problems.names())
            yield FieldError("/problem", f"must be one of {known}, found {self.problem!r}")
            return
        yield from self._unfit(problem)
        names = [name for name, *_ in problem.variants()]
        for i, name in enumerate(self.candidates or ()):
            if name not in names:
                yield FieldError(f"/candidates/{i}", f"must be one of {', '.join(names)}, found {name!r}")

    def _unfit(self, problem: Problem) -> Iterator[FieldError]:
        for field, kind in ONLY.items():
            if getattr(self, field) is not None and kind is not problem.kind:
                yield FieldError(
                    f"/{field}",
                    f"belongs to problems of kind {kind}; {problem.name} is {problem.kind}: leave it out",
                )


def _given(value: T | None, default: T) -> T:
    return default if value is None else value


def _repeated(field: str, names: Sequence[str]) -> Iterator[FieldError]:
    first = {name: i for i, name in reversed(list(enumerate(names)))}
    for i, name in enumerate(names):
        if first[name] < i:
            yield FieldError(f"/{field}/{i}", f"{name!r} is there already")
