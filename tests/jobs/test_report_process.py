"""The report job as it is really started: killed in the middle, stopped. KILLS=20 kills more often."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.instance import Instance
from shared.monitoring.reports import ReportStatus
from tests.jobs.reported import Seen, instance_at, page, requested
from tests.jobs.scored import caught, started, told

KILLS = int(os.environ.get("KILLS", "1"))

pytestmark = pytest.mark.timeout(60 + 20 * KILLS)


@pytest.fixture
def instance(checked: Path) -> Instance:
    return instance_at(checked)


@pytest.fixture
def start(checked: Path) -> Iterator[Callable[..., Any]]:
    """Starts the job on report r1; what still runs in the end is killed."""
    running = []

    def start(report_id: str = "r1", *, by_hand: bool = False, attempt: int = 0) -> Any:
        task = {"index": 0, "count": 1, "attempt": attempt}
        running.append(started(checked, "report", "--report", report_id, by_hand=by_hand, **task))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def files(instance: Instance, report_id: str = "r1") -> list[str]:
    found = instance.platform.blobs.list(f"reports/{report_id}/")
    return [info.name.rpartition("/")[2] for info in found]


def test_killed_in_the_middle_the_next_attempt_leaves_one_whole_report(
    instance: Instance, start: Callable[..., Any]
) -> None:
    for number in range(KILLS):
        report_id = f"r{number}"
        requested(instance, report_id)
        process = start(report_id)
        caught(process, lambda r=report_id: "facts.json" in files(instance, r))  # type: ignore[misc]
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert instance.reports.get(report_id).status is ReportStatus.RUNNING
        assert start(report_id, attempt=1).wait(60) == 0
        report = instance.reports.get(report_id)
        assert (report.status, report.attempts) == (ReportStatus.SUCCEEDED, 2)
        assert sorted(files(instance, report_id)) == ["facts.json", "report.html"]
        assert Seen(page(instance, report_id)).wrong == []


def test_the_platforms_signal_hands_back_within_seconds_and_by_hand_it_cancels(
    instance: Instance, start: Callable[..., Any]
) -> None:
    requested(instance)
    process = start()
    caught(process, lambda: instance.reports.get("r1").status is ReportStatus.RUNNING)
    began = time.monotonic()
    told(process, signal.SIGTERM)
    assert process.wait(60) == 75
    assert time.monotonic() - began < 30
    assert instance.reports.get("r1").status is ReportStatus.RUNNING
    process = start(by_hand=True)
    caught(process, lambda: instance.reports.get("r1").attempts == 2)
    told(process, signal.SIGINT)
    assert process.wait(60) == 0
    assert instance.reports.get("r1").status is ReportStatus.CANCELLED
    assert start(attempt=1).wait(60) == 0
    assert instance.reports.get("r1").status is ReportStatus.CANCELLED


def test_what_there_isnt_and_wrong_arguments(checked: Path, start: Callable[..., Any]) -> None:
    assert start("nope").wait(60) == 0
    assert start("nope", by_hand=True).wait(60) == 65
    assert started(checked, "report", index=0, count=1, attempt=0).wait(60) == 2
