from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from shared.errors import PlatformUnavailable
from shared.platform.ports import Event
from shared.serving.publisher import MAX_BATCH, Publisher

NOW = datetime(2024, 1, 2, tzinfo=UTC)


class SlowEvents:
    """Makes events durable when told to, and remembers the batches."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.batches: list[list[str]] = []
        self.failing = False

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        assert self.open.wait(10)
        if self.failing:
            raise PlatformUnavailable("the disk is full")
        self.batches.append([event.id for event in events])


def event(id: int) -> Event:
    return Event(str(id), "//test", "t", NOW, {})


def test_what_waits_together_is_committed_together() -> None:
    events = SlowEvents()

    async def scenario() -> None:
        publisher = Publisher(events, "t")
        waiting = [asyncio.create_task(publisher.publish(event(i))) for i in range(MAX_BATCH + 10)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        events.open.set()
        await asyncio.gather(*waiting)

    asyncio.run(scenario())
    assert [i for batch in events.batches for i in batch] == [str(i) for i in range(MAX_BATCH + 10)]
    assert len(events.batches) == 2


def test_nobody_is_told_yes_before_it_is_durable() -> None:
    events = SlowEvents()
    events.failing = True
    events.open.set()

    async def scenario() -> None:
        publisher = Publisher(events, "t")
        with pytest.raises(PlatformUnavailable):
            await publisher.publish(event(1))
        events.failing = False
        await publisher.publish(event(2))

    asyncio.run(scenario())
    assert events.batches == [["2"]]


def test_a_caller_who_goes_away_does_not_disturb_the_others() -> None:
    events = SlowEvents()

    async def scenario() -> None:
        publisher = Publisher(events, "t")
        gone, stays = (asyncio.create_task(publisher.publish(event(i))) for i in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        events.open.set()
        await stays
        assert gone.cancelled()

    asyncio.run(scenario())
    assert events.batches == [["0", "1"]]


def test_a_call_of_many_events_is_told_once_all_of_them_are_durable() -> None:
    events = SlowEvents()
    events.open.set()

    async def scenario() -> None:
        publisher = Publisher(events, "t")
        await publisher.publish(*(event(i) for i in range(2 * MAX_BATCH + 10)))
        assert [i for batch in events.batches for i in batch] == [str(i) for i in range(2 * MAX_BATCH + 10)]

    asyncio.run(scenario())
    assert [len(batch) for batch in events.batches] == [MAX_BATCH, MAX_BATCH, 10]


class OnceOnly(SlowEvents):
    """Fails after its first batch."""

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        super().publish(topic, events)
        self.failing = True


def test_a_call_is_not_told_yes_where_only_its_first_events_are_durable() -> None:
    events = OnceOnly()
    events.open.set()

    async def scenario() -> None:
        publisher = Publisher(events, "t")
        with pytest.raises(PlatformUnavailable):
            await publisher.publish(*(event(i) for i in range(MAX_BATCH + 10)))
        events.failing = False
        await publisher.publish(event(7))

    asyncio.run(scenario())
    assert [len(batch) for batch in events.batches] == [MAX_BATCH, 1]
