"""Group commit: events that wait at the same moment are made durable together, by one call."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.platform.ports import Event, Events

MAX_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    event: Event
    durable: asyncio.Future[None]


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

    async def publish(self, event: Event) -> None:
        """Returns once `event` is durable.

        Raises:
            PlatformUnavailable: it may or may not be durable; don't answer as if it were.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(event, loop.create_future())
        self._waiting.append(waiting)
        if not self._is_committing:
            self._is_committing = True
            loop.call_soon(self._next_batch, loop)  # when all that can run now have come this far
        await waiting.durable

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
            if waiting.durable.done():  # its caller has left
                continue
            if failure is None:
                waiting.durable.set_result(None)
            else:
                waiting.durable.set_exception(failure)
        if self._waiting:
            self._next_batch(loop)
        else:
            self._is_committing = False
