"""A training run of the job itself, told to a real MLflow server."""

from __future__ import annotations

import pytest

from shared.instance import Instance
from shared.jobs.task import Exit, Task
from shared.jobs.train import TrainingJob
from shared.training.run_records import RunStatus
from shared.training.runs import Runs
from tests.mlflow.test_tracking import ask, pairs, runs

REQUEST = {
    "problem": "heart_disease",
    "candidates": ["logistic_regression"],
    "activate": True,
}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_trained_model_is_in_mlflow_and_its_champion_where_it_went_live(
    instance: Instance, tracking: str
) -> None:
    settings = instance.settings.model_copy(update={"mlflow_tracking_uri": tracking})
    known = Runs(instance.platform.documents, instance.platform.now)
    known.create("r1", REQUEST)
    assert TrainingJob(settings, instance.platform, Task()).work_on("r1") is Exit.DONE
    run = known.get("r1")
    assert run.status in (RunStatus.SUCCEEDED, RunStatus.REJECTED)
    assert run.result is not None
    (told,) = runs(tracking, "heart_disease")
    assert told["info"]["run_name"] == run.result["version_id"]
    assert pairs(told["data"]["tags"])["mlengine.run_id"] == "r1"
    metrics = pairs(told["data"]["metrics"])
    assert any(name.endswith(".low") for name in metrics)
    assert any(name.startswith("seconds.") for name in metrics)
    name = run.result["version_id"].rpartition("-v")[0]
    champion = ask(tracking, "registered-models/alias", name=name, alias="champion")
    assert ("model_version" in champion) is run.result["activated"]
