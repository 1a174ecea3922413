"""What instances tell, merged into documents and figures."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from shared.monitoring.latency import RELATIVE_ERROR
from shared.monitoring.latency.latencies import COLLECTION, MAX_MERGED, MAX_SERIES, Latencies, Window
from shared.monitoring.latency.measured import Measured
from shared.monitoring.latency.measurements import Measurements
from shared.monitoring.latency.report import ColdStarts, Figures
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import MAX_DOCUMENT_BYTES, Event

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
NOTHING = Figures(0, 0, None, None, None)


class Now:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def seconds(self) -> float:
        return self.time.timestamp()


class Told:
    """A bus that keeps what was published."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        self.events += events


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite3")


@pytest.fixture
def latencies(documents: SqliteDocuments, now: Now) -> Latencies:
    return Latencies(documents, now)


_numbers = count()


def instance(told: Told, now: Now) -> Measurements:
    return Measurements(told, lambda: f"i{next(_numbers)}", wall=now.seconds)


def merge(latencies: Latencies, events: Sequence[Event]) -> None:
    latencies.merge([(event, Measured.model_validate_json(_json(event))) for event in events])


def _json(event: Event) -> str:
    return json.dumps(event.data)


def answered(measurements: Measurements, milliseconds: Sequence[float], model: str | None = "m-v1") -> None:
    for one in milliseconds:
        measurements.record("predict", "GET /predict", 200, model, one)
    measurements.publish()


def test_figures_are_of_all_requests_of_all_instances(latencies: Latencies, told: Told, now: Now) -> None:
    """And no average of averages: the quick instance has answered most."""
    seen = np.random.default_rng(3).lognormal(1, 1, 4_000)
    quick, slow = seen[:3_900], seen[3_900:] * 50
    for part in (quick[:2_000], quick[2_000:], slow):
        answered(instance(told, now), list(part))
    merge(latencies, told.events)
    (found,) = latencies.report(Window.FIVE_MINUTES).functions
    exact = np.quantile(np.concatenate([quick, slow]), [0.5, 0.95, 0.99], method="lower")
    figures = found.figures
    assert figures.count == 4_000
    assert [figures.p50_ms, figures.p95_ms, figures.p99_ms] == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-4)


def test_what_comes_again_in_whatever_order_changes_nothing(
    latencies: Latencies, documents: SqliteDocuments, told: Told, now: Now
) -> None:
    for number in range(6):
        answered(instance(told, now), [1.0 + number] * 5, f"m-v{number % 2}")
        now.time += timedelta(minutes=2)
    merge(latencies, told.events)
    before = latencies.report(Window.HOUR)
    kept = documents.query(COLLECTION).documents
    for _ in range(3):
        again = random.sample([*told.events, *told.events], 12)
        merge(latencies, again)
        for event in again:
            merge(latencies, [event])
    assert latencies.report(Window.HOUR) == before
    assert documents.query(COLLECTION).documents == kept, "nothing was written"
    assert before.functions[0].figures.count == 30


def test_an_event_that_comes_twice_at_once_counts_once(latencies: Latencies, told: Told, now: Now) -> None:
    answered(instance(told, now), [1.0] * 5)
    merge(latencies, told.events * 3)
    assert latencies.report(Window.HOUR).functions[0].figures.count == 5


def test_many_takers_at_once_lose_nothing(latencies: Latencies, told: Told, now: Now) -> None:
    for _ in range(24):
        answered(instance(told, now), [1.0])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda event: merge(latencies, [event]), told.events * 2))
    assert latencies.report(Window.DAY).functions[0].figures.count == 24


def test_windows_reach_back_as_far_as_they_say(latencies: Latencies, told: Told, now: Now) -> None:
    for hours in (30, 20, 0.9, 0):
        now.time = NOON - timedelta(hours=hours)
        answered(instance(told, now), [10.0])
    merge(latencies, told.events)
    counts = {window: latencies.report(window).functions[0].figures.count for window in Window}
    assert counts == {Window.FIVE_MINUTES: 1, Window.HOUR: 2, Window.DAY: 3}
    report = latencies.report(Window.FIVE_MINUTES)
    assert (report.since, report.until) == ("2024-01-01T11:55:00.000000Z", "2024-01-01T12:00:00.000000Z")


def test_the_hour_and_the_day_agree_where_both_hold_all(latencies: Latencies, told: Told, now: Now) -> None:
    now.time = NOON + timedelta(minutes=59)
    for minute in range(0, 60, 7):
        now.time = NOON + timedelta(minutes=minute)
        answered(instance(told, now), [float(1 + minute)])
    merge(latencies, told.events)
    assert latencies.report(Window.HOUR).functions == latencies.report(Window.DAY).functions


def test_figures_are_told_apart_by_route_status_and_model(latencies: Latencies, told: Told, now: Now) -> None:
    one = instance(told, now)
    for status in (200, 200, 404, 503):
        one.record("predict", "GET /predict", status, "m-v1" if status == 200 else None, 5.0)
    one.record("predict", "GET /predict", 200, "m-v2", 9.0)
    for _ in range(10):
        one.record("predict", "GET /health", 200, None, 0.1)
    one.record("fetch", "POST /fetch", 200, None, 70.0)
    one.record_cold_start("predict", 640.0)
    one.publish()
    merge(latencies, told.events)
    fetch, predict = latencies.report(Window.FIVE_MINUTES).functions
    assert (fetch.function, fetch.figures.count, fetch.cold_starts) == ("fetch", 1, ColdStarts(0, None, None))
    assert (predict.figures.count, predict.figures.errors) == (5, 1), "without probes"
    assert {one.route: one.figures.count for one in predict.routes} == {"GET /health": 10, "GET /predict": 5}
    assert {one.model_id: one.figures.count for one in predict.models} == {"m-v1": 2, "m-v2": 1}
    assert predict.cold_starts.count == 1
    assert predict.cold_starts.p95_ms == pytest.approx(640, rel=0.01)
    (only,) = latencies.report(Window.FIVE_MINUTES, model_id="m-v2").functions
    assert (only.function, only.figures.count) == ("predict", 1)
    (asked,) = latencies.report(Window.FIVE_MINUTES, function="fetch").functions
    assert asked == fetch
    assert latencies.report(Window.FIVE_MINUTES, function="nobody").functions == ()
    assert latencies.report(Window.FIVE_MINUTES, model_id="m-v9").functions == ()


def test_a_function_that_was_only_probed_has_no_figures(latencies: Latencies, told: Told, now: Now) -> None:
    one = instance(told, now)
    one.record("docs", "GET /health", 200, None, 0.1)
    one.record("fetch", "POST /fetch", 200, None, 1.0)
    one.publish()
    merge(latencies, told.events)
    assert latencies.report(Window.HOUR, function="docs").functions[0].figures == NOTHING


def test_what_is_too_old_is_not_kept(
    latencies: Latencies, documents: SqliteDocuments, told: Told, now: Now
) -> None:
    answered(instance(told, now), [1.0])
    now.time += timedelta(days=60)
    merge(latencies, told.events)
    assert documents.query(COLLECTION).documents == []


def test_documents_expire_when_no_window_reaches_them(
    latencies: Latencies, documents: SqliteDocuments, told: Told, now: Now
) -> None:
    answered(instance(told, now), [1.0])
    merge(latencies, told.events)
    kept = {
        one.id: datetime.fromisoformat(one.data["expires_at"])
        for one in documents.query(COLLECTION).documents
    }
    assert set(kept) == {"5m-20240101T1200Z-predict", "1h-20240101T1200Z-predict"}
    assert kept["5m-20240101T1200Z-predict"] > NOON + timedelta(hours=1, minutes=5)
    assert kept["1h-20240101T1200Z-predict"] > NOON + timedelta(days=1, hours=1)


def test_documents_stay_small_whatever_comes(
    latencies: Latencies, documents: SqliteDocuments, told: Told, now: Now
) -> None:
    """The widest histograms, more models than a document takes, more events than it remembers."""
    wide = [1e-3 * 1.0101**step for step in range(2_500)]
    one = instance(told, now)
    for number in range(MAX_SERIES + 10):
        for milliseconds in wide[:: 1 + number % 3]:
            one.record("predict", "GET /predict", 200, f"m-v{number}", milliseconds)
    one.publish()
    merge(latencies, told.events)
    for _ in range(3):
        more = [Event(f"e{next(_numbers)}", "//test", "measurements.made", NOON, _tiny()) for _ in range(900)]
        merge(latencies, more)
    (document, _) = documents.query(COLLECTION).documents
    size = len(_json(Event("", "", "", NOON, document.data)))
    assert size < MAX_DOCUMENT_BYTES * 0.9
    assert len(document.data["series"]) == MAX_SERIES + 1
    assert len(document.data["merged"].split()) == MAX_MERGED
    figures = latencies.report(Window.FIVE_MINUTES).functions[0].figures
    assert figures.count == sum(len(wide[:: 1 + n % 3]) for n in range(MAX_SERIES + 10)) + 2_700


def _tiny() -> dict[str, object]:
    request = {"at": "2024-01-01T12:00:00Z", "function": "predict", "counts": "500:1", "sum_us": 150}
    more = {"route": "GET /predict", "status": 200, "model_id": None}
    return {"instance_id": "i", "requests": [request | more], "cold_starts": []}
