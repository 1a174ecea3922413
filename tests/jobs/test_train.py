from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.config import Settings
from shared.errors import PlatformUnavailable
from shared.jobs.task import Exit, Task
from shared.jobs.train import TrainingJob
from shared.platform.connect import connect
from shared.platform.ports import Document, Documents, JobState, JobStatus, Page, Platform, Replace, Write
from shared.registry import Registry
from shared.training.run_records import Run, RunStatus
from shared.training.runs import Runs
from tests.jobs.scored import PassedOn

ROOT = Path(__file__).resolve().parents[2]
QUICK: dict[str, Any] = {"problem": "market_signal", "candidates": ["logistic_regression"], "test_size": 0.3}


@pytest.fixture
def runs(platform: Platform) -> Runs:
    return Runs(platform.documents, platform.now)


@pytest.fixture
def registry(platform: Platform) -> Registry:
    return Registry(platform.documents, platform.blobs, platform.events, platform.now, platform.new_id)


def _work(
    settings: Settings, platform: Platform, runs: Runs, request: dict[str, Any], run_id: str = "r1"
) -> Run:
    runs.create(run_id, request)
    TrainingJob(settings, platform, Task()).work_on(run_id)
    return runs.get(run_id)


def test_model_that_passes_is_registered_and_activated_as_asked(
    settings: Settings, platform: Platform, runs: Runs, registry: Registry
) -> None:
    run = _work(settings, platform, runs, {**QUICK, "activate": True})
    assert run.status is RunStatus.SUCCEEDED
    assert run.result is not None
    assert run.result["version_id"] == "market-signal-v1"
    assert run.result["activated"]
    active = registry.active("market-signal")
    assert active is not None
    assert active.version_id == "market-signal-v1"
    assert registry.get("market-signal-v1").run_id == "r1"
    assert {"features", "walk_forward", "hold_out", "final_fit", "export"} <= run.timings.keys()
    manifest = registry.open_package("market-signal-v1").manifest
    assert manifest.metrics["selected"] == "logistic_regression"
    assert manifest.feature_set == "technical"
    assert manifest.memory == 158


def test_model_that_does_not_beat_the_live_one_changes_nothing(
    settings: Settings, platform: Platform, runs: Runs, registry: Registry
) -> None:
    _work(settings, platform, runs, {**QUICK, "horizon": 2})
    before = registry.activate("market-signal-v1", by="test", allow_failed_gates=True)
    run = _work(settings, platform, runs, {**QUICK, "activate": True}, "r2")
    assert run.result is not None
    assert run.result["gates_passed"]
    assert not run.result["suspected_leak"]
    assert not run.result["champion"]["is_better"]
    assert not run.result["activated"]
    after = registry.active("market-signal")
    assert after is not None
    assert after.last == before


def test_without_being_asked_nothing_is_activated(
    settings: Settings, platform: Platform, runs: Runs, registry: Registry
) -> None:
    run = _work(settings, platform, runs, QUICK)
    assert run.status is RunStatus.SUCCEEDED
    assert registry.active("market-signal") is None


def test_model_that_fails_its_gates_is_kept_as_rejected_and_never_activated(
    settings: Settings, platform: Platform, runs: Runs, registry: Registry
) -> None:
    few = [f"S{i:02}" for i in range(2)]
    run = _work(settings, platform, runs, {**QUICK, "activate": True, "symbols": few, "lookback": 450})
    assert run.status is RunStatus.REJECTED
    assert run.result is not None
    assert not all(gate["passed"] for gate in run.result["gates"])
    assert registry.get(run.result["version_id"]).status == "rejected"
    assert registry.active("market-signal") is None


def test_same_candles_and_seed_give_the_same_package(
    settings: Settings, platform: Platform, runs: Runs, registry: Registry
) -> None:
    for run_id in ("r1", "r2"):
        _work(settings, platform, runs, QUICK, run_id)
    first, second = (registry.get(f"market-signal-v{n}") for n in (1, 2))
    assert first.package_hash == second.package_hash


def test_failure_is_recorded_in_words(settings: Settings, tmp_path: Path) -> None:
    empty = settings.model_copy(update={"mlengine_home": tmp_path / "empty"})
    platform = connect(empty)
    runs = Runs(platform.documents, platform.now)
    runs.create("r1", QUICK)
    assert TrainingJob(empty, platform, Task()).work_on("r1") == Exit.BAD_REQUEST
    run = runs.get("r1")
    assert run.status is RunStatus.FAILED
    assert "ingest some" in (run.error or "")


def test_symbol_that_is_not_stored_fails_the_run(settings: Settings, platform: Platform, runs: Runs) -> None:
    run = _work(settings, platform, runs, {**QUICK, "symbols": ["NOPE"]})
    assert run.status is RunStatus.FAILED
    assert "NOPE" in (run.error or "")


def test_recorded_request_that_is_wrong_fails_the_run(
    settings: Settings, platform: Platform, runs: Runs
) -> None:
    run = _work(settings, platform, runs, {"problem": "nope"})
    assert run.status is RunStatus.FAILED
    assert "/problem" in (run.error or "")


def test_run_that_has_ended_is_left_alone(settings: Settings, platform: Platform, runs: Runs) -> None:
    runs.create("r1", QUICK)
    cancelled = runs.request_cancel("r1")
    assert TrainingJob(settings, platform, Task()).work_on("r1") == Exit.DONE
    assert runs.get("r1") == cancelled


def test_unknown_run_can_not_succeed(settings: Settings, platform: Platform) -> None:
    assert TrainingJob(settings, platform, Task()).work_on("r9") == Exit.BAD_REQUEST


class Losing(Documents):
    """Goes away when a run is to be ended so."""

    def __init__(self, documents: Documents, status: RunStatus) -> None:
        self._documents, self._status = documents, status

    def get(self, collection: str, id: str) -> Document | None:
        return self._documents.get(collection, id)

    def query(self, collection: str, **options: Any) -> Page:
        return self._documents.query(collection, **options)

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        ends = (write for write in writes if isinstance(write, Replace) and write.collection == "runs")
        if any(write.data["status"] == self._status for write in ends):
            raise PlatformUnavailable("the documents are away")
        return self._documents.commit(writes)


class TestAttempts:
    """As the platform runs it: an attempt may leave the run to the next one."""

    FIRST = Task(is_by_hand=False, retries=3)
    LAST = Task(is_by_hand=False, attempt=3, retries=3)

    @pytest.fixture(autouse=True)
    def _without_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))

    @pytest.fixture
    def away(self, platform: Platform) -> Platform:
        """Where no package can be kept."""
        blobs = PassedOn(platform.blobs)

        def put(name: str, content: bytes) -> str:
            raise PlatformUnavailable("the blobs are away")

        blobs.put = put  # type: ignore[method-assign]  # what is away
        return replace(platform, blobs=blobs)

    def test_a_dependency_that_is_away_is_left_to_the_next_attempt(
        self, settings: Settings, platform: Platform, away: Platform, runs: Runs, registry: Registry
    ) -> None:
        runs.create("r1", QUICK)
        assert TrainingJob(settings, away, self.FIRST).work_on("r1") is Exit.TRY_AGAIN
        left = runs.get("r1")
        assert left.status is RunStatus.RUNNING
        assert "handed back to the next attempt: the blobs are away" in left.progress.message
        assert TrainingJob(settings, platform, self.FIRST).work_on("r1") is Exit.DONE
        run = runs.get("r1")
        assert (run.status, run.attempts) == (RunStatus.SUCCEEDED, 2)
        assert [version.run_id for version in registry.list().versions] == ["r1"]

    def test_the_last_attempt_records_that_it_failed(
        self, settings: Settings, away: Platform, runs: Runs
    ) -> None:
        runs.create("r1", QUICK)
        assert TrainingJob(settings, away, self.LAST).work_on("r1") is Exit.DONE
        run = runs.get("r1")
        assert (run.status, run.error) == (RunStatus.FAILED, "the blobs are away")

    def test_by_hand_the_first_attempt_is_the_last(
        self, settings: Settings, away: Platform, runs: Runs
    ) -> None:
        runs.create("r1", QUICK)
        assert TrainingJob(settings, away, Task()).work_on("r1") is Exit.TRY_AGAIN
        assert runs.get("r1").status is RunStatus.FAILED

    @pytest.mark.parametrize("activate", [False, True])
    def test_a_version_registered_by_an_attempt_that_could_not_end_is_not_registered_again(
        self, settings: Settings, platform: Platform, runs: Runs, registry: Registry, activate: bool
    ) -> None:
        runs.create("r1", {**QUICK, "activate": activate})
        losing = replace(platform, documents=Losing(platform.documents, RunStatus.SUCCEEDED))
        assert TrainingJob(settings, losing, self.FIRST).work_on("r1") is Exit.TRY_AGAIN
        assert len(registry.list().versions) == 1
        assert registry.active("market-signal") is None
        assert TrainingJob(settings, platform, self.FIRST).work_on("r1") is Exit.DONE
        run = runs.get("r1")
        assert run.result is not None
        assert (run.status, run.result["version_id"]) == (RunStatus.SUCCEEDED, "market-signal-v1")
        assert len(registry.list().versions) == 1
        assert (registry.active("market-signal") is not None) is activate

    def test_a_request_that_can_not_succeed_is_not_tried_again(
        self, settings: Settings, platform: Platform, runs: Runs
    ) -> None:
        runs.create("r1", {"problem": "nope"})
        assert TrainingJob(settings, platform, self.FIRST).work_on("r1") is Exit.DONE
        assert runs.get("r1").status is RunStatus.FAILED
        assert TrainingJob(settings, platform, self.FIRST).work_on("r9") is Exit.DONE


class TestProcess:
    """The job as it is really started."""

    @pytest.fixture
    def process(self, settings: Settings, runs: Runs, request: pytest.FixtureRequest) -> Any:
        runs.create("r1", {"problem": "market_signal"})
        given: dict[str, str] = getattr(request, "param", {})
        home = {"MLENGINE_HOME": str(settings.mlengine_home), "TRAIN_CV_FOLDS": "2", **given}
        started = subprocess.Popen(
            [sys.executable, "-m", "shared.jobs.train", "--run", "r1"],
            cwd=ROOT,
            env={**os.environ, **home},
            stdout=subprocess.DEVNULL,
        )
        yield started
        started.kill()
        started.wait()

    @pytest.mark.parametrize("process", [{"CLOUD_RUN_JOB": "train"}], indirect=True)
    def test_the_platforms_sigterm_hands_the_run_back(
        self, process: subprocess.Popen[bytes], runs: Runs, registry: Registry
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == Exit.TRY_AGAIN
        assert time.monotonic() - began < 30
        run = runs.get("r1")
        assert run.status is RunStatus.RUNNING
        assert "handed back" in run.progress.message
        assert runs.start("r1", "another").attempts == 2

    @pytest.mark.parametrize("process", [{"CLOUD_RUN_JOB": "train"}], indirect=True)
    def test_the_platforms_sigterm_after_a_cancellation_ends_the_run(
        self, process: subprocess.Popen[bytes], runs: Runs
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        runs.request_cancel("r1")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == Exit.DONE
        assert runs.get("r1").status is RunStatus.CANCELLED

    @pytest.mark.parametrize(
        "process", [{"CLOUD_RUN_JOB": "train", "CLOUD_RUN_TASK_ATTEMPT": "3"}], indirect=True
    )
    def test_the_platforms_sigterm_to_the_last_attempt_fails_the_run(
        self, process: subprocess.Popen[bytes], runs: Runs
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == Exit.DONE
        run = runs.get("r1")
        assert (run.status, run.error) == (RunStatus.FAILED, "The platform stopped it.")

    def test_by_hand_sigterm_cancels_the_run(
        self, process: subprocess.Popen[bytes], runs: Runs, registry: Registry
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == Exit.DONE
        assert runs.get("r1").status is RunStatus.CANCELLED
        assert not registry.list().versions

    def test_cancellation_in_the_document_cancels_the_run(
        self, process: subprocess.Popen[bytes], runs: Runs
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        runs.request_cancel("r1")
        assert process.wait(60) == Exit.DONE
        assert runs.get("r1").status is RunStatus.CANCELLED

    def test_killed_run_serves_nothing_and_can_be_taken_over(
        self,
        process: subprocess.Popen[bytes],
        settings: Settings,
        platform: Platform,
        runs: Runs,
        registry: Registry,
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        process.kill()
        process.wait()
        assert runs.get("r1").status is RunStatus.RUNNING
        assert registry.active("market-signal") is None
        assert not registry.list().versions
        assert runs.reconcile("r1", JobStatus(JobState.RUNNING)).status is RunStatus.RUNNING
        assert runs.start("r1", "another").attempts == 2
        gone = runs.reconcile("r1", JobStatus(JobState.FAILED, "Task 0 was ended by SIGKILL."))
        assert gone.status is RunStatus.FAILED
        assert "SIGKILL" in (gone.error or "")


def _wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
