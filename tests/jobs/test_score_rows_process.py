"""The scoring of files as it is really started: killed at random. KILLS=20 kills more often."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.instance import Instance
from shared.jobs.score_plan import SHARD_ROWS
from shared.platform.connect import connect
from shared.serving.scoring_records import ScoringStatus
from tests.contracts.workers import wait_for
from tests.homes import copied
from tests.jobs.conftest import settings_of
from tests.jobs.scored import part_names, started
from tests.jobs.scored_rows import as_csv, as_parquet, asked, bad_rows, rows_table, scores, spoilt
from tests.tabular_packages import active_tabular

KILLS = int(os.environ.get("KILLS", "1"))
TASKS = 2
FILES = 6
ROWS = 3_000
BAD = {number * 7: 500 for number in range(100)}

pytestmark = pytest.mark.timeout(60 + 30 * KILLS)


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live model, and a folder of files with some bad rows: each file is a shard."""
    home = tmp_path_factory.mktemp("rows")
    instance = Instance(settings_of(home), connect(settings_of(home)))
    active_tabular(instance.registry)
    for number in range(FILES):
        table = spoilt(rows_table(ROWS, number), "age", BAD)
        kind, write = ("csv", as_csv) if number % 2 else ("parquet", as_parquet)
        instance.platform.blobs.put(f"inputs/x/{number}.{kind}", write(table))
    assert ROWS < SHARD_ROWS
    return home


@pytest.fixture
def rows(_home: Path, tmp_path: Path) -> Instance:
    home = tmp_path / "rows"
    copied(_home, home)
    return Instance(settings_of(home), connect(settings_of(home)))


@pytest.fixture
def start(rows: Instance) -> Iterator[Callable[..., Any]]:
    running: list[Any] = []

    def start(scoring_id: str, **task: Any) -> Any:
        running.append(started(rows.settings.mlengine_home, "score", "--scoring", scoring_id, **task))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_killed_at_random_every_row_is_in_the_parts_or_the_errors_exactly_once(
    rows: Instance, start: Callable[..., Any]
) -> None:
    rng = random.Random(KILLS)
    kills = 0
    for number in range(KILLS):
        scoring_id = f"s{number}"
        asked(rows, "inputs/x/", scoring_id, tasks=TASKS)
        for index in range(TASKS):
            kills += _start_and_kill(rows, start, scoring_id, index, rng)
            assert start(scoring_id, index=index, count=TASKS, attempt=3).wait(90) == 0
        assert rows.scorings.get(scoring_id).status is ScoringStatus.SUCCEEDED
        _require_whole(rows, scoring_id)
    assert kills >= 1


def _start_and_kill(
    rows: Instance, start: Callable[..., Any], scoring_id: str, index: int, rng: random.Random
) -> bool:
    """Kill it when a plan, some errors or some parts are there; False if it was quicker."""

    def written() -> int:
        names = [blob.name for blob in rows.platform.blobs.list(f"scores/{scoring_id}/")]
        return len(names)

    goal = written() + rng.randint(0, 3)
    process = start(scoring_id, index=index, count=TASKS, attempt=0)
    wait_for(lambda: written() > goal or process.poll() is not None)
    time.sleep(rng.uniform(0, 0.01))
    process.kill()
    return bool(process.wait() != 0)


def _require_whole(rows: Instance, scoring_id: str) -> None:
    files = [f"inputs/x/{number}.{'csv' if number % 2 else 'parquet'}" for number in range(FILES)]
    good = [(file, row) for file in files for row in range(ROWS) if row not in BAD]
    assert [(score["file"], score["row"]) for score in scores(rows.platform, scoring_id)] == good
    bad = [(file, row) for file in files for row in BAD]
    assert [(error["file"], error["row"]) for error in bad_rows(rows.platform, scoring_id)] == bad
    tasks = rows.scorings.tasks(scoring_id)
    assert [part.name for task in tasks for part in task.parts] == part_names(rows.platform, scoring_id)
    assert sum(task.scored for task in tasks) == len(good)
    assert sum(task.failed for task in tasks) == len(bad)


def test_the_platforms_signal_hands_back_and_the_next_attempt_ends_it(
    rows: Instance, start: Callable[..., Any]
) -> None:
    asked(rows, "inputs/x/", "s1")
    process = start("s1", index=0, count=1, attempt=0)
    wait_for(lambda: bool(part_names(rows.platform, "s1")) or process.poll() is not None)
    process.terminate()
    assert process.wait(30) in (0, 75)  # it may have been quicker
    if process.returncode == 75:
        assert rows.scorings.get("s1").status is ScoringStatus.RUNNING
    assert start("s1", index=0, count=1, attempt=1).wait(90) == 0
    assert rows.scorings.get("s1").status is ScoringStatus.SUCCEEDED
    _require_whole(rows, "s1")
