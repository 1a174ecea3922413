from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import PlatformUnavailable
from shared.jobs.reporter import Reporter
from shared.jobs.task import Stopped
from shared.platform.local.documents import SqliteDocuments
from shared.training.runs import Runs


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    runs = Runs(SqliteDocuments(tmp_path / "documents.sqlite3"), lambda: datetime.now(UTC))
    runs.create("r1", {})
    runs.start("r1", "w1")
    return runs


def _reporter(runs: Runs) -> Reporter:
    return Reporter(runs, "r1", "w1", clock=time.monotonic, interval_seconds=0.01)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_progress_reaches_the_document(runs: Runs) -> None:
    with _reporter(runs) as report:
        report("features", 1, 3, "a third")
        _wait(lambda: runs.get("r1").progress.message == "a third")


def test_heart_beats_while_nothing_is_reported(runs: Runs) -> None:
    with _reporter(runs):
        begin = runs.get("r1").seq
        _wait(lambda: runs.get("r1").seq > begin + 2)


def test_nothing_is_written_after_falling_silent(runs: Runs) -> None:
    with _reporter(runs) as report:
        report.fall_silent()
        seq = runs.get("r1").seq
        report("register", 1, 1, "late")
        assert runs.get("r1").seq == seq


def test_cancellation_stops_at_the_next_step(runs: Runs) -> None:
    with _reporter(runs) as report:
        runs.request_cancel("r1")
        with pytest.raises(Stopped):
            _wait(lambda: bool(report("walk_forward", 0, 1, "")))  # type: ignore[func-returns-value]  # it raises
        assert not report.is_taken_over


def test_another_attempt_stops_this_one(runs: Runs) -> None:
    with _reporter(runs) as report:
        runs.start("r1", "w2")
        with pytest.raises(Stopped):
            _wait(lambda: bool(report("walk_forward", 0, 1, "")))  # type: ignore[func-returns-value]  # it raises
        assert report.is_taken_over


def test_signal_stops_at_once_and_only_once(runs: Runs) -> None:
    with _reporter(runs):
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_nothing_stops_what_is_protected(runs: Runs) -> None:
    with _reporter(runs) as report:
        report.protect()
        os.kill(os.getpid(), signal.SIGTERM)
        report("register", 0, 1, "")


def test_protection_comes_too_late_for_who_was_asked_to_stop(runs: Runs) -> None:
    with _reporter(runs) as report:
        runs.request_cancel("r1")
        _wait(lambda: report._stop_asked)
        with pytest.raises(Stopped):
            report.protect()


def test_handlers_are_put_back(runs: Runs) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with _reporter(runs):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_seconds_are_counted_per_stage(runs: Runs) -> None:
    ticks = iter([0.0, 1.0, 3.0, 7.0, 8.0])
    report = Reporter(runs, "r1", "w1", clock=lambda: next(ticks))
    for stage in ("features", "walk_forward", "walk_forward", "report"):
        report(stage, 0, 1, "")
    assert report.timings == {"features": 2.0, "walk_forward": 5.0}


def test_heart_beats_on_when_the_platform_was_away(runs: Runs) -> None:
    class Flaky(Runs):
        failures = 3

        def beat(self, *arguments: object, **named: object):  # type: ignore[no-untyped-def]  # passed through
            if self.failures:
                self.failures -= 1
                raise PlatformUnavailable("away")
            return super().beat(*arguments, **named)  # type: ignore[arg-type]  # the same

    flaky = Flaky(runs._documents, runs._now)
    with Reporter(flaky, "r1", "w1", clock=time.monotonic, interval_seconds=0.01) as report:
        report("features", 1, 3, "after all")
        _wait(lambda: runs.get("r1").progress.message == "after all")
