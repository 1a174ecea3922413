"""The servers that are compared: the deployed `predict` function, and what one would write without it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from infra.catalogue import ROOT, source_of
from infra.environments import Environment, environment
from tests.benchmarks.servers import Launch

PEERS = Path(__file__).with_name("peers")
OURS = "mlengine predict"
OFFICIAL = "predict, Google's clients"
FASTAPI = "FastAPI + joblib + scikit-learn"
FASTAPI_LIGHTGBM = "FastAPI + joblib + LightGBM"
MLFLOW = "mlflow models serve"
MLSERVER = "MLServer"
ADMIN_KEY = "benchmark-benchmark"

_UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
_PATH = os.environ.get("PATH", os.defpath)

MANY = 1_000_000
"""Requests that a caller may make in a window: they are counted as always, and never refused."""


def ours(
    cache: Path,
    work: Path,
    home: Path,
    upstream_url: str,
    *,
    name: str = OURS,
    settings: Mapping[str, str] = {},
) -> Launch:
    """The function as it deploys: its locked packages alone, its bundle compiled, a key needed."""
    settings = {"MLENGINE_HOME": str(home), "MARKET_DATA_URL": upstream_url, **settings}
    request = _request("GET", "/predict?symbol=AAPL", {"X-API-Key": ADMIN_KEY})
    return deployed(cache, work, "predict", request, settings, name=name)


def deployed(
    cache: Path, work: Path, function: str, request: bytes, settings: Mapping[str, str], *, name: str
) -> Launch:
    """Any function as it deploys, answering `request`."""
    made = environment(cache, source_of(function).with_name("requirements.txt"))
    return Launch(
        name,
        (str(made.python), "-m", "shared.serve"),
        _bundle(work, made, function),
        {
            "PATH": _PATH,
            "PORT": "{port}",
            "FUNCTION_SOURCE": "main.py",
            "ENV": "production",
            "ADMIN_API_KEY": ADMIN_KEY,
            "RATE_LIMIT_REQUESTS": str(MANY),
            **settings,
        },
        request,
    )


def delivery(body: object) -> bytes:
    """An event's delivery to a function, with the admin's key."""
    return _post("/", body, {"X-API-Key": ADMIN_KEY})


def official_clients(cache: Path, work: Path, upstream_url: str, settings: Mapping[str, str]) -> Launch:
    """The same function, whose hot path speaks to the emulators through Google's own clients."""
    made = environment(cache, ROOT / "infra" / "requirements" / "emulators.txt")
    folder = _bundle(work, made, "predict")
    shutil.copy(PEERS / "official_clients.py", folder)
    launch = ours(cache, work, work, upstream_url, name=OFFICIAL, settings=settings)
    return replace(launch, command=(str(made.python), "official_clients.py"), folder=folder)


def fastapi(cache: Path, work: Path, rows: Path, *, name: str, estimator: str) -> Launch:
    """A row of features in, a probability out. `rows` is what the models are fitted on."""
    made = environment(cache, PEERS / "fastapi.txt", locked=False)
    model = work / f"{estimator}.joblib"
    made.run(str(PEERS / "fit.py"), str(rows), estimator, "joblib", str(model))
    return Launch(
        name,
        _uvicorn(made, "fastapi_app:app"),
        PEERS,
        {"PATH": _PATH, "MODEL": str(model), "OMP_NUM_THREADS": "1"},
        _post("/predict", {"features": _last(rows)}),
    )


def mlflow(cache: Path, work: Path, rows: Path) -> Launch:
    """MLflow's own server with a scikit-learn model, by its command line."""
    made = environment(cache, PEERS / "mlflow.txt", locked=False)
    model = work / "mlflow_model"
    made.run(str(PEERS / "fit.py"), str(rows), "hist_gradient_boosting", "mlflow", str(model))
    serve = ("--env-manager", "local", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1")
    return Launch(
        MLFLOW,
        (str(made.bin / "mlflow"), "models", "serve", "--model-uri", str(model), *serve),
        work,
        {"PATH": f"{made.bin}:{_PATH}", "OMP_NUM_THREADS": "1", "UVICORN_ACCESS_LOG": "false"},
        _post("/invocations", {"inputs": [_last(rows)]}),
    )


def mlserver(cache: Path, work: Path, rows: Path) -> Launch:
    """MLServer with a scikit-learn model in its one process, asked by the Open Inference Protocol."""
    made = environment(cache, PEERS / "mlserver.txt", locked=False)
    folder = Path(tempfile.mkdtemp(dir=work, prefix="mlserver-"))
    model = folder / "model.joblib"
    made.run(str(PEERS / "fit.py"), str(rows), "hist_gradient_boosting", "joblib", str(model))
    settings = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model), "version": "1"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    row = _last(rows)
    tensor = {"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    return Launch(
        MLSERVER,
        (str(made.bin / "mlserver"), "start", str(folder)),
        folder,
        {
            "PATH": f"{made.bin}:{_PATH}",
            "OMP_NUM_THREADS": "1",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "0",
            "MLSERVER_METRICS_PORT": "0",
            "MLSERVER_PARALLEL_WORKERS": "0",
            "MLSERVER_DEBUG": "false",
        },
        _post("/v2/models/model/infer", {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}),
    )


def rows_asked(
    cache: Path, work: Path, home: Path, function: str, path: str, body: object, *, name: str
) -> Launch:
    """One of our functions as it deploys, asked about a row with a key."""
    settings = {"MLENGINE_HOME": str(home)}
    return deployed(cache, work, function, _post(path, body, {"X-API-Key": ADMIN_KEY}), settings, name=name)


def _uvicorn(made: Environment, *application: str) -> tuple[str, ...]:
    return (str(made.python), "-m", "uvicorn", *application, "--port", "{port}", *_UVICORN)


def _bundle(work: Path, made: Environment, function: str) -> Path:
    """What deploys: the function's `main.py` with `shared` beside it, compiled."""
    folder = Path(tempfile.mkdtemp(dir=work, prefix=f"{function}-"))
    shutil.copy(source_of(function), folder)
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    made.run("-m", "compileall", "-q", str(folder))
    return folder


def _last(rows: Path) -> list[float]:
    with np.load(rows) as file:
        last: list[float] = file["x"][-1].tolist()
    return last


def _post(path: str, body: object, headers: Mapping[str, str] = {}) -> bytes:
    content = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    return _request("POST", path, headers) + content


def _request(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()
