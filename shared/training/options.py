"""What one training run is asked to do: the request, checked, and its options with defaults filled in.

Light: the function that starts runs imports this, and no training library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from shared.config import Settings
from shared.errors import FieldError, InvalidInput, NotFound
from shared.problems import MarketProblem, Problem, problem, problems
from shared.schema import Body

Text = Annotated[str, Field(min_length=1, max_length=64)]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """`symbols` empty: all there are. `lookback`: latest candles per symbol, 0 for all.

    `candidates` are names of the problem's variants, empty for all. `resamples` are of the bootstrap.
    """

    symbols: tuple[str, ...] = ()
    lookback: int = 0
    test_size: float = 0.2
    random_state: int = 42
    cv_folds: int = 6
    candidates: tuple[str, ...] = ()
    horizon: int = 1
    resamples: int = 1_000

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "symbols": list(self.symbols), "candidates": list(self.candidates)}


class TrainingRequest(Body):
    """Which problem to train for, whether a model that passes may go live at once, and what to override.

    What isn't given comes from the settings (TRAIN_SYMBOLS, TRAIN_LOOKBACK, TRAIN_TEST_SIZE,
    TRAIN_RANDOM_STATE, TRAIN_CV_FOLDS) and from the problem.
    """

    problem: Text = "market_signal"
    activate: bool = False
    symbols: Annotated[list[Text] | None, Field(min_length=1, max_length=5_000)] = None
    lookback: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    test_size: Annotated[float | None, Field(gt=0, lt=0.9)] = None
    random_state: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    cv_folds: Annotated[int | None, Field(ge=2, le=50)] = None
    candidates: Annotated[list[Text] | None, Field(min_length=1, max_length=100)] = None
    horizon: Annotated[int | None, Field(ge=1, le=1_000)] = None

    def checked(self) -> dict[str, Any]:
        """What was given, as JSON, if its names exist and none comes twice.

        Raises:
            InvalidInput: naming each field that is wrong, and what it may be.
        """
        errors = list(self._errors())
        if errors:
            raise InvalidInput("The training request is not valid.", errors=errors)
        return self.model_dump(mode="json", exclude_none=True)

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> TrainingRequest:
        """The request that a run has recorded.

        Raises:
            InvalidInput: not a training request.
        """
        try:
            request = TrainingRequest.model_validate(data)
        except ValidationError as error:
            errors = [FieldError("/" + "/".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
            raise InvalidInput("The training request is not valid.", errors=errors) from error
        request.checked()
        return request

    @property
    def spec(self) -> Problem:
        """The problem of that name."""
        return problem(self.problem)

    def options(self, settings: Settings) -> TrainingOptions:
        """What was asked for, over the defaults."""
        return TrainingOptions(
            symbols=settings.train_symbols if self.symbols is None else tuple(self.symbols),
            lookback=_given(self.lookback, settings.train_lookback),
            test_size=_given(self.test_size, settings.train_test_size),
            random_state=_given(self.random_state, settings.train_random_state),
            cv_folds=_given(self.cv_folds, settings.train_cv_folds),
            candidates=tuple(self.candidates or ()),
            horizon=_given(self.horizon, self._horizon),
        )

    @property
    def _horizon(self) -> int:
        return self.spec.horizon if isinstance(self.spec, MarketProblem) else 1

    def _errors(self) -> Iterator[FieldError]:
        yield from _repeated("symbols", self.symbols or ())
        yield from _repeated("candidates", self.candidates or ())
        try:
            known = [name for name, *_ in self.spec.variants()]
        except NotFound:
            yield FieldError("/problem", f"must be one of {', '.join(problems())}, found {self.problem!r}")
            return
        for i, name in enumerate(self.candidates or ()):
            if name not in known:
                yield FieldError(f"/candidates/{i}", f"must be one of {', '.join(known)}, found {name!r}")


def _given(value: T | None, default: T) -> T:
    return default if value is None else value


def _repeated(field: str, names: Sequence[str]) -> Iterator[FieldError]:
    first = {name: i for i, name in reversed(list(enumerate(names)))}
    for i, name in enumerate(names):
        if first[name] < i:
            yield FieldError(f"/{field}/{i}", f"{name!r} is there already")
