"""The audit: every answered prediction, findable by id and newest first."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.errors import AlreadyExists, InvalidInput, NotFound
from shared.monitoring import unsettled
from shared.monitoring.unsettled import unsettled_of
from shared.platform.ports import (
    MAX_BATCH_WRITES,
    Create,
    Data,
    Document,
    Documents,
    Event,
    Filter,
    Now,
    Order,
    Page,
    Write,
)
from shared.platform.times import utc

COLLECTION: Final = "predictions"
RETENTION_DAYS: Final = 30
UNSETTLED: Final = unsettled.COLLECTION
EXPIRES: Final = "expires_at"
DIGEST: Final = "sha256"
OWN_FIELDS: Final = frozenset({EXPIRES, DIGEST})
"""What the audit keeps beside the prediction."""

_LISTS = ("features", "probabilities")
_PAUSES_SECONDS = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.3)
_WRITES_PER_PREDICTION = 2


class Audit:
    """Keeps predictions as documents, by prediction id: storing one again changes nothing.

    A prediction is created in one batch with the document that says that it isn't settled. So one that comes
    again, whenever that is, finds itself there, and doesn't wait for its outcome a second time.
    """

    def __init__(self, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now

    def store(self, events: Sequence[Event], *, retention_days: int = RETENTION_DAYS) -> None:
        """Keep the predictions that `events` of topic `predictions.made` tell of, for so many days from now;
        idempotent.

        Raises:
            InvalidInput: features or probabilities that aren't JSON.
        """
        expires_at = utc(self._now() + timedelta(days=retention_days))
        batches = list({event.id: _writes(event, expires_at) for event in events}.values())
        size = MAX_BATCH_WRITES // _WRITES_PER_PREDICTION
        for first in range(0, len(batches), size):
            self._create(batches[first : first + size])

    async def wait_for(self, prediction_id: str) -> Data:
        """The prediction. It is durable as an event before it is answered, and found here a moment later:
        so an unknown id is looked up again for up to a second.

        Raises:
            NotFound: there is none, or it has expired.
        """
        return told(await self.wait_for_record(prediction_id))

    async def wait_for_record(self, prediction_id: str) -> Data:
        """As `wait_for`, with what the audit keeps beside the prediction: `OWN_FIELDS`."""
        for pause_seconds in (*_PAUSES_SECONDS, None):
            document = await asyncio.to_thread(self._documents.get, COLLECTION, prediction_id)
            if document is not None:
                if self._is_kept(document):
                    return document.data
                break
            if pause_seconds is not None:
                await asyncio.sleep(pause_seconds)
        raise NotFound(f"There is no prediction '{prediction_id}'. GET /predictions/recent lists the newest.")

    def recent(self, *, symbol: str | None, model_id: str | None, limit: int, cursor: str | None) -> Page:
        """The newest predictions first."""
        page = self.records(symbol=symbol, model_id=model_id, since=None, limit=limit, cursor=cursor)
        shown = [Document(d.id, told(d.data), d.revision) for d in page.documents if self._is_kept(d)]
        ends_expired = bool(page.documents) and not self._is_kept(page.documents[-1])
        return Page(shown, None if ends_expired else page.cursor)

    def records(
        self,
        *,
        symbol: str | None,
        model_id: str | None,
        since: datetime | None,
        until: datetime | None = None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        """As `recent`, with what the audit keeps beside each prediction, and also what has expired and isn't
        deleted yet: no older ones than `since`, nor any from `until` on.
        """
        equal = {"symbol": symbol, "model_id": model_id}
        where = [Filter(field, "==", value) for field, value in equal.items() if value is not None]
        if since is not None:
            where.append(Filter("made_at", ">=", since.isoformat()))
        if until is not None:
            where.append(Filter("made_at", "<", until.isoformat()))
        return self._documents.query(
            COLLECTION, where=where, order_by=[Order("made_at", descending=True)], limit=limit, cursor=cursor
        )

    def _create(self, batches: Sequence[Sequence[Write]]) -> None:
        """All at once, and where one of them is there already, one by one."""
        try:
            self._documents.commit([write for batch in batches for write in batch])
        except AlreadyExists:
            if len(batches) == 1:
                return
            for batch in batches:
                self._create([batch])

    def _is_kept(self, document: Document) -> bool:
        """Deletion lags behind the expiry. What earlier releases wrote doesn't expire."""
        until = document.data.get(EXPIRES)
        return until is None or datetime.fromisoformat(until) > self._now()


def told(data: Data) -> dict[str, Any]:
    """The prediction as its event told it."""
    return {name: value for name, value in data.items() if name not in OWN_FIELDS}


def digest(record: Data) -> str:
    """The sha256 of a stored prediction but for this very field: a flipped byte is found, wherever it is."""
    sealed = {name: value for name, value in record.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def is_intact(record: Data) -> bool | None:
    """Whether a stored prediction is as it was written; None where an earlier release wrote it, unsealed."""
    if DIGEST not in record and EXPIRES not in record:
        return None
    return bool(record.get(DIGEST) == digest(record))


def _writes(event: Event, expires_at: str) -> list[Write]:
    document = _document(event)
    record = {**document, EXPIRES: expires_at}
    writes: list[Write] = [Create(COLLECTION, event.id, {**record, DIGEST: digest(record)})]
    waiting = unsettled_of(replace(event, data=document))
    if waiting is not None:
        writes.append(Create(UNSETTLED, event.id, waiting.to_data()))
    return writes


def _document(event: Event) -> Data:
    """What the event tells. Its lists are JSON text, as a row of the warehouse takes them; here they are
    lists again, unless they came as such, from earlier releases.
    """
    texts = {name: event.data[name] for name in _LISTS if isinstance(event.data.get(name), str)}
    try:
        return {**event.data, **{name: json.loads(text) for name, text in texts.items()}}
    except ValueError as error:
        raise InvalidInput(
            f"The {' and '.join(texts)} of prediction {event.id} must be JSON text: {error}."
        ) from error
