"""The scoring job as it is really started: killed at random, stopped. KILLS=20 kills more often."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.access.identity import ADMIN
from shared.instance import Instance
from shared.jobs.score_symbols import CHUNK_SYMBOLS
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.ports import JobState
from shared.serving.scoring_records import ScoringStatus, SymbolsRequest
from tests.contracts.workers import wait_for
from tests.jobs.scored import (
    GOOD,
    NEW,
    ROOT,
    caught,
    errors,
    part_names,
    requested,
    started,
    table,
    times,
    told,
)

KILLS = int(os.environ.get("KILLS", "3"))
TASKS = 2
WINDOW = {"start": "1990-01-01T00:00:00Z"}
"""All that is stored: some seconds of work."""

pytestmark = pytest.mark.timeout(60 + 20 * KILLS)


@pytest.fixture
def home(scoring: Instance) -> Path:
    return scoring.settings.mlengine_home


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Any]]:
    """Starts task 0 of 1, if not told otherwise; what still runs in the end is killed."""
    running = []

    def start(*, by_hand: bool = False, **task: object) -> Any:
        given = {"index": 0, "count": 1, "attempt": 0, **task}
        running.append(started(home, "score", "--scoring", "s1", by_hand=by_hand, **given))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_killed_at_random_every_symbol_is_scored_exactly_once(
    scoring: Instance, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(KILLS)
    began, kills, kept = time.monotonic(), 0, 0
    for number in range(KILLS):
        scoring_id = f"s{number}"
        requested(scoring, scoring_id, tasks=TASKS)
        for index in range(TASKS):
            for attempt in range(rng.randint(1, 2)):
                kills += _start_and_kill(scoring, scoring_id, index, attempt, rng)
            kept += len(part_names(scoring.platform, scoring_id, index))
            last = started(home, "score", "--scoring", scoring_id, index=index, count=TASKS, attempt=3)
            assert last.wait(60) == 0
        assert scoring.scorings.get(scoring_id).status is ScoringStatus.SUCCEEDED
        assert times(scoring.platform, scoring_id) == dict.fromkeys(GOOD, 1)
        assert errors(scoring.platform, scoring_id) == {NEW: 1}
        told = [part.name for task in scoring.scorings.tasks(scoring_id) for part in task.parts]
        assert told == part_names(scoring.platform, scoring_id)
    assert kills >= KILLS
    if "KILLS" in os.environ:
        with capsys.disabled():
            seconds = time.monotonic() - began
            sys.stderr.write(
                f"\n{kills} kills in {KILLS} scorings, {seconds:.0f} s; {kept} parts were kept\n"
            )


def _start_and_kill(scoring: Instance, scoring_id: str, index: int, attempt: int, rng: random.Random) -> bool:
    """Kill it while it starts, or about when it has written so many parts; False if it was quicker."""

    def parts() -> int:
        return len(part_names(scoring.platform, scoring_id, index))

    goal = parts() + rng.randint(0, 2)
    home = scoring.settings.mlengine_home
    process = started(home, "score", "--scoring", scoring_id, index=index, count=TASKS, attempt=attempt)
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0, 0.5))
    else:
        wait_for(lambda: parts() > goal or process.poll() is not None)
        time.sleep(rng.uniform(0, 0.01))
    process.kill()
    return process.wait() != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_platforms_signal_hands_back_within_seconds(
    scoring: Instance, start: Callable[..., Any], number: signal.Signals
) -> None:
    requested(scoring, **WINDOW)
    process = start()
    caught(process, lambda: bool(part_names(scoring.platform)))
    began = time.monotonic()
    told(process, number)
    assert process.wait(60) == 75
    assert time.monotonic() - began < 20
    assert scoring.scorings.get("s1").status is ScoringStatus.RUNNING
    assert 0 < len(part_names(scoring.platform)) < -(-(len(GOOD) + 1) // CHUNK_SYMBOLS)
    process = start(attempt=1)
    assert process.wait(60) == 0
    counts = times(scoring.platform)
    assert set(counts) == set(GOOD)
    assert len(set(counts.values())) == 1
    rows = table(scoring.platform)
    assert rows.num_rows == len({(row["symbol"], row["as_of"]) for row in rows.to_pylist()})


def test_by_hand_a_signal_cancels(scoring: Instance, start: Callable[..., Any]) -> None:
    requested(scoring, **WINDOW)
    process = start(by_hand=True)
    caught(process, lambda: bool(part_names(scoring.platform)))
    told(process, signal.SIGINT)
    assert process.wait(60) == 0
    assert scoring.scorings.get("s1").status is ScoringStatus.CANCELLED


def test_on_the_last_attempt_the_signal_ends_the_scoring(
    scoring: Instance, start: Callable[..., Any]
) -> None:
    requested(scoring, **WINDOW)
    process = start(attempt=3)
    caught(process, lambda: bool(part_names(scoring.platform)))
    told(process, signal.SIGTERM)
    assert process.wait(60) == 0
    ended = scoring.scorings.get("s1")
    assert (ended.status, "stopped" in (ended.error or "")) == (ScoringStatus.FAILED, True)


def test_wrong_arguments_are_never_a_success(start: Callable[..., Any], home: Path) -> None:
    process = started(home, "score", index=0, count=1, attempt=0)
    assert process.wait(60) == 2
    process = started(home, "score", "--scoring", "s1", index=1, count=1, attempt=0)
    assert process.wait(60) not in (0, 75)


def test_the_whole_way_through_the_jobs_port(scoring: Instance, home: Path) -> None:
    """Started by the desk, killed once, started again by the platform, seen to its end by the desk."""
    jobs = SubprocessJobs(home / "jobs", root=ROOT, environment={"MLENGINE_HOME": str(home)})
    desk = Instance(scoring.settings, replace(scoring.platform, jobs=jobs)).scoring_desk
    request = SymbolsRequest(model="market-signal", tasks=TASKS)
    try:
        scoring_id = desk.request(request, ADMIN).scoring_id
        assert desk.start(scoring_id, request).status is ScoringStatus.QUEUED
        wait_for(lambda: bool(_tasks_of(scoring_id)))
        _tasks_of(scoring_id)[0].kill()
        wait_for(lambda: desk.status(scoring_id)[0].status.has_ended)
        wait_for(lambda: jobs.status(scoring_id).state is not JobState.RUNNING)
        assert desk.status(scoring_id)[0].status is ScoringStatus.SUCCEEDED
        assert jobs.status(scoring_id).state is JobState.SUCCEEDED
        assert times(scoring.platform, scoring_id) == dict.fromkeys(GOOD, 1)
    finally:
        jobs.close()


def _tasks_of(scoring_id: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if scoring_id in child.cmdline()]
