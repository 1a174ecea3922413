"""Training goes on where MLflow doesn't."""

from __future__ import annotations

import logging

import pytest

from shared.config import Settings
from shared.jobs.task import Exit, Task
from shared.jobs.train import TrainingJob
from shared.platform.ports import Platform
from shared.training.runs import Runs, RunStatus

QUICK = {"problem": "market_signal", "candidates": ["logistic_regression"], "test_size": 0.3}


def test_a_run_whose_mlflow_is_away_ends_as_well_with_one_warning(
    settings: Settings, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    tracked = settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    runs = Runs(platform.documents, platform.now)
    runs.create("r1", {**QUICK, "activate": True})
    assert TrainingJob(tracked, platform, Task()).work_on("r1") is Exit.DONE
    run = runs.get("r1")
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
    assert run.result is not None
    assert run.result["activated"]
    told = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert told.count("not tracked in MLflow") == 1
