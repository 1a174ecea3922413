"""Counting in a process, and telling of it once a minute."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from shared.errors import PlatformUnavailable
from shared.logs import configure_logs
from shared.monitoring.latency.histogram import Histogram
from shared.monitoring.latency.measurements import INTERVAL_SECONDS, MAX_WAITING, TOPIC, Measurements
from shared.monitoring.latency.process import process_age_seconds
from shared.monitoring.latency.recorder import MAX_SERIES
from shared.platform.ports import Event

NOON = 1_704_110_400.0
ASK = ("predict", "GET /predict", 200, "market-signal-v1")


class Bus:
    """Takes what is published; away while `is_away`."""

    def __init__(self) -> None:
        self.published: list[Event] = []
        self.is_away = False
        self.waits_for: threading.Event | None = None

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        assert topic == TOPIC
        if self.waits_for is not None:
            assert self.waits_for.wait(10)
        if self.is_away:
            raise PlatformUnavailable("the bus is away")
        self.published += events

    @property
    def counts(self) -> list[int]:
        """How many requests each event tells of."""
        return [
            sum(Histogram.of(one["counts"], one["sum_us"]).count for one in event.data["requests"])
            for event in self.published
        ]


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return NOON + self.seconds


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def measurements(bus: Bus, clock: Clock) -> Measurements:
    ids = count(1)
    return Measurements(bus, lambda: f"i{next(ids)}", wall=clock.wall, monotonic=clock.monotonic)


def comes(measurements: Measurements) -> None:
    """A request comes, and what it begins ends."""

    async def begin() -> None:
        measurements.publish_if_due()
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(begin())


def test_requests_are_told_of_once_a_minute(measurements: Measurements, bus: Bus, clock: Clock) -> None:
    for _ in range(5 * 60):
        comes(measurements)
        measurements.record(*ASK, milliseconds=2.0)
        clock.seconds += 1.0
    assert bus.counts == [60, 60, 60, 60]
    measurements.publish()
    assert sum(bus.counts) == 300
    assert len({event.id for event in bus.published}) == 5


def test_an_event_tells_who_answered_what_how_and_when(
    measurements: Measurements, bus: Bus, clock: Clock
) -> None:
    measurements.record(*ASK, milliseconds=2.0)
    measurements.record(*ASK, milliseconds=4.0)
    clock.seconds += 300
    measurements.record("predict", "", 404, None, milliseconds=0.5)
    measurements.record_cold_start("predict", 600.0)
    measurements.publish()
    (event,) = bus.published
    assert (event.id, event.type, event.data["instance_id"]) == ("i1-1", TOPIC, "i1")
    early, late = event.data["requests"]
    assert (early["at"], late["at"]) == ("2024-01-01T12:00:00Z", "2024-01-01T12:05:00Z")
    assert (early["route"], early["status"], early["model_id"]) == ("GET /predict", 200, "market-signal-v1")
    assert (early["sum_us"], late["status"], late["model_id"]) == (6_000, 404, None)
    (cold,) = event.data["cold_starts"]
    assert (cold["function"], cold["at"], cold["sum_us"]) == ("predict", late["at"], 600_000)
    json.dumps(event.data)


def test_a_request_waits_for_no_publication(measurements: Measurements, bus: Bus, clock: Clock) -> None:
    bus.waits_for = threading.Event()
    measurements.record(*ASK, milliseconds=2.0)
    clock.seconds += INTERVAL_SECONDS

    async def ask() -> float:
        began = time.perf_counter()
        measurements.publish_if_due()
        measurements.publish_if_due()
        took = time.perf_counter() - began
        assert bus.waits_for is not None
        bus.waits_for.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        return took

    assert asyncio.run(ask()) < 8  # the bus would have kept it for ten seconds
    assert bus.counts == [1]


def test_what_could_not_be_told_is_told_later_under_the_same_id(
    measurements: Measurements, bus: Bus, clock: Clock
) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    bus.is_away = True
    for _ in range(2):
        measurements.record(*ASK, milliseconds=2.0)
        clock.seconds += INTERVAL_SECONDS
        comes(measurements)
    assert [json.loads(line)["waiting"] for line in lines.getvalue().splitlines()] == [1, 2]
    bus.is_away = False
    clock.seconds += INTERVAL_SECONDS
    comes(measurements)
    assert [event.id for event in bus.published] == ["i1-1", "i1-2"]
    assert bus.counts == [1, 1]


def test_what_waits_stays_small_and_the_log_says_what_is_lost(measurements: Measurements, bus: Bus) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    bus.is_away = True
    for _ in range(MAX_WAITING + 3):
        measurements.record(*ASK, milliseconds=2.0)
        measurements.publish()
    bus.is_away = False
    measurements.publish()
    assert len(bus.published) == MAX_WAITING
    assert lines.getvalue().count("are lost") == 3


def test_whatever_breaks_no_request_does(measurements: Measurements, bus: Bus) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    bus.publish = None  # type: ignore[assignment, method-assign]
    measurements.record(*ASK, milliseconds=2.0)
    measurements.publish()
    assert "not published" in lines.getvalue()


@pytest.mark.parametrize(
    "quiet",
    [
        ("predict", "GET /health"),
        ("predict", "GET /ready"),
        ("monitoring", "GET /metrics"),
        ("monitoring", "POST /"),
    ],
)
def test_probes_and_the_taking_of_measurements_are_no_reason_to_tell(
    measurements: Measurements, bus: Bus, clock: Clock, quiet: tuple[str, str]
) -> None:
    """So that the engine rests: else telling of the telling would go on for ever."""
    measurements.record_cold_start(quiet[0], 500.0)
    for _ in range(3):
        measurements.record(*quiet, 204, None, milliseconds=1.0)
        clock.seconds += INTERVAL_SECONDS
        comes(measurements)
        measurements.publish()
    assert bus.published == []
    measurements.record(*ASK, milliseconds=1.0)
    measurements.publish()
    assert bus.counts == [4], "they are told of with the next news"
    measurements.publish()
    assert bus.counts == [4]


def test_a_flood_of_models_is_counted_without_telling_them_apart(
    measurements: Measurements, bus: Bus
) -> None:
    for number in range(MAX_SERIES + 100):
        measurements.record("predict", "GET /predict", 200, f"m-v{number}", milliseconds=1.0)
    measurements.publish()
    (event,) = bus.published
    assert len(event.data["requests"]) == MAX_SERIES + 1
    assert bus.counts == [MAX_SERIES + 100]


def test_totals_go_on_when_something_was_told(measurements: Measurements) -> None:
    for _ in range(3):
        measurements.record(*ASK, milliseconds=2.0)
        measurements.record_cold_start("predict", 500.0)
        measurements.publish()
    measurements.record(*ASK, milliseconds=2.0)
    requests, cold_starts = measurements.totals()
    assert [one.count for one in requests.values()] == [4]
    assert cold_starts["predict"].count == 3


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_nothing_is_lost_or_counted_twice_between_threads(measurements: Measurements, bus: Bus) -> None:
    def work() -> None:
        for _ in range(2_000):
            measurements.record(*ASK, milliseconds=2.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        measurements.publish()
    measurements.publish()
    requests, _ = measurements.totals()
    assert sum(bus.counts) == sum(one.count for one in requests.values()) == 16_000


def test_a_process_knows_its_age() -> None:
    first = process_age_seconds()
    second = process_age_seconds()
    assert 0 < first <= second < first + 10
