"""The ledger of alerts: what events of `alerts.raised` do to them, once however often an event comes.

Three collections. `alerts` has a document per alert. `alert-causes` has one per cause: its last alert, and
the last time at which the cause was said to be over, so that what was seen before that never opens an alert
again, in whatever order the events come. `heard-alerts` has one per event that changed something, with what
it makes go out: that is written in one batch with the change, then published, then crossed off. So whoever
is killed in between publishes the same when the event comes again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from shared.alerts.changes import CAUSES, COLLECTION, Found, Rules
from shared.alerts.hearing import Heard, Recovered, heard_of, moment_of
from shared.alerts.record import (
    NOTIFY_TOPIC,
    Kind,
    Notification,
    record_of,
)
from shared.errors import NotFound
from shared.platform.cas import retry_conflicts, update
from shared.platform.names import key
from shared.platform.ports import (
    Create,
    Data,
    Document,
    Documents,
    Event,
    Events,
    Now,
)
from shared.platform.times import utc

HEARD: Final = "heard-alerts"
SOURCE: Final = "//mlengine/alerts"

HEARD_FOR: Final = timedelta(days=31)
"""As long as Pub/Sub can keep what isn't handled. What comes after that counts again, and opens nothing."""


class AlertLedger:
    """Applies events. Safe from many threads and processes."""

    def __init__(self, documents: Documents, events: Events, rules: Rules, now: Now) -> None:
        self._documents = documents
        self._events = events
        self._rules = rules
        self._now = now

    def hear(self, event: Event) -> None:
        """Apply an event of `alerts.raised`; on return the change and what goes out of it are durable.

        Raises:
            InvalidInput: it is no such event.
        """
        heard = heard_of(event)
        document = retry_conflicts(partial(self._apply, event, heard))
        if document is not None:
            self._publish(document)

    def alert_id(self, cause: str) -> str:
        """The id of the last alert of the cause with this key.

        Raises:
            NotFound: there was none.
        """
        pointer = self._documents.get(CAUSES, key(cause))
        if pointer is None or pointer.data["alert_id"] is None:
            raise NotFound(f"There never was an alert {cause!r}.")
        return str(pointer.data["alert_id"])

    def _apply(self, event: Event, heard: Heard) -> Document | None:
        """The document of the event, once it is applied; None where it changed nothing that is counted."""
        event_key = key(event.source, event.id)
        known = self._documents.get(HEARD, event_key)
        if known is not None:
            return known
        now = self._now()
        change = self._rules.change(heard, self._find(heard.key), moment_of(event, now), now, event_key)
        if isinstance(heard, Recovered) and change.kind is None:
            if change.writes:  # that it is over may be written twice: the later time wins
                self._documents.commit(change.writes)
            return None
        data = {
            "key": heard.key,
            "outgoing": change.outgoing,
            "at": utc(now),
            "expires_at": utc(now + HEARD_FOR),
        }
        revisions = self._documents.commit([*change.writes, Create(HEARD, event_key, data)])
        return Document(event_key, data, revisions[-1])

    def _publish(self, document: Document) -> None:
        notifications = notifications_of(document)
        if not notifications:
            return
        at = datetime.fromisoformat(document.data["at"])
        self._events.publish(
            NOTIFY_TOPIC, [Event(n.id, SOURCE, NOTIFY_TOPIC, at, n.json()) for n in notifications]
        )
        update(self._documents, HEARD, document.id, _crossed_off)

    def _find(self, cause: str) -> Found:
        pointer = self._documents.get(CAUSES, key(cause))
        alert_id = None if pointer is None else pointer.data["alert_id"]
        document = None if alert_id is None else self._documents.get(COLLECTION, alert_id)
        return Found(cause, pointer, document)


def notifications_of(document: Document) -> list[Notification]:
    """What an event that was heard makes go out, and hasn't yet."""
    outgoing = document.data["outgoing"]
    if outgoing is None:
        return []
    kind, alert = Kind(outgoing["kind"]), record_of(outgoing["alert"])
    return [
        Notification(key(document.id, kind, channel), channel, kind, document.data["at"], alert)
        for channel in outgoing["channels"]
    ]


def _crossed_off(data: Data | None) -> Data | None:
    return None if data is None or data["outgoing"] is None else {**data, "outgoing": None}
