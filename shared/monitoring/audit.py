"""The audit: every answered prediction, findable by id and newest first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from shared.errors import InvalidInput, NotFound
from shared.platform.ports import MAX_BATCH_WRITES, Data, Documents, Event, Filter, Order, Page, Put

COLLECTION = "predictions"
_PAUSES_SECONDS = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.3)


class Audit:
    """Keeps predictions as documents, by prediction id: storing one again changes nothing."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def store(self, events: Sequence[Event]) -> None:
        """Keep the predictions that `events` of topic `predictions.made` tell of; idempotent.

        Raises:
            InvalidInput: features that aren't JSON.
        """
        facts = {event.id: _document(event) for event in events}
        writes = [Put(COLLECTION, key, data) for key, data in facts.items()]
        for first in range(0, len(writes), MAX_BATCH_WRITES):
            self._documents.commit(writes[first : first + MAX_BATCH_WRITES])

    async def wait_for(self, prediction_id: str) -> Data:
        """The prediction. It is durable as an event before it is answered, and found here a moment later:
        so an unknown id is looked up again for up to a second.

        Raises:
            NotFound
        """
        for pause_seconds in (*_PAUSES_SECONDS, None):
            document = await asyncio.to_thread(self._documents.get, COLLECTION, prediction_id)
            if document is not None:
                return document.data
            if pause_seconds is not None:
                await asyncio.sleep(pause_seconds)
        raise NotFound(f"There is no prediction '{prediction_id}'. GET /predictions/recent lists the newest.")

    def recent(self, *, symbol: str | None, model_id: str | None, limit: int, cursor: str | None) -> Page:
        """The newest predictions first."""
        equal = {"symbol": symbol, "model_id": model_id}
        where = [Filter(field, "==", value) for field, value in equal.items() if value is not None]
        return self._documents.query(
            COLLECTION, where=where, order_by=[Order("made_at", descending=True)], limit=limit, cursor=cursor
        )


def _document(event: Event) -> Data:
    """What the event tells. Its features are JSON text, as a row takes them; here they are a list again."""
    features = event.data.get("features")
    if not isinstance(features, str):  # a list already, as earlier releases told it
        return event.data
    try:
        return {**event.data, "features": json.loads(features)}
    except ValueError as error:
        raise InvalidInput(f"The features of prediction {event.id} must be JSON text: {error}.") from error
