"""Group commit: events that wait at the same moment are made durable together, by one call."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from shared.platform.ports import Event, Events

MAX_BATCH = 500


class Publisher:
    """Publishes to one topic. While one batch is being made durable, the next one gathers.

    So a wait holds no thread, and the cost of durability is shared by all who wait.
    """

    def __init__(self, events: Events, topic: str) -> None:
        self._events = events
        self._topic = topic
        self._waiting: list[tuple[Event, asyncio.Future[None]]] = []
        self._draining: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def publish(self, event: Event) -> None:
        """Returns once `event` is durable.

        Raises:
            PlatformUnavailable: it may or may not be durable; don't answer as if it were.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((event, future))
        if self._draining is None:
            self._draining = loop.create_task(self._drain())
        await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                await self._commit(batch)
        finally:
            self._draining = None

    async def _commit(self, batch: list[tuple[Event, asyncio.Future[None]]]) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        events = [event for event, _ in batch]
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._events.publish, self._topic, events
            )
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for _, future in batch:
                if not future.done():
                    future.set_result(None)
