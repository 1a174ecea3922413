"""Delivers events to the twin's functions, as Pub/Sub's push subscriptions do in the cloud."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from shared.errors import EngineError
from shared.logs import LOGGER
from shared.platform.local.events import Delivery, SqliteEvents, Watch
from shared.platform.ports import Event, Now
from shared.web.events import BATCH, cloud_event

Push = Callable[[str, bytes, Sequence[tuple[bytes, bytes]]], tuple[int, bytes]]
"""Takes a function's name, a body and headers; gives the status and the body of the answer."""

BATCH_SIZE = 100
TAKE_OVER_SIZE = 10_000
LEASE_SECONDS = 60.0
WAIT_SECONDS = 1.0


class Dispatcher:
    """One thread per subscription: claim, push, acknowledge or hand back with the reason."""

    def __init__(self, events: SqliteEvents, push: Push, api_key: str, now: Now) -> None:
        self._events = events
        self._push = push
        self._headers = [(b"content-type", BATCH), (b"x-api-key", api_key.encode())]
        self._now = now
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._watches: list[Watch] = []

    def start(self, subscriptions: Sequence[str]) -> None:
        for name in subscriptions:
            thread = threading.Thread(target=self._serve, args=(name,), name=f"deliver-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the deliveries under way. What wasn't acknowledged comes again after its lease."""
        self._stopping.set()
        for watch in self._watches:
            watch.wake()
        for thread in self._threads:
            thread.join()

    def _serve(self, subscription: str) -> None:
        with self._events.watch() as watch:
            self._watches.append(watch)
            self._tried(self.take_over, subscription)
            while not self._stopping.is_set():
                if not self._tried(self.deliver_once, subscription):
                    watch.wait(WAIT_SECONDS)

    def _tried(self, deliver: Callable[[str], int], subscription: str) -> int:
        try:
            return deliver(subscription)
        except EngineError as error:
            LOGGER.error("delivery failed", extra={"facts": {"to": subscription, "why": error.detail}})
            return 0

    def take_over(self, subscription: str) -> int:
        """Deliver what the twin before had claimed when it was killed, without waiting for its leases:
        only one twin delivers from a state folder. Gives how many events that were.
        """
        leases_end = self._now() + timedelta(seconds=LEASE_SECONDS)
        deliveries = self._events.claim(subscription, TAKE_OVER_SIZE, 0.0, leases_end)
        for first in range(0, len(deliveries), BATCH_SIZE):
            if not self._stopping.is_set():
                self._deliver(subscription, deliveries[first : first + BATCH_SIZE])
        return len(deliveries)

    def deliver_once(self, subscription: str) -> int:
        """Deliver what is due, at most one batch; gives how many events that were."""
        deliveries = self._events.claim(subscription, BATCH_SIZE, LEASE_SECONDS, self._now())
        if deliveries:
            self._deliver(subscription, deliveries)
        return len(deliveries)

    def _deliver(self, subscription: str, deliveries: Sequence[Delivery]) -> None:
        if len(deliveries) > 1 and self._refusal(subscription, [d.event for d in deliveries]) is None:
            self._events.ack([d.id for d in deliveries])
        else:
            self._one_by_one(subscription, deliveries)

    def _one_by_one(self, subscription: str, deliveries: Sequence[Delivery]) -> None:
        """So that one bad event doesn't hold up its neighbours."""
        for delivery in deliveries:
            refusal = self._refusal(subscription, [delivery.event])
            if refusal is None:
                self._events.ack([delivery.id])
            else:
                self._events.fail(delivery.id, refusal, self._now())

    def _refusal(self, subscription: str, events: Sequence[Event]) -> str | None:
        """Why the function refused these events, or None."""
        body = json.dumps([cloud_event(event) for event in events]).encode()
        try:
            status, answer = self._push(subscription, body, self._headers)
        except Exception as error:  # noqa: BLE001 - whatever broke, the event comes again and the thread lives on
            LOGGER.exception("delivery broke", extra={"facts": {"to": subscription}})
            return f"the delivery broke: {error!r}"
        return None if status < 300 else f"{status}: {_told(answer)}"


def _told(answer: bytes) -> str:
    """What the problem document says, else how the answer begins."""
    try:
        return str(json.loads(answer)["detail"])
    except (ValueError, TypeError, KeyError):
        return answer[:500].decode(errors="replace")
