from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infra.emulators.processes import free_port
from infra.environments import Environment, environment
from shared.errors import OwnError

PATIENCE_SECONDS = 150.0


@pytest.fixture(scope="session")
def mlflow(request: pytest.FixtureRequest) -> Environment:
    """Real MLflow, in an environment of its own that is kept between runs."""
    cache = request.config.cache
    assert cache is not None
    try:
        return environment(cache.mkdir("mlflow"), Path(__file__).with_name("environment.txt"), locked=False)
    except OwnError as error:
        pytest.skip(f"MLflow can't be installed here: {str(error)[-500:]}")


@contextmanager
def served(mlflow: Environment, arguments: Sequence[str], folder: Path, health: str) -> Iterator[str]:
    """An MLflow server with these arguments, once it answers at `health`; gives its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {
        **{name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")},
        "PATH": f"{mlflow.bin}:{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [mlflow.python, "-m", "mlflow", *arguments, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, f"{url}{health}", folder / "server.log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # all of them; there is nothing to be saved
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2_000:]
        try:
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"MLflow doesn't answer: {log.read_text()[-2_000:]}")


@pytest.fixture(scope="session")
def tracking(mlflow: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real tracking server with a registry."""
    folder = tmp_path_factory.mktemp("tracking")
    arguments = [
        *("server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts"), "--workers", "1"),
    ]
    with served(mlflow, arguments, folder, "/health") as url:
        yield url
