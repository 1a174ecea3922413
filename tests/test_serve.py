from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from infra.catalogue import ROOT, source_of
from infra.emulators.processes import free_port
from shared.platform.local.events import SqliteEvents
from shared.platform.topics import TOPICS


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that runs where a function is deployed."""
    environment = os.environ | {
        "FUNCTION_SOURCE": str(source_of("monitoring")),
        "PORT": str(port),
        "MLENGINE_HOME": str(tmp_path),
    }
    with subprocess.Popen([sys.executable, "-m", "shared.serve"], cwd=ROOT, env=environment) as process:
        yield process
        process.kill()


def health(port: int, process: subprocess.Popen[bytes]) -> httpx.Response:
    """Asked until it listens."""
    while process.poll() is None:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health")
        except httpx.ConnectError:
            time.sleep(0.01)
    raise AssertionError(f"the server ended with {process.returncode}")


def test_what_was_measured_is_told_at_the_end(
    server: subprocess.Popen[bytes], port: int, tmp_path: Path
) -> None:
    """The last requests before an instance is taken away aren't lost."""
    health(port, server)
    assert httpx.get(f"http://127.0.0.1:{port}/predictions/recent").status_code == 200
    server.terminate()
    server.wait(10)
    events = SqliteEvents(tmp_path / "events.sqlite3", TOPICS)
    (delivery,) = events.claim("monitoring", 10, 60, datetime.now(UTC))
    routes = {one["route"] for one in delivery.event.data["requests"]}
    assert routes == {"GET /health", "GET /predictions/recent"}
    assert [one["function"] for one in delivery.event.data["cold_starts"]] == ["monitoring"]


def test_a_function_is_served_until_it_is_told_to_stop(server: subprocess.Popen[bytes], port: int) -> None:
    answer = health(port, server)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "function": "monitoring"}
    server.terminate()
    assert server.wait(10) in (0, -15)  # uvicorn passes the signal on when it has closed
