"""Each bundle does its work from its zip, in an environment that holds its locked packages and nothing else.

Two functions are tried in every run, the largest and the smallest; all of them with SMOKE=all (`make smoke`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from infra.bundle import build
from infra.bundle.__main__ import ENVIRONMENTS
from infra.catalogue import read_catalogue, source_of
from infra.emulators.processes import free_port
from infra.environments import Environment, environment
from shared.access.api_keys import ApiKeys
from shared.access.roles import Role
from shared.config import load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from shared.serving.scoring_records import SymbolsRequest
from tests.conftest import ADMIN_KEY
from tests.emulators import Emulators
from tests.functions.payloads import sample
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.packages import active

ALL = sorted(read_catalogue().functions)
CHOSEN = ALL if os.environ.get("SMOKE") == "all" else ["docs", "predict"]

START = "functions-framework"
"""What Cloud Functions starts, in the bundle's folder; it reads FUNCTION_*, HOST and PORT."""

START_SECONDS = 60.0
STOP_SECONDS = 15.0

Ask = tuple[str, str, object]

INVITED = {"email": "grace@example.com", "role": "viewer"}

ASKED: Mapping[str, Sequence[Ask]] = {
    "accounts": [("POST", "/auth/invitations", INVITED), ("GET", "/auth/users", None)],
    "admin": [("GET", "/admin/audit", None), ("GET", "/admin/audit/export", None)],
    "alerts": [("POST", "/alerts/test", {}), ("GET", "/alerts", None)],
    "audit": [],
    "batch_predict": [("POST", "/predict/batch", {"symbols": ["ABC"]})],
    "deadletters": [("GET", "/admin/deadletters", None)],
    "docs": [("GET", "/openapi.json", None), ("GET", "/docs/assets/swagger-ui.css", None)],
    "drift": [("POST", "/admin/drift", {})],
    "features": [("GET", "/features?symbol=ABC", None)],
    "fetch": [("POST", "/fetch", {"symbols": ["ABC"]}), ("GET", "/candles?symbol=ABC", None)],
    "inference": [("GET", "/v2", None), ("GET", "/v1/models", None)],
    "models": [("GET", "/models", None), ("GET", "/models/market-signal/promotions", None)],
    "monitoring": [
        ("GET", "/predictions/recent", None),
        ("GET", "/monitoring/performance", None),
        ("GET", "/monitoring/freshness", None),
        ("GET", "/metrics", None),
    ],
    "notify": [],
    "outcomes": [("POST", "/outcomes", {"outcomes": [{"prediction_id": "p1", "label": "up"}]})],
    "predict": [("GET", "/predict?symbol=ABC", None)],
    "problems": [("GET", "/problems", None), ("GET", "/problems/heart_disease", None)],
    "reports": [("POST", "/admin/reports", {"kind": "weekly"}), ("GET", "/reports", None)],
    "schedules": [("GET", "/admin/schedules", None)],
    "scoring": [
        ("POST", "/predict/jobs", {"symbols": ["ABC"]}),
        ("GET", "/predict/jobs", None),
        ("GET", "/predict/jobs/s1/files", None),
        ("GET", "/predict/jobs/s1/files/scores/task-0-part-00000.parquet", None),
    ],
    "training": [
        ("POST", "/admin/train", {"problem": "market_signal"}),
        ("GET", "/admin/train/status", None),
    ],
    "uploads": [("GET", "/models/uploads", None)],
    "watch": [("POST", "/admin/watch", {})],
}
"""One request or two of each function, which between them use all that its lock is for."""

TAKEN: Mapping[str | None, Mapping[str, object]] = {
    "alerts.raised": sample("alerts.raised").data,
    "candles.requested": {"symbols": ["ABC"]},
    "candles.updated": {"timeframe": "1d", "added": {"ABC": 1}},
    "dead.letters": {"symbols": ["ABC"]},
    "drift.requested": {},
    "measurements.made": sample("measurements.made").data,
    "predictions.made": {"prediction_id": "p1", "symbol": "ABC", "made_at": "2026-01-02T03:04:05Z"},
    "watch.requested": {},
}
"""What an event of a topic may hold. Those that start jobs aren't tried: there are none here."""

EVENT = {
    "specversion": "1.0",
    "id": "e1",
    "source": "//smoke",
    "time": "2026-01-02T03:04:05Z",
}


@dataclass(frozen=True)
class Deployed:
    """A function that runs as it is deployed."""

    url: str

    def ask(self, method: str, target: str, body: object = None, **headers: str) -> httpx.Response:
        return httpx.request(
            method,
            f"{self.url}{target}",
            json=body,
            headers={"x-api-key": ADMIN_KEY, **headers},
            timeout=60,
            trust_env=False,
        )


@pytest.fixture(scope="module")
def cloud(emulators: Emulators) -> Iterator[Mapping[str, str]]:
    """The environment variables of functions in a project with a live model, a scoring and an upstream."""
    chosen = emulators.ready(run_emulator_host=emulators.run, scheduler_emulator_host=emulators.scheduler)
    instance = Instance(chosen, connect(chosen))
    active(instance.registry)
    instance.scorings.create("s1", SymbolsRequest(model="market-signal-v1"))
    instance.scorings.claim("s1", 0, "worker")
    instance.platform.blobs.put("scores/s1/task=0/part-00000.parquet", b"PAR1")
    with serving(Market(candles(200))) as market:
        yield {
            **{name.upper(): str(getattr(chosen, name)) for name in chosen.model_fields_set},
            "MARKET_DATA_URL": market.url,
            "MARKET_CALENDAR": "24/7",
            "ADMIN_API_KEY": ADMIN_KEY,
            "ENV": "production",
        }


@pytest.fixture(scope="module")
def own_key(cloud: Mapping[str, str]) -> str:
    """An API key as a user has one: whose it is stands in the documents."""
    settings = load_settings(**{name.lower(): value for name, value in cloud.items()}, _env_file=None)
    keys = ApiKeys(connect(settings).documents, lambda: datetime.now(UTC))
    return keys.create("smoke", Role.ADMIN, "operator")[1].text


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    build(CHOSEN, folder)
    return folder


@contextmanager
def deployed(name: str, bundles: Path, folder: Path, settings: Mapping[str, str]) -> Iterator[Deployed]:
    """The function's zip, unpacked and started."""
    with zipfile.ZipFile(bundles / f"{name}.zip") as archive:
        archive.extractall(folder)
    made, port = packages_of(name), free_port()
    variables = {
        "PATH": f"{made.bin}:{os.defpath}",
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "FUNCTION_TARGET": "main",
        "FUNCTION_SOURCE": "main.py",
        "FUNCTION_USE_ASGI": "true",
        **settings,
    }
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            made.bin / START, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_it_listens(process, port, log)
        yield Deployed(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def packages_of(name: str) -> Environment:
    return environment(ENVIRONMENTS, source_of(name).with_name("requirements.txt"))


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"it ended with {process.returncode}: {log.read_text()}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"it doesn't listen: {log.read_text()}")


@pytest.mark.timeout(300)  # its packages are installed on first use
@pytest.mark.parametrize("name", CHOSEN)
def test_a_bundle_works_where_only_its_packages_are(
    name: str, bundles: Path, cloud: Mapping[str, str], own_key: str, tmp_path: Path
) -> None:
    with deployed(name, bundles, tmp_path / name, cloud) as function:
        health = function.ask("GET", "/health")
        assert (health.status_code, health.json()) == (200, {"status": "ok", "function": name})
        ready = function.ask("GET", "/ready")
        assert (ready.status_code, ready.json()["missing"]) == (200, {})
        for method, target, body in ASKED[name]:
            answer = function.ask(method, target, body)
            assert answer.status_code in (200, 201, 202), answer.text
        for method, target, body in ASKED[name][-1:]:
            answer = function.ask(method, target, body, **{"x-api-key": own_key})
            assert answer.status_code in (200, 201, 202), answer.text
        if (topic := read_catalogue().functions[name].topic) in TAKEN:
            event = {**EVENT, "type": topic, "data": TAKEN[topic]}
            answer = function.ask("POST", "/", event, **{"content-type": "application/cloudevents+json"})
            assert answer.status_code == 204, answer.text


@pytest.mark.timeout(300)
def test_predict_predicts(bundles: Path, cloud: Mapping[str, str], tmp_path: Path) -> None:
    with deployed("predict", bundles, tmp_path / "predict", cloud) as function:
        answer = function.ask("GET", "/api/v1/predict?symbol=ABC").json()
    assert (answer["symbol"], answer["model_id"]) == ("ABC", "market-signal-v1")
    assert 0 < answer["probability"] < 1
    assert answer["signal"] in ("up", "down", "hold")


def test_predict_carries_no_heavy_package() -> None:
    heavy = {"pandas", "scikit-learn", "scipy", "mlflow", "grpcio", "fastapi", "lightgbm", "pyarrow"}
    found = packages_of("predict").distributions()
    assert {"onnxruntime", "functions-framework"} <= found
    assert heavy & found == set()


def test_every_function_is_asked_for_something() -> None:
    assert sorted(ASKED) == ALL
