"""Failed deliveries: a note of what each failed of, since Pub/Sub tells nobody when it gives up."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.platform.cas import update
from shared.platform.names import KEY_DIGITS, key
from shared.platform.ports import Data, Delete, Documents, Event, Filter, Now

COLLECTION: Final = "delivery-failures"
KEPT_FOR: Final = timedelta(days=7)
"""As long as Pub/Sub keeps what isn't handled."""

MAX_REASON_CHARACTERS: Final = 1_000
_KEY = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}\Z")
_PUBSUB = "//pubsub.googleapis.com/"


class DeliveryFailures:
    """One note per function and event: the last reason, and how often it failed. Notes expire."""

    def __init__(self, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now

    def note(self, function: str, event: Event, reason: str) -> None:
        """Note that `function` failed to handle `event`."""
        now = self._now()
        fields = {
            "function": function,
            "event_id": event.id,
            "event_source": event.source,
            "event_type": event.type,
            "event_time": any_time(event.time),
            "reason": shortened(reason),
            "last_at": any_time(now),
            "expires_at": any_time(now + KEPT_FOR),
        }

        def counted(before: Data | None) -> dict[str, Any]:
            return {**fields, "count": 1 if before is None else before["count"] + 1}

        update(self._documents, COLLECTION, key_of(function, event), counted)

    def reason(self, function: str, event: Event) -> str | None:
        """What `function` last failed of with `event`; None where nothing was noted, or long ago."""
        document = self._documents.get(COLLECTION, key_of(function, event))
        found = self._of_plain(function, event) if document is None else document.data
        if found is None or datetime.fromisoformat(found["expires_at"]) <= self._now():
            return None
        return str(found["reason"])

    def forget(self, function: str, event: Event) -> Delete:
        """The write that removes the note: for a batch with what took the reason over."""
        return Delete(COLLECTION, key_of(function, event))

    def _of_plain(self, function: str, event: Event) -> Data | None:
        """The note of a message that is no CloudEvent: it gets another id when it is given up, so that
        only the time at which it was first published tells which it was.
        """
        if not event.source.startswith(_PUBSUB):
            return None
        where = [Filter("function", "==", function), Filter("event_time", "==", any_time(event.time))]
        page = self._documents.query(COLLECTION, where=where, limit=1)
        return page.documents[0].data if page.documents else None


def key_of(function: str, event: Event) -> str:
    """An id for what concerns `function` and `event`."""
    return key(function, event.source, event.id)


def is_key(text: str) -> bool:
    return _KEY.match(text) is not None


def shortened(reason: str) -> str:
    if len(reason) <= MAX_REASON_CHARACTERS:
        return reason
    return reason[: MAX_REASON_CHARACTERS - 3] + "..."


def any_time(time: datetime) -> str:
    """RFC 3339 text, in UTC where the calendar has that hour."""
    try:
        return time.astimezone(UTC).isoformat()
    except OverflowError:
        return time.isoformat()
