"""Group commit: events that wait at the same moment are made durable together, by one call."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.platform.ports import Event, Events

TOPIC: Final = "predictions.made"
MAX_BATCH: Final = 500


@dataclass(slots=True)
class _Call:
    """One caller, who waits for so many events."""

    left: int
    durable: asyncio.Future[None]

    def tell(self, failure: Exception | None) -> None:
        """One of its events is durable, or isn't."""
        self.left -= 1
        if self.durable.done():  # its caller has left, or knows the worst
            return
        if failure is not None:
            self.durable.set_exception(failure)
        elif not self.left:
            self.durable.set_result(None)


class _Waiting(NamedTuple):
    event: Event
    call: _Call


class Publisher:
    """Publishes to one topic. While one batch is being made durable, the next one gathers.

    So a wait holds no thread, and the cost of durability is shared by all who wait. For one event loop.
    """

    def __init__(self, events: Events, topic: str) -> None:
        self._events = events
        self._topic = topic
        self._waiting: list[_Waiting] = []
        self._is_committing = False
        self._thread: ThreadPoolExecutor | None = None

    async def publish(self, *events: Event) -> None:
        """Returns once all of `events`, one or more, are durable.

        Raises:
            PlatformUnavailable: they may or may not be durable; don't answer as if they were.
        """
        loop = asyncio.get_running_loop()
        call = _Call(len(events), loop.create_future())
        self._waiting += [_Waiting(event, call) for event in events]
        if not self._is_committing:
            self._is_committing = True
            loop.call_soon(self._next_batch, loop)  # when all that can run now have come this far
        await call.durable

    def _next_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        self._thread.submit(self._commit, batch, loop)

    def _commit(self, batch: list[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        """In the thread; what it finds is told in the loop."""
        failure: Exception | None = None
        try:
            self._events.publish(self._topic, [waiting.event for waiting in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits
            failure = error
        loop.call_soon_threadsafe(self._tell, batch, failure, loop)

    def _tell(
        self, batch: list[_Waiting], failure: Exception | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        for waiting in batch:
            waiting.call.tell(failure)
        if self._waiting:
            self._next_batch(loop)
        else:
            self._is_committing = False
