from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.config import Settings
from shared.jobs.train import BAD_REQUEST, DONE, TrainingJob
from shared.platform.connect import connect
from shared.platform.ports import JobState, JobStatus, Platform
from shared.registry import Registry
from shared.training.runs import Run, Runs, RunStatus

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
    TrainingJob(settings, platform).work_on(run_id)
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
    assert TrainingJob(empty, platform).work_on("r1") == BAD_REQUEST
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
    assert TrainingJob(settings, platform).work_on("r1") == DONE
    assert runs.get("r1") == cancelled


def test_unknown_run_can_not_succeed(settings: Settings, platform: Platform) -> None:
    assert TrainingJob(settings, platform).work_on("r9") == BAD_REQUEST


class TestProcess:
    """The job as it is really started."""

    @pytest.fixture
    def process(self, settings: Settings, runs: Runs) -> Any:
        runs.create("r1", {"problem": "market_signal"})
        home = {"MLENGINE_HOME": str(settings.mlengine_home), "TRAIN_CV_FOLDS": "2"}
        started = subprocess.Popen(
            [sys.executable, "-m", "shared.jobs.train", "--run", "r1"],
            cwd=ROOT,
            env={**os.environ, **home},
            stdout=subprocess.DEVNULL,
        )
        yield started
        started.kill()
        started.wait()

    def test_sigterm_cancels_the_run(
        self, process: subprocess.Popen[bytes], runs: Runs, registry: Registry
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == DONE
        assert runs.get("r1").status is RunStatus.CANCELLED
        assert not registry.list().versions

    def test_cancellation_in_the_document_cancels_the_run(
        self, process: subprocess.Popen[bytes], runs: Runs
    ) -> None:
        _wait(lambda: runs.get("r1").progress.stage == "walk_forward")
        runs.request_cancel("r1")
        assert process.wait(20) == DONE
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
