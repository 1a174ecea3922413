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
from shared.platform.ports import Documents, Event, JobState, Put
from tests.contracts.beds import bed_at
from tests.contracts.platforms import NOW, Place

GENERATION_SIZE = 20
HANDLED = "handled.txt"


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
    """Takes events and notes each before it acknowledges."""
    bed = bed_at(Place(name, state), now)
    while True:
        for taken in bed.pull("audit", 5):
            note_handled(state, taken.event.id)
            bed.ack([taken])
            report.send(taken.event.id)


def consume_all(_index: int, name: str, state: Path, count: int) -> None:
    """Takes events until `count` of them have been handled, by whomever."""
    bed = bed_at(Place(name, state))
    while len(set(handled(state))) < count:
        taken = bed.pull("audit", 3)
        for one in taken:
            note_handled(state, one.event.id)
        if taken:
            bed.ack(taken)


def note_handled(state: Path, id: str) -> None:
    """One short append: whole or not at all, whoever else writes."""
    with (state / HANDLED).open("a") as file:
        file.write(f"{id}\n")


def handled(state: Path) -> list[str]:
    """The ids that were noted, once for each time."""
    file = state / HANDLED
    return file.read_text().splitlines() if file.exists() else []


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


def wait_for(condition: Callable[[], bool], *, timeout_seconds: float = 60.0) -> None:
    """Look again every 10 ms until `condition` holds."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
