"""Training goes on where MLflow doesn't, and MLflow is told in the end."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.config import Settings
from shared.jobs.task import Exit, Task
from shared.jobs.tracking import LENT_SECONDS
from shared.jobs.train import TrainingJob
from shared.platform.ports import Platform
from shared.registry import Registry
from shared.training.run_records import RunStatus
from shared.training.runs import Runs
from tests.tabular_packages import active_tabular, registered_tabular

QUICK = {"problem": "market_signal", "candidates": ["logistic_regression"], "test_size": 0.3}
AWAY = "http://127.0.0.1:9"
RESULT: dict[str, Any] = {"version_id": "heart-disease-v1", "activated": False}


class Server(ThreadingHTTPServer):
    """What MLflow's server keeps of what it is told; `refuses` names calls that it answers with 403."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs: dict[str, dict[str, Any]] = {}
        self.versions: list[dict[str, Any]] = []
        self.alias: str | None = None
        self.refuses: set[str] = set()

    @property
    def told_of(self) -> list[str]:
        """The ids of the runs that are whole."""
        whole = [run for run in self.runs.values() if run["info"]["status"] == "FINISHED"]
        return sorted(_tag(run["tags"], "mlengine.run_id") for run in whole)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "experiments/get-by-name":
            return {"experiment": {"experiment_id": "1"}}
        if path == "runs/search":
            return {"runs": [run for key, run in self.runs.items() if f"'{key}'" in body["filter"]]}
        if path == "runs/create":
            key = _tag(body["tags"], "mlengine.run_id")
            info = {"run_id": key, "status": "RUNNING", "artifact_uri": "mlflow-artifacts:/1"}
            self.runs[key] = {"info": {**info, "start_time": body["start_time"]}, "tags": body["tags"]}
            return {"run": self.runs[key]}
        if path == "runs/update":
            self.runs[body["run_id"]]["info"]["status"] = body["status"]
        if path == "model-versions/search":
            return {"model_versions": [one for one in self.versions if one["run_id"] in body["filter"]]}
        if path == "model-versions/create":
            self.versions.append({**body, "version": str(len(self.versions) + 1)})
            return {"model_version": self.versions[-1]}
        if path == "registered-models/alias":
            self.alias = next(one["run_id"] for one in self.versions if one["version"] == body["version"])
        return {}


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        from urllib.parse import parse_qsl, urlsplit

        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        is_json = self.headers.get("content-type") == "application/json"
        body = json.loads(content) if is_json else dict(parse_qsl(url.query))
        path = url.path.removeprefix("/api/2.0/mlflow/")
        told = json.dumps(self.server.answer(path, body)).encode()
        self.send_response(403 if path in self.server.refuses else 200)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the base's names

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def _tag(tags: list[dict[str, str]], key: str) -> str:
    return next(tag["value"] for tag in tags if tag["key"] == key)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def runs(platform: Platform) -> Runs:
    return Runs(platform.documents, platform.now, is_tracked=True)


@pytest.fixture
def registry(platform: Platform) -> Registry:
    return Registry(platform.documents, platform.blobs, platform.events, platform.now, platform.new_id)


def at(settings: Settings, server: Server | None) -> Settings:
    uri = AWAY if server is None else f"http://127.0.0.1:{server.server_port}"
    return settings.model_copy(update={"mlflow_tracking_uri": uri})


def killed(runs: Runs, run_id: str, result: dict[str, Any] | None = None) -> None:
    """A run whose process was killed as soon as its end was recorded."""
    runs.create(run_id, QUICK)
    runs.start(run_id, "gone")
    runs.finish(run_id, "gone", RunStatus.REJECTED, timings={"train": 1.0}, result=result or RESULT)


def again(settings: Settings, platform: Platform, run_id: str) -> None:
    task = Task(is_by_hand=False, retries=3, attempt=1)
    assert TrainingJob(settings, platform, task).work_on(run_id) is Exit.DONE


def warned(caplog: pytest.LogCaptureFixture) -> int:
    told = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    return told.count("not tracked in MLflow")


def test_a_run_whose_mlflow_is_away_ends_as_well_with_one_warning_and_is_told_by_the_next(
    settings: Settings,
    platform: Platform,
    caplog: pytest.LogCaptureFixture,
    server: Server,
    registry: Registry,
) -> None:
    runs = Runs(platform.documents, platform.now)
    runs.create("r1", {**QUICK, "activate": True})
    assert TrainingJob(at(settings, None), platform, Task()).work_on("r1") is Exit.DONE
    run = runs.get("r1")
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
    assert run.result is not None
    assert run.result["activated"]
    assert warned(caplog) == 1
    registered_tabular(registry)
    killed(Runs(platform.documents, platform.now, is_tracked=True), "r2")
    again(at(settings, server), platform, "r2")
    assert server.told_of == ["r1", "r2"]
    assert server.alias == "r1"
    assert warned(caplog) == 1


def test_a_run_killed_before_it_was_told_of_is_told_of_once_by_the_next_attempt(
    settings: Settings, platform: Platform, server: Server, runs: Runs, registry: Registry
) -> None:
    active_tabular(registry)
    killed(runs, "r1")
    for _ in range(2):
        again(at(settings, server), platform, "r1")
    assert server.told_of == ["r1"]
    assert [one["run_id"] for one in server.versions] == ["r1"]
    assert server.alias == "r1"
    assert runs.get("r1").track_from is None
    assert "track_from" not in runs.get("r1").json()


def test_the_champion_is_what_is_live_now_whatever_is_told_late(
    settings: Settings, platform: Platform, server: Server, runs: Runs, registry: Registry
) -> None:
    active_tabular(registry)
    killed(runs, "r1")
    newer = registered_tabular(registry, seed=1)
    registry.activate(newer.id, by="test", allow_failed_gates=True)
    again(at(settings, server), platform, "r1")
    assert (server.told_of, server.alias) == (["r1"], None)


def test_an_attempt_killed_while_it_told_is_made_up_for(
    settings: Settings, platform: Platform, server: Server, runs: Runs, registry: Registry
) -> None:
    registered_tabular(registry)
    for run_id in ("own", "other"):
        killed(runs, run_id)
        assert runs.lend_tracking(run_id, seconds=LENT_SECONDS)
        assert not runs.lend_tracking(run_id, seconds=LENT_SECONDS)
    again(at(settings, server), platform, "own")
    assert server.told_of == ["own"]  # somebody else may be telling of the other one
    later = replace(platform, wall=lambda: platform.wall() + timedelta(seconds=LENT_SECONDS + 1))
    again(at(settings, server), later, "own")
    assert server.told_of == ["other", "own"]
    assert server.alias is None


def test_a_run_that_mlflow_refuses_keeps_no_other_from_being_told(
    settings: Settings,
    platform: Platform,
    caplog: pytest.LogCaptureFixture,
    server: Server,
    runs: Runs,
    registry: Registry,
) -> None:
    registered_tabular(registry)
    killed(runs, "r1", {"version_id": "heart-disease-v9"})
    killed(runs, "r2")
    again(at(settings, server), platform, "r1")
    assert server.told_of == ["r2"]
    assert warned(caplog) == 1
    killed(runs, "r3")
    server.refuses = {"registered-models/create"}
    again(at(settings, server), platform, "r3")
    assert runs.get("r3").track_from is not None
    server.refuses = set()
    again(at(settings, server), platform, "r3")
    assert runs.get("r3").track_from is None
    assert [one["run_id"] for one in server.versions] == ["r2", "r3"]


def test_without_an_address_nothing_is_owed(
    settings: Settings, platform: Platform, registry: Registry
) -> None:
    registered_tabular(registry)
    runs = Runs(platform.documents, platform.now)
    killed(runs, "r1")
    assert runs.get("r1").track_from is None
    again(settings, platform, "r1")
