"""Tabular predictions: rows to codes to probabilities to labels, in the audit before the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from shared.access.identity import Caller
from shared.errors import EngineError, FieldError, InvalidInput
from shared.platform.ports import Event, NewId, Now
from shared.registry import Manifest
from shared.schema import Answer
from shared.serving.models import LoadedModel, Models
from shared.serving.publisher import TOPIC, Publisher
from shared.tabular.deciding import decided
from shared.tabular.rows import Encoded

MAX_ERRORS: Final = 100
"""So many faults of a call are told, each with its place."""

_IN_WORDS: Final = 20
_THREAD_ROWS: Final = 64
"""More rows than these are worked on beside the event loop: others don't wait for them."""

P = ParamSpec("P")
T = TypeVar("T")


class RowPrediction(Answer):
    """What a model says of one row.

    `probability` is the calibrated probability of `label`, `probabilities` that of each class. Of two
    classes the second one is the label where its probability reaches the model's threshold, which need not
    be one half; of more it is the most probable one.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    prediction_id: str


class TabularAnswer(Answer):
    """The predictions of all rows, in their order."""

    model_id: str
    predictions: list[RowPrediction]
    request_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request holds its rows, one after the other, as a JSON pointer."""

    pointer: str = "/inputs"

    def of(self, row: int, column: str) -> str:
        """Where a value is; `column` is what is below the row, with its slash, or nothing for all of it."""
        return f"{self.pointer}/{row}{column}"


_INPUTS: Final = Place()


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Rows that were scored by `model` and are in the audit: as numbers (n, classes), and as predictions."""

    model: LoadedModel
    probabilities: NDArray[np.float32]
    predictions: list[RowPrediction]


class TabularPredictor:
    """Predicts the classes of rows. Nothing is answered that isn't durable in the audit."""

    def __init__(
        self, models: Models, publisher: Publisher, *, max_rows: int, now: Now, new_id: NewId
    ) -> None:
        self._models = models
        self._publisher = publisher
        self._max_rows = max_rows
        self._now = now
        self._new_id = new_id

    async def predict(
        self, loaded: LoadedModel, rows: Sequence[Mapping[str, Any]], caller: Caller
    ) -> TabularAnswer:
        """The predictions of all rows.

        Raises:
            InvalidInput: there are too many rows, or some are wrong: each fault is named, and nothing was
                scored.
            PlatformUnavailable: they aren't, or may not be, in the audit: don't answer.
            PackageRefused: the model gives no numbers for one of them.
        """
        scored = await self.score_rows(loaded, rows, caller)
        return TabularAnswer(
            model_id=scored.model.version_id,
            predictions=scored.predictions,
            request_id=caller.request_id,
        )

    async def predict_each(
        self, loaded: LoadedModel, rows: Sequence[Mapping[str, Any]], caller: Caller
    ) -> Sequence[RowPrediction | EngineError]:
        """What became of each row, in their order: its prediction, or what is wrong with it.

        Raises:
            InvalidInput: there are too many rows.
            PackageRefused, PlatformUnavailable: as `predict`.
        """
        started = time.perf_counter()
        encoded = await self._encoded(loaded, rows, _INPUTS)
        scored = await self.score(loaded, encoded.x, caller, started=started)
        found: dict[int, RowPrediction | EngineError] = {
            **dict(zip(encoded.rows.tolist(), scored.predictions, strict=True)),
            **{place: refused(errors) for place, errors in encoded.errors.items()},
        }
        return [found[place] for place in range(len(rows))]

    async def model(self, model: str) -> LoadedModel:
        """A tabular model, by name or version id.

        Raises:
            InvalidInput: it is no tabular model.
            NoActiveModel, NotFound, PackageRefused, PlatformUnavailable
        """
        loaded = await self._models.get(model)
        _ = loaded.columns
        return loaded

    async def score_rows(
        self,
        loaded: LoadedModel,
        rows: Sequence[Mapping[str, Any]],
        caller: Caller,
        place: Place = _INPUTS,
    ) -> Scored:
        """As `predict`, as numbers. `place` is where the request holds the rows.

        Raises:
            InvalidInput: as `predict`.
            PlatformUnavailable
        """
        started = time.perf_counter()
        encoded = await self._encoded(loaded, rows, place)
        if encoded.errors:
            raise refused(error for errors in encoded.errors.values() for error in errors)
        return await self.score(loaded, encoded.x, caller, started=started)

    async def score(
        self, loaded: LoadedModel, x: NDArray[np.float32], caller: Caller, *, started: float
    ) -> Scored:
        """The scores of codes (n, columns), in the audit on return. `started` is when the work began, by
        `time.perf_counter`.

        Raises:
            PlatformUnavailable: they aren't, or may not be, in the audit: don't answer.
            PackageRefused: the model gives no numbers for one of them.
        """
        if not len(x):
            return Scored(loaded, np.empty((0, len(loaded.manifest.classes)), np.float32), [])
        scored, events = await beside(len(x), self._scored, loaded, x, caller, started)
        await self._publisher.publish(*events)
        return scored

    def require_few(self, rows: int, pointer: str) -> None:
        """
        Raises:
            InvalidInput: more rows than a call may have, or none.
        """
        if not 0 < rows <= self._max_rows:
            found = f"between 1 and {self._max_rows} rows a call, found {rows}"
            more = f"{found}: send several calls" if rows else found
            raise InvalidInput(more, errors=[FieldError(pointer, more)])

    async def _encoded(self, loaded: LoadedModel, rows: Sequence[Mapping[str, Any]], place: Place) -> Encoded:
        self.require_few(len(rows), place.pointer)
        return await beside(len(rows), _encoded, loaded, rows, place)

    def _scored(
        self, loaded: LoadedModel, x: NDArray[np.float32], caller: Caller, started: float
    ) -> tuple[Scored, list[Event]]:
        probabilities = loaded.score(x)
        scored = Scored(loaded, probabilities, _predictions(loaded.manifest, probabilities, self._new_id))
        latency_ms = round((time.perf_counter() - started) * 1_000, 3)
        return scored, list(self._events(scored, x, caller, latency_ms))

    def _events(
        self, scored: Scored, x: NDArray[np.float32], caller: Caller, latency_ms: float
    ) -> Iterator[Event]:
        """One for each row. Its data is a row of the warehouse, as that of market predictions is."""
        made_at = self._now()
        common = {
            **scored.model.facts,
            "made_at": made_at.isoformat(),
            "latency_ms": latency_ms,
            "request_id": caller.request_id,
            "caller": caller.name,
            "function": caller.function,
            "trace_id": caller.traceparent[3:35],
        }
        attributes = {"traceparent": caller.traceparent}
        source = f"//mlengine/{caller.function}"
        for codes, prediction in zip(x.tolist(), scored.predictions, strict=True):
            record = {
                **common,
                "prediction_id": prediction.prediction_id,
                "label": prediction.label,
                "probability": prediction.probability,
                "probabilities": _text(list(prediction.probabilities.values())),
                "features": _text(codes),
            }
            yield Event(prediction.prediction_id, source, TOPIC, made_at, record, attributes)


async def beside(rows: int, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` gives, done in a thread where the rows are many."""
    return await asyncio.to_thread(work, *args, **kwargs) if rows > _THREAD_ROWS else work(*args, **kwargs)


def _predictions(
    manifest: Manifest, probabilities: NDArray[np.float32], new_id: NewId
) -> list[RowPrediction]:
    classes, places = manifest.classes, decided(probabilities, manifest.threshold).tolist()
    return [
        RowPrediction(
            label=classes[place],
            probability=row[place],
            probabilities=dict(zip(classes, row, strict=True)),
            prediction_id=new_id(),
        )
        for place, row in zip(places, probabilities.tolist(), strict=True)
    ]


def refused(errors: Iterable[FieldError], *, count: int | None = None) -> InvalidInput:
    """What is wrong with rows: the first faults with their places, and how many more there are of `count`,
    where `errors` aren't all.
    """
    found = list(errors)
    told = [f"{error.pointer}: {error.detail}" for error in found[:_IN_WORDS]]
    left = (len(found) if count is None else count) - len(told)
    more = [f"and {left} more"] if left else []
    return InvalidInput("; ".join(told + more), errors=found[:MAX_ERRORS])


def _encoded(loaded: LoadedModel, rows: Sequence[Mapping[str, Any]], place: Place) -> Encoded:
    encoded = loaded.columns.encode(rows, pointer="")
    if not encoded.errors:
        return encoded
    errors = {row: _placed(errors, row, place) for row, errors in encoded.errors.items()}
    return Encoded(encoded.x, encoded.rows, errors)


def _placed(errors: Iterable[FieldError], row: int, place: Place) -> tuple[FieldError, ...]:
    """With the pointers of the request, of errors whose pointers begin with the row."""
    own = len(f"/{row}")
    return tuple(FieldError(place.of(row, error.pointer[own:]), error.detail) for error in errors)


def _text(values: Sequence[float]) -> str:
    return to_json(values, inf_nan_mode="null").decode()
