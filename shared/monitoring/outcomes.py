"""Outcomes: what became of each prediction, once. They stay when the audit has let the prediction go.

An outcome is created by its prediction's id, in one batch with the deletion of the document that says that it
isn't settled: whoever comes second, by a redelivery or a race, finds it there and changes nothing. The first
settlement stands, also where the upstream corrects its candles later: it holds the closes it was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from shared.errors import AlreadyExists, Conflict, EngineError, InvalidInput, NotFound
from shared.monitoring import unsettled
from shared.monitoring.unsettled import Unsettled, series_of
from shared.platform.ports import (
    MAX_BATCH_WRITES,
    MAX_IN_VALUES,
    Create,
    Data,
    Delete,
    Documents,
    Filter,
    Now,
    Order,
    Write,
)
from shared.platform.times import utc
from shared.registry import Registry

if TYPE_CHECKING:
    from shared.market.store import CandleStore
    from shared.monitoring.settlement import MarketSettler

COLLECTION: Final = "outcomes"
UNSETTLED: Final = unsettled.COLLECTION
BY_CANDLES: Final = "candles"

PATIENCE: Final = timedelta(days=30)
"""How long after its horizon a market prediction waits for candles: a symbol may be delisted."""

LABEL_PATIENCE: Final = timedelta(days=365)
"""How long after it was made a tabular prediction waits for its label."""

PAGE: Final = 500
MOST_COUNTED: Final = 1_000
_WRITES_PER_OUTCOME = 2


class State(StrEnum):
    """Unsettleable: nobody waits for its label any more; `why` says what was missing."""

    SETTLED = "settled"
    UNSETTLEABLE = "unsettleable"


@dataclass(frozen=True, slots=True)
class Label:
    """What a prediction should have said: one of its model's classes."""

    prediction_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of one label that was told: the outcome, or why there is none."""

    prediction_id: str
    result: Data | EngineError


@dataclass(frozen=True, slots=True)
class Settled:
    """How many were settled now, how many wait on, and how many are waited for no more."""

    settled: int = 0
    waiting: int = 0
    given_up: int = 0

    def __add__(self, other: Settled) -> Settled:
        return Settled(
            self.settled + other.settled, self.waiting + other.waiting, self.given_up + other.given_up
        )


class Outcomes:
    """The outcomes of all predictions. Every call blocks; all are idempotent."""

    def __init__(self, documents: Documents, candles: CandleStore, registry: Registry, now: Now) -> None:
        self._documents = documents
        self._candles = candles
        self._registry = registry
        self._now = now

    def get(self, prediction_id: str) -> Data | None:
        document = self._documents.get(COLLECTION, prediction_id)
        return None if document is None else document.data

    def is_waiting(self, prediction_id: str) -> bool:
        return self._documents.get(UNSETTLED, prediction_id) is not None

    def of_model(self, version_id: str, *, since: int | None, limit: int) -> Iterator[Data]:
        """A version's outcomes, those about the latest moments first; `since` is in seconds since 1970."""
        where = [Filter("model_id", "==", version_id)]
        if since is not None:
            where.append(Filter("at", ">=", since))
        cursor, left = None, limit
        while left:
            page = self._documents.query(
                COLLECTION,
                where=where,
                order_by=[Order("at", descending=True)],
                limit=min(left, 10 * PAGE),
                cursor=cursor,
            )
            yield from (document.data for document in page.documents)
            left -= len(page.documents)
            if (cursor := page.cursor) is None:
                return

    def waiting(self, version_id: str) -> int:
        """How many of a version's predictions aren't settled: counted up to 1,000."""
        which = Filter("model_id", "==", version_id)
        return len(self._documents.query(UNSETTLED, where=[which], limit=MOST_COUNTED).documents)

    def settle(self, timeframe: str, symbols: Sequence[str]) -> Settled:
        """Settle what the candles of these symbols settle; durable on return.

        Raises:
            CorruptBlob: the candles of a series can't be read; all others are settled then.
        """
        series = sorted({series_of(timeframe, symbol) for symbol in symbols})
        some = [series[first : first + MAX_IN_VALUES] for first in range(0, len(series), MAX_IN_VALUES)]
        return self._settle_all(page for names in some for page in self._pages(Filter("series", "in", names)))

    def give_up_overdue(self) -> Settled:
        """Close what has waited too long, with the reason; what can be settled after all is.

        Raises:
            CorruptBlob: as `settle`.
        """
        old = Filter("made_at", "<=", utc(self._now() - PATIENCE))
        return self._settle_all(list(filter(self._is_overdue, page)) for page in self._pages(old))

    def label(self, labels: Sequence[Label], *, by: str) -> Sequence[Labelled]:
        """Settle predictions of tabular problems by labels that `by` tells; each succeeds or fails alone.

        One that was settled with the same label before is given as it is. Each may fail with NotFound, with
        Conflict where it has another label, or is settled otherwise, with InvalidInput where its model has
        no such class, or with the errors of reading the model.
        """
        classes: dict[str, Sequence[str]] = {}
        return [Labelled(one.prediction_id, self._tried(one, by, classes)) for one in labels]

    def _settle_all(self, pages: Iterable[Sequence[Unsettled]]) -> Settled:
        """Each series on its own: one that fails is told of when the others are done."""
        from shared.monitoring.settlement import MarketSettler

        done = Settled()
        failed: EngineError | None = None
        for page in pages:
            settler = MarketSettler(self._candles)
            for one in _by_series(page):
                try:
                    done += self._settle(settler, one)
                except EngineError as error:
                    failed = failed or error
        if failed is not None:
            raise failed
        return done

    def _pages(self, which: Filter) -> Iterator[Sequence[Unsettled]]:
        cursor: str | None = None
        while True:
            page = self._documents.query(UNSETTLED, where=[which], limit=PAGE, cursor=cursor)
            yield [Unsettled.from_data(document.data) for document in page.documents]
            if (cursor := page.cursor) is None:
                return

    def _settle(self, settler: MarketSettler, waiting: Sequence[Unsettled]) -> Settled:
        """Those of one series, or those without one."""
        from shared.monitoring.settlement import Settlement

        calls = [one.call for one in waiting if one.call is not None]
        found = settler.settle(calls) if calls else [None] * len(waiting)
        outcomes = []
        for one, result in zip(waiting, found, strict=True):
            if isinstance(result, Settlement):
                outcomes.append(self._outcome(one, State.SETTLED, BY_CANDLES, **asdict(result)))
            elif self._is_overdue(one):
                why = "nobody told its label" if result is None else result.why
                outcomes.append(self._outcome(one, State.UNSETTLEABLE, BY_CANDLES, why=why))
        self._keep(outcomes)
        settled = sum(one["state"] == State.SETTLED for one in outcomes)
        return Settled(settled, len(waiting) - len(outcomes), len(outcomes) - settled)

    def _is_overdue(self, prediction: Unsettled) -> bool:
        from shared.monitoring.settlement import horizon_seconds

        made_at = datetime.fromisoformat(prediction.made_at)
        if prediction.call is None:
            return made_at + LABEL_PATIENCE <= self._now()
        return made_at + timedelta(seconds=horizon_seconds(prediction.call)) + PATIENCE <= self._now()

    def _outcome(self, prediction: Unsettled, state: State, by: str, **found: Any) -> dict[str, Any]:
        """The document. `at` is the moment it is about, in seconds since 1970: what windows go by."""
        call = prediction.call
        about = prediction.made_at if call is None else call.as_of
        return {
            **dict.fromkeys(_FOUND),
            **prediction.to_data(),
            "at": int(datetime.fromisoformat(about).timestamp()),
            "state": str(state),
            "settled_at": utc(self._now()),
            "settled_by": by,
            **found,
        }

    def _keep(self, outcomes: Sequence[Mapping[str, Any]]) -> None:
        """Create them, all at once; where one is there already, one by one."""
        size = MAX_BATCH_WRITES // _WRITES_PER_OUTCOME
        for first in range(0, len(outcomes), size):
            batch = outcomes[first : first + size]
            try:
                self._documents.commit([write for one in batch for write in _writes(one)])
            except AlreadyExists:
                for one in batch:
                    self._keep_alone(one)

    def _keep_alone(self, outcome: Mapping[str, Any]) -> None:
        create, delete = _writes(outcome)
        try:
            self._documents.commit([create, delete])
        except AlreadyExists:  # settled before: what made it wait again is dropped
            self._documents.commit([delete])

    def _tried(self, label: Label, by: str, classes: dict[str, Sequence[str]]) -> Data | EngineError:
        try:
            return self._label(label, by, classes)
        except EngineError as error:
            return error

    def _label(self, label: Label, by: str, classes: dict[str, Sequence[str]]) -> Data:
        found = self._documents.get(UNSETTLED, label.prediction_id)
        if found is None:
            return self._settled_with(label)
        prediction = Unsettled.from_data(found.data)
        if prediction.call is not None:
            raise Conflict(
                f"The prediction {label.prediction_id} is about {prediction.call.symbol}: it is settled by "
                "candles when they are there, not by labels."
            )
        if prediction.model_id not in classes:
            classes[prediction.model_id] = self._registry.describe(prediction.model_id)[1].classes
        known = classes[prediction.model_id]
        if label.label not in known:
            raise InvalidInput(
                f"{prediction.model_id} has the classes {', '.join(known)}; found {label.label!r}."
            )
        outcome = self._outcome(prediction, State.SETTLED, by, label=label.label)
        try:
            self._documents.commit(_writes(outcome))
        except AlreadyExists:
            self._documents.commit(_writes(outcome)[1:])
            return self._settled_with(label)
        return outcome

    def _settled_with(self, label: Label) -> Data:
        """The outcome that is there, if it says the same.

        Raises:
            NotFound: none is, and nothing waits for one.
            Conflict: it says something else.
        """
        outcome = self.get(label.prediction_id)
        if outcome is None:
            raise NotFound(
                f"There is no prediction {label.prediction_id!r} that waits for its outcome. One that was "
                "made a moment ago is there in another moment."
            )
        if outcome["label"] != label.label:
            found = outcome["why"] if outcome["label"] is None else f"the label {outcome['label']!r}"
            raise Conflict(
                f"The prediction {label.prediction_id} was closed at {outcome['settled_at']} with {found}: "
                "the first outcome stands."
            )
        return outcome


_FOUND: Final = ("label", "forward_return", "past_return", "close", "settled_close", "ends_at", "why")


def _writes(outcome: Mapping[str, Any]) -> list[Write]:
    prediction_id = outcome["prediction_id"]
    return [Create(COLLECTION, prediction_id, outcome), Delete(UNSETTLED, prediction_id)]


def _by_series(predictions: Sequence[Unsettled]) -> Iterator[Sequence[Unsettled]]:
    def series(one: Unsettled) -> str:
        return "" if one.call is None else one.call.series

    for _, group in groupby(sorted(predictions, key=series), key=series):
        yield list(group)
