"""What surrounds the handling of delivered events: their trace, their log line, and notes of failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from shared.errors import EngineError, InvalidInput
from shared.logs import LOGGER
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTERS, TOPICS
from shared.web.call import Call, traceparent

EventHandler = Callable[[Sequence[Event], Call], Awaitable[None]]

NOTE_SECONDS: Final = 5.0
"""How long an answer waits for the note of its failure."""

_SHOWN_IDS = 3


def topic_of(function: str) -> str | None:
    """The topic that a function takes, or None."""
    return next((topic for topic, takers in TOPICS.items() if function in takers), None)


async def handle(events: Sequence[Event], call: Call, handler: EventHandler, topic: str | None) -> None:
    """Let `handler` handle the events of one delivery to who takes `topic`.

    When a single event fails, the reason is noted: Pub/Sub doesn't keep it. Those who deliver several at
    once deliver them one by one after a failure.

    Raises:
        InvalidInput: an event that isn't of that topic.
    """
    call.facts |= {
        "events": len(events),
        "event_ids": [event.id for event in events[:_SHOWN_IDS]],
        "event_types": sorted({event.type for event in events}),
    }
    if len(events) == 1:
        _continue_trace(events[0], call)
    try:
        _check_topic(events, topic)
        await handler(events, call)
    except Exception as error:
        if len(events) == 1:
            await _note(events[0], call, error)
        raise


def _continue_trace(event: Event, call: Call) -> None:
    """What was begun by who published the event goes on here."""
    given = event.attributes.get("traceparent", "")
    ours = traceparent({b"traceparent": given.encode("ascii", "replace")})
    if ours[:36] == given[:36]:
        call.traceparent = ours


def _check_topic(events: Sequence[Event], topic: str | None) -> None:
    """Dead letters are of all types; all other topics have one, and its name is theirs."""
    if topic is None or topic == DEAD_LETTERS:
        return
    for event in events:
        if event.type != topic:
            raise InvalidInput(f"Events of type {topic} are taken here, found {event.type[:80]!r}.")


async def _note(event: Event, call: Call, error: Exception) -> None:
    """Best effort: whatever becomes of the note, the answer is that of the failure."""
    failures = call.instance.delivery_failures
    noting = asyncio.to_thread(failures.note, call.function, event, reason_of(error))
    try:
        await asyncio.wait_for(noting, NOTE_SECONDS)
    except Exception as why:  # noqa: BLE001 - see above
        facts = {"event_id": event.id, "request_id": call.request_id, "why": repr(why)}
        LOGGER.warning("failure not noted", extra={"facts": facts})


def reason_of(error: Exception) -> str:
    """Why an event wasn't handled, for people. What nobody foresaw may hold secrets: its name has to do."""
    if not isinstance(error, EngineError):
        return f"unexpected error: {type(error).__name__}"
    fields = [f"{field.pointer}: {field.detail}" for field in error.errors]
    return "; ".join(
        [f"{error.status}: {error.detail}", *(text for text in fields if text not in error.detail)]
    )
