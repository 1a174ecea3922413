"""Runs, reports, packages and versions at a real MLflow server, and training where there is none."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from infra.environments import Environment
from shared.config import Settings, load_settings
from shared.errors import ConfigurationError, PlatformUnavailable
from shared.jobs import tracking as tracking_module
from shared.jobs.tracking import Mlflow, Tracker, Trained
from shared.registry import Package
from tests.tabular_packages import tabular_package

TOKEN = "a-secret-token"  # noqa: S105 - for this test alone
SECONDS = {"candles": 1.5, "train": 12.0}
METRICS = {"holdout": {"f1": {"value": 0.82, "low": 0.77, "high": 0.86}}, "note": "text", "auc": 0.9}


def settings_of(uri: str, **more: Any) -> Settings:
    return load_settings(mlflow_tracking_uri=uri, **more)


def trained(version: int = 1, seed: int = 0, *, is_live: bool = True, **changes: Any) -> Trained:
    package = tabular_package(seed, metrics=METRICS, **changes)
    return Trained(package, f"{package.manifest.name}-v{version}", is_live)


def track(settings: Settings, run_id: str, made: Trained, seconds: dict[str, float]) -> None:
    with Mlflow.of(settings) as mlflow:
        Tracker(mlflow).record(run_id, made, seconds)


def ask(url: str, path: str, **query: Any) -> dict[str, Any]:
    answer = httpx.get(f"{url}/api/2.0/mlflow/{path}", params=query, trust_env=False, timeout=30)
    found: dict[str, Any] = answer.json()
    return found


def runs(url: str, problem: str) -> list[dict[str, Any]]:
    found = ask(url, "experiments/get-by-name", experiment_name=f"mlengine/{problem}")["experiment"]
    body = {"experiment_ids": [found["experiment_id"]]}
    answer = httpx.post(f"{url}/api/2.0/mlflow/runs/search", json=body, trust_env=False, timeout=30)
    listed: list[dict[str, Any]] = answer.json().get("runs", [])
    return listed


def pairs(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["key"]: item["value"] for item in items}


@pytest.mark.slow
@pytest.mark.timeout(400)
class TestServer:
    def test_a_run_is_there_with_all_that_belongs_to_it(self, tracking: str, tmp_path: Path) -> None:
        made = trained(1, name="told", problem="told")
        track(settings_of(tracking), "run-1", made, SECONDS)
        (run,) = runs(tracking, "told")
        assert (run["info"]["status"], run["info"]["run_name"]) == ("FINISHED", "told-v1")
        parameters, metrics, tags = (pairs(run["data"][name]) for name in ("params", "metrics", "tags"))
        assert parameters["algorithm"] == "logistic_regression"
        assert (parameters["hyper.C"], parameters["classes"]) == ("0.3", "absent, present")
        assert metrics["holdout.f1.low"] == 0.77
        assert (metrics["auc"], metrics["gate.f1_high_enough"], metrics["seconds.train"]) == (0.9, 1.0, 12.0)
        assert tags["mlengine.package"] == made.package.hash
        root = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:").lstrip("/")
        for name, content in {
            **_model(made.package),
            "report.html": made.package.file("report.html"),
        }.items():
            kept = httpx.get(f"{tracking}/api/2.0/mlflow-artifacts/artifacts/{root}/{name}", trust_env=False)
            assert kept.content == content, name

    def test_versions_follow_and_the_champion_is_what_went_live(self, tracking: str) -> None:
        for number, is_live in ((1, True), (2, True), (3, False)):
            made = trained(number, number, is_live=is_live, name="kept", problem="kept")
            track(settings_of(tracking), f"kept-{number}", made, SECONDS)
        champion = ask(tracking, "registered-models/alias", name="kept", alias="champion")["model_version"]
        assert pairs(champion["tags"]) == {"mlengine.version": "kept-v2"}
        found = ask(tracking, "model-versions/search", filter="name = 'kept'")["model_versions"]
        told = {pairs(version["tags"])["mlengine.version"]: version["version"] for version in found}
        assert told == {f"kept-v{number}": str(number) for number in range(1, 4)}

    def test_told_again_nothing_is_there_twice(self, tracking: str) -> None:
        made = trained(1, name="again", problem="again")
        for _ in range(2):
            track(settings_of(tracking), "run-7", made, SECONDS)
        (run,) = runs(tracking, "again")
        history = {"run_id": run["info"]["run_id"], "metric_key": "auc"}
        assert len(ask(tracking, "metrics/get-history", **history)["metrics"]) == 1
        found = ask(tracking, "model-versions/search", filter="name = 'again'")["model_versions"]
        assert len(found) == 1

    def test_what_was_kept_is_loaded_by_mlflow_by_its_alias(self, tracking: str, mlflow: Environment) -> None:
        made = trained(1, name="loaded", problem="loaded")
        track(settings_of(tracking), "run-9", made, SECONDS)
        script = (
            "import json, sys, mlflow, numpy;"
            "mlflow.set_tracking_uri(sys.argv[1]);"
            "model = mlflow.pyfunc.load_model('models:/loaded@champion');"
            "rows = numpy.array([[63, 145, 0, 1]], 'float32');"
            "print(json.dumps(model.predict(rows)['probabilities'].tolist()))"
        )
        told = json.loads(mlflow.run("-c", script, tracking).splitlines()[-1])
        ours = made.package.verified_scorer().score(np.array([[63, 145, 0, 1]], np.float32))
        np.testing.assert_allclose(told, ours, rtol=0, atol=1e-6)


def _model(package: Package) -> dict[str, bytes]:
    return {f"model/{name}": content for name, content in package.files().items()}


def test_a_server_that_is_away_is_told_of_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(PlatformUnavailable, match="MLflow doesn't answer"):
        track(settings_of("http://127.0.0.1:9"), "run-1", trained(), SECONDS)
    assert time.monotonic() - began < 5


def test_a_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_module, "CALL_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(PlatformUnavailable, match="ReadTimeout"):
            track(settings_of(f"http://127.0.0.1:{silent.getsockname()[1]}"), "run-1", trained(), SECONDS)
    assert time.monotonic() - began < 5


def test_the_whole_takes_only_so_long() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"experiment": {"experiment_id": "1"}})

    ticks = iter(range(0, 10_000, 100))
    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://mlflow")
    mlflow = Mlflow(client, clock=lambda: float(next(ticks)))
    mlflow.get("experiments/get-by-name")
    with pytest.raises(Exception, match="wasn't done after 120 s"):
        mlflow.get("experiments/get-by-name")


def test_the_token_lets_in_and_is_never_told() -> None:
    seen: list[str | None] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b'{"error_code": "PERMISSION_DENIED", "message": "no"}')

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = settings_of(f"http://127.0.0.1:{server.server_port}", mlflow_tracking_token=TOKEN)
        with pytest.raises(tracking_module.Refused, match="403: PERMISSION_DENIED no") as refusal:
            track(settings, "run-1", trained(), SECONDS)
        server.shutdown()
    assert seen == [f"Bearer {TOKEN}"]
    assert TOKEN not in str(refusal.value) + repr(settings)


def test_a_server_that_passes_no_artifacts_on_is_told_of() -> None:
    mlflow = Mlflow(httpx.Client(), clock=time.monotonic)
    with pytest.raises(tracking_module.Refused, match=r"keeps artifacts under s3: .*--serve-artifacts"):
        mlflow.upload("s3://bucket/1/abc/artifacts", "report.html", b"")


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/x", "databricks", "http://user:word@mlflow:5000"])
def test_only_addresses_of_servers_are_taken(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_URI"):
        settings_of(uri)
