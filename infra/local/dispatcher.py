"""Delivers events to the twin's functions, as Pub/Sub's push subscriptions do in the cloud."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

from shared.errors import EngineError
from shared.logs import LOGGER
from shared.platform.local.events import Delivery, SqliteEvents
from shared.platform.ports import Event, Now
from shared.web.events import BATCH, cloud_event

Deliver = Callable[[str, bytes, Sequence[tuple[bytes, bytes]]], Awaitable[tuple[int, bytes]]]

BATCH_SIZE = 100
LEASE_SECONDS = 60.0
IDLE_SECONDS = 1.0


class Dispatcher:
    """One loop per subscription: claim, deliver, acknowledge or hand back with the reason."""

    def __init__(
        self, events: SqliteEvents, subscriptions: Sequence[str], deliver: Deliver, api_key: str, now: Now
    ) -> None:
        self._events = events
        self._subscriptions = tuple(subscriptions)
        self._deliver = deliver
        self._headers = [(b"content-type", BATCH), (b"x-api-key", api_key.encode())]
        self._now = now
        self._wakes = {subscription: asyncio.Event() for subscription in self._subscriptions}

    async def run(self) -> None:
        """Deliver until cancelled. What is under way when it ends is delivered again after its lease."""
        loop = asyncio.get_running_loop()
        self._events.on_publish(lambda: loop.call_soon_threadsafe(self._wake_all))
        async with asyncio.TaskGroup() as group:
            for subscription in self._subscriptions:
                group.create_task(self._serve(subscription))

    def _wake_all(self) -> None:
        for wake in self._wakes.values():
            wake.set()

    async def _serve(self, subscription: str) -> None:
        while True:
            self._wakes[subscription].clear()
            try:
                delivered = await self._round(subscription)
            except EngineError as error:
                LOGGER.error(
                    "delivery failed", extra={"facts": {"subscription": subscription, "why": error.detail}}
                )
                delivered = 0
            if not delivered:
                await self._idle(self._wakes[subscription])

    async def _idle(self, wake: asyncio.Event) -> None:
        """Until something is published here, or long enough to look for what others published."""
        try:
            await asyncio.wait_for(wake.wait(), IDLE_SECONDS)
        except TimeoutError:
            return

    async def _round(self, subscription: str) -> int:
        deliveries = await asyncio.to_thread(
            self._events.claim, subscription, BATCH_SIZE, LEASE_SECONDS, self._now()
        )
        if not deliveries:
            return 0
        refusal = await self._push(subscription, [d.event for d in deliveries])
        if refusal is None:
            await asyncio.to_thread(self._events.ack, [d.id for d in deliveries])
        elif len(deliveries) == 1:
            await self._hand_back(deliveries[0], refusal)
        else:
            await self._one_by_one(subscription, deliveries)
        return len(deliveries)

    async def _one_by_one(self, subscription: str, deliveries: Sequence[Delivery]) -> None:
        """So that one bad event doesn't hold up its neighbours."""
        for delivery in deliveries:
            refusal = await self._push(subscription, [delivery.event])
            if refusal is None:
                await asyncio.to_thread(self._events.ack, [delivery.id])
            else:
                await self._hand_back(delivery, refusal)

    async def _hand_back(self, delivery: Delivery, reason: str) -> None:
        await asyncio.to_thread(self._events.fail, delivery.id, reason, self._now())

    async def _push(self, subscription: str, events: Sequence[Event]) -> str | None:
        """Why the function refused, or None."""
        body = json.dumps([cloud_event(event) for event in events]).encode()
        status, answer = await self._deliver(subscription, body, self._headers)
        return None if status < 300 else f"{status}: {answer[:500].decode(errors='replace')}"
