"""What other processes do in the suites. Apart from the tests, so that they needn't import pytest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shared.platform.cas import update
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Data, Documents, Event, JobState, Put
from tests.contracts.platforms import NOW, Place

GENERATION_SIZE = 20


def count_up(documents: Documents) -> None:
    update(documents, "counters", "c", lambda data: {"n": (data or {"n": 0})["n"] + 1})


def count_up_5_times(_index: int, name: str, state: Path) -> None:
    documents = Place(name, state).documents
    for _ in range(5):
        count_up(documents)


def write_generations(report: Connection, name: str, state: Path, first: int) -> None:
    """Batches of documents that agree on `n`; reports each `n` that is durable."""
    documents = Place(name, state).documents
    for n in range(first, first + 100_000):
        documents.commit([Put("killed", f"{i}", {"n": n, "pad": "x" * 500}) for i in range(GENERATION_SIZE)])
        report.send(n)


def put_blobs(report: Connection, name: str, state: Path, prefix: str) -> None:
    """Large blobs one after the other; reports each name that is durable."""
    blobs = Place(name, state).blobs
    for n in range(100_000):
        blobs.put(f"{prefix}/{n}.bin", f"{n},".encode() * 100_000)
        report.send(f"{prefix}/{n}.bin")


def publish_events(report: Connection, name: str, state: Path, source: str) -> None:
    """Batches of three events; reports each event that is durable."""
    events = Place(name, state).events
    for n in range(100_000):
        batch = [event(f"{n}-{i}", source=source) for i in range(3)]
        events.publish("made", batch)
        report.send([(source, one.id) for one in batch])


def handle_events(report: Connection, name: str, state: Path, now: datetime) -> None:
    """Claims events and stores each before it acknowledges: an idempotent handler."""
    place = Place(name, state)
    assert isinstance(place.events, SqliteEvents)
    report.send("ready")
    while True:
        for delivery in place.events.claim("audit", 5, 60.0, now):
            place.documents.commit([Put("handled", delivery.event.id, {})])
            place.events.ack([delivery.id])
            report.send(delivery.event.id)


def consume_all(_index: int, name: str, state: Path) -> None:
    """Counts how often each event comes."""
    place = Place(name, state)
    assert isinstance(place.events, SqliteEvents)
    while deliveries := place.events.claim("audit", 3, 60.0, NOW):
        for delivery in deliveries:
            update(place.documents, "handled", delivery.event.id, _one_more)
        place.events.ack([delivery.id for delivery in deliveries])


def _one_more(data: Data | None) -> Data:
    return {"times": 1 if data is None else data["times"] + 1}


def event(id: str, *, source: str = "//test", **data: Any) -> Event:
    return Event(id, source, "test.happened", NOW, data)


def start_job(_index: int, name: str, state: Path) -> None:
    """Starts the same execution as its siblings, and lives until it has ended."""
    jobs = Place(name, state).jobs
    jobs.start("note", ["once"], execution_id="e1")
    wait_for(lambda: jobs.status("e1").state is not JobState.RUNNING)


def start_job_and_hang(report: Connection, name: str, state: Path) -> None:
    Place(name, state).jobs.start("sleep", [], execution_id="e1")
    report.send("started")
    threading.Event().wait()


def wait_for(condition: Callable[[], bool], *, timeout_seconds: float = 20.0) -> None:
    """Look again every 10 ms until `condition` holds."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
