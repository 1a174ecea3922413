"""Dead letters: the events that were given up, kept with the reason until somebody brings them back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final

from shared.alerts.raising import Alert, AlertBell, Severity, alert_key
from shared.errors import Conflict, EngineError, NotFound
from shared.logs import LOGGER
from shared.monitoring.failures import DeliveryFailures, any_time, is_key, key_of, shortened
from shared.platform.cas import retry_conflicts, update
from shared.platform.names import key
from shared.platform.ports import (
    Create,
    Data,
    Document,
    Documents,
    Event,
    Events,
    Filter,
    Now,
    Order,
    Put,
    Replace,
    Write,
)
from shared.platform.topics import (
    DEAD_LETTER_ATTEMPTS,
    DEAD_LETTER_REASON,
    DEAD_LETTER_SUBSCRIPTION,
    DEAD_LETTERS,
    UNREADABLE,
)

COLLECTION: Final = "dead-letters"
PARTS: Final = "dead-letter-parts"
ALERTS: Final = "alerts.raised"
NOTIFIER: Final = "notify"
"""The function that delivers notifications."""

SOURCE: Final = "//mlengine/deadletters"
NEVER_ANSWERED: Final = "the handler never answered"
REPLAY: Final = "deadletterreplay"
"""The extension attribute that says how often a replayed event had been dead before."""

MAX_HISTORY: Final = 20
_TOLD = (DEAD_LETTER_SUBSCRIPTION, DEAD_LETTER_ATTEMPTS, DEAD_LETTER_REASON)
_PART_CHARACTERS = 400_000  # of ASCII; quoted once more, they are at most twice as many
_PLAIN = "//pubsub.googleapis.com/{topic}"


class State(StrEnum):
    DEAD = "dead"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Death:
    """One time that an event was given up: after how many attempts, and what the last failed of."""

    at: str
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that was given up. Times are RFC 3339 text in UTC.

    `topic` is None where nobody knows on which it came, or where it is no event: such a letter can't be
    replayed. `history` has the last deaths, the newest last; `deaths` counts all.
    """

    id: str
    state: State
    function: str
    topic: str | None
    event_id: str
    event_source: str
    event_type: str
    attempts: int
    reason: str
    died_at: str
    deaths: int
    history: tuple[Death, ...]
    replayed_at: str | None


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    letters: tuple[DeadLetter, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one letter that was to be replayed: `error` says why it wasn't."""

    id: str
    error: EngineError | None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A dead letter as it was delivered: whose it is, and what was published."""

    function: str
    topic: str | None
    event: Event
    attempts: int
    reason: str | None

    @property
    def id(self) -> str:
        return key_of(self.function, self.event)

    @property
    def is_of_an_alert(self) -> bool:
        """Whether an alert of it could only come to the same end: it is one that nobody can handle, or tells
        of notifications that couldn't be delivered. The first of those is told on the channels that live.
        """
        told = self.event.data.get("alert")
        about = told.get("key") if isinstance(told, Mapping) else None
        return self.topic == ALERTS or about == alert_key("dead_letter", NOTIFIER)

    @property
    def generation(self) -> int:
        """How often the event had been dead before: what tells a new death from the old one come again."""
        return _number(self.event.attributes.get(REPLAY))

    @property
    def content(self) -> str:
        """The event as JSON text in ASCII: whatever was in it, every store can hold it."""
        fields = {**asdict(self.event), "time": self.event.time.isoformat()}
        return json.dumps(fields)


class DeadLetters:
    """One document per function and event. What comes again changes nothing; replaying is at least once."""

    def __init__(
        self,
        documents: Documents,
        events: Events,
        bell: AlertBell,
        topics: Mapping[str, Sequence[str]],
        now: Now,
        *,
        wall: Now | None = None,
    ) -> None:
        """`topics` says who takes each: functions, and exports. The notes of what deliveries failed of are
        on the clock `wall`, which is the same as `now` unless given.
        """
        self._documents = documents
        self._events = events
        self._bell = bell
        self._topics = topics
        self._now = now
        self._failures = DeliveryFailures(documents, wall or now)

    def collect(self, events: Sequence[Event]) -> None:
        """Keep the dead letters that `events` of topic `dead.letters` are, and raise an alert for each.

        Durable on return; idempotent, the alerts by their id.
        """
        for event in events:
            retry_conflicts(partial(self._keep, self._arrival(event)))

    def list(
        self, *, state: State | None, function: str | None, limit: int, cursor: str | None
    ) -> DeadLetterPage:
        """Those that died last first.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        equal = {"state": state and str(state), "function": function}
        page = self._documents.query(
            COLLECTION,
            where=[Filter(field, "==", value) for field, value in equal.items() if value is not None],
            order_by=[Order("died_at", descending=True)],
            limit=limit,
            cursor=cursor,
        )
        return DeadLetterPage(tuple(map(_letter, page.documents)), page.cursor)

    def replay(self, ids: Sequence[str]) -> Sequence[Replayed]:
        """Publish these events again, each under its own identity and as if alone.

        Each may fail with NotFound, with Conflict where it isn't dead or can't be replayed, or with the
        errors of publishing.
        """
        return [Replayed(letter_id, self._tried(letter_id)) for letter_id in dict.fromkeys(ids)]

    def replay_all(self, *, function: str | None, limit: int) -> tuple[Sequence[Replayed], bool]:
        """Replay those that died last, of one function where asked; also says whether there are more."""
        page = self.list(state=State.DEAD, function=function, limit=limit, cursor=None)
        return self.replay([letter.id for letter in page.letters]), page.cursor is not None

    def _arrival(self, event: Event) -> _Arrival:
        told = event.attributes
        function = told.get(DEAD_LETTER_SUBSCRIPTION, "").rpartition("/")[2] or "unknown"
        topic = next((topic for topic, takers in self._topics.items() if function in takers), None)
        kept = {name: value for name, value in told.items() if name not in _TOLD}
        original = replace(event, attributes=kept)
        if topic is not None and event.source == _PLAIN.format(topic=DEAD_LETTERS):
            original = replace(original, source=_PLAIN.format(topic=topic), type=topic)
        attempts = _number(told.get(DEAD_LETTER_ATTEMPTS))
        is_event = event.type != UNREADABLE
        return _Arrival(
            function, topic if is_event else None, original, attempts, told.get(DEAD_LETTER_REASON)
        )

    def _keep(self, arrival: _Arrival) -> None:
        found = self._documents.get(COLLECTION, arrival.id)
        if found is not None and arrival.generation <= found.data["generation"]:
            return
        noted = arrival.reason or self._failures.reason(arrival.function, arrival.event)
        death = Death(any_time(self._now()), arrival.attempts, shortened(noted or NEVER_ANSWERED))
        self._raise_alert(arrival, death)  # first: what is kept has been told of
        self._documents.commit(
            [self._write(found, arrival, death), self._failures.forget(arrival.function, arrival.event)]
        )

    def _write(self, found: Document | None, arrival: _Arrival, death: Death) -> Write:
        before = None if found is None else found.data
        parts = _parts(arrival.content)
        if len(parts) > 1:
            for name, text in zip(_names(arrival.id, len(parts)), parts, strict=True):
                self._documents.commit([Put(PARTS, name, {"text": text})])
        data = {
            "state": str(State.DEAD),
            "function": arrival.function,
            "topic": arrival.topic,
            "event_id": arrival.event.id,
            "event_source": arrival.event.source,
            "event_type": arrival.event.type,
            "attempts": death.attempts,
            "reason": death.reason,
            "died_at": death.at,
            "deaths": 1 + (before["deaths"] if before else 0),
            "history": [*(before["history"] if before else ()), asdict(death)][-MAX_HISTORY:],
            "replayed_at": before["replayed_at"] if before else None,
            "generation": arrival.generation,
            "content": parts[0] if len(parts) == 1 else None,
            "parts": len(parts),
            "seq": 1 + (before["seq"] if before else 0),
        }
        if found is None:
            return Create(COLLECTION, arrival.id, data)
        return Replace(COLLECTION, arrival.id, data, found.revision)

    def _raise_alert(self, arrival: _Arrival, death: Death) -> None:
        facts = {
            "dead_letter_id": arrival.id,
            "function": arrival.function,
            "topic": arrival.topic,
            "event_id": arrival.event.id,
            "reason": death.reason,
        }
        LOGGER.error("dead letter", extra={"facts": {"type": "dead_letter", "severity": "error", **facts}})
        if arrival.is_of_an_alert:
            return
        alert = Alert(
            type="dead_letter",
            severity=Severity.ERROR,
            cause=arrival.function,
            title=f"{arrival.function} gave an event up",
            body=f"After {death.attempts} attempts. {death.reason}",
            facts=facts,
        )
        self._bell.ring(alert, id=key(arrival.id, str(arrival.generation)))

    def _tried(self, id: str) -> EngineError | None:
        try:
            self._replay(id)
        except EngineError as error:
            return error
        return None

    def _replay(self, id: str) -> None:
        found = self._documents.get(COLLECTION, id) if is_key(id) else None
        if found is None:
            raise NotFound(f"There is no dead letter {id!r}. GET /admin/deadletters lists them.")
        letter = _letter(found)
        if letter.state is not State.DEAD:
            raise Conflict(
                f"The dead letter {id} was replayed at {letter.replayed_at}, and hasn't died since."
            )
        if letter.topic is None:
            raise Conflict(f"The dead letter {id} can't be replayed: {_why_not(letter)}.")
        generation = found.data["generation"]
        event = self._event(found)
        again = replace(event, attributes={**event.attributes, REPLAY: str(generation + 1)})
        self._events.publish(letter.topic, [again])
        update(self._documents, COLLECTION, id, partial(self._marked, generation))

    def _marked(self, generation: int, data: Data | None) -> Data | None:
        """As replayed, unless it has died again meanwhile."""
        if data is None or data["generation"] != generation or data["state"] != State.DEAD:
            return None
        at = any_time(self._now())
        return {**data, "state": str(State.REPLAYED), "replayed_at": at, "seq": data["seq"] + 1}

    def _event(self, found: Document) -> Event:
        text = found.data["content"] or "".join(self._texts(found))
        fields = json.loads(text)
        return Event(**{**fields, "time": datetime.fromisoformat(fields["time"])})

    def _texts(self, found: Document) -> Iterator[str]:
        for name in _names(found.id, found.data["parts"]):
            part = self._documents.get(PARTS, name)
            if part is None:
                raise NotFound(f"The dead letter {found.id} lacks its part {name}.")
            yield part.data["text"]


def _letter(document: Document) -> DeadLetter:
    data = document.data
    names = [name for name in DeadLetter.__slots__ if name not in ("id", "state", "history")]
    history = tuple(Death(**death) for death in data["history"])
    fields: dict[str, Any] = {name: data[name] for name in names}
    return DeadLetter(id=document.id, state=State(data["state"]), history=history, **fields)


def _why_not(letter: DeadLetter) -> str:
    if letter.event_type == UNREADABLE:
        return "its message is no event"
    return f"nobody knows the topic that {letter.function!r} takes"


def _parts(text: str) -> Sequence[str]:
    return [text[at : at + _PART_CHARACTERS] for at in range(0, len(text), _PART_CHARACTERS)]


def _names(id: str, count: int) -> Sequence[str]:
    return [f"{id}-{number}" for number in range(count)]


def _number(text: str | None) -> int:
    """A count that others wrote; 0 where it is none."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else 0
