"""A Prometheus of the system's, for tests; and the queries in the rules and dashboards.

Where it isn't installed, tests are skipped, saying how to get it; with REQUIRE_PROMETHEUS=1 they fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from infra.catalogue import ROOT

FOLDER: Final = ROOT / "infra" / "grafana"
RULES: Final = FOLDER / "rules.yaml"
CONFIGURATION: Final = FOLDER / "prometheus.yaml"
DASHBOARDS: Final = tuple(sorted((FOLDER / "dashboards").glob("*.json")))
START_SECONDS: Final = 30.0


def need_prometheus() -> None:
    """Skip the test, or fail it in CI, where Prometheus and its tool aren't installed."""
    lacking = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if lacking:
        required = os.environ.get("REQUIRE_PROMETHEUS") == "1"
        words = f"{' and '.join(lacking)} missing (Debian, Ubuntu: apt install prometheus)"
        (pytest.fail if required else pytest.skip)(f"not run with Prometheus: {words}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: `name` is what it records, or its alert."""

    name: str
    expr: str
    is_alert: bool
    fields: dict[str, Any]


def rules() -> list[Rule]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    found = [one for group in groups for one in group["rules"]]
    return [Rule(one.get("alert") or one["record"], one["expr"], "alert" in one, one) for one in found]


def panels() -> list[tuple[str, dict[str, Any]]]:
    """Each panel with where it is, for messages."""
    return [
        (f"{file.name}: {panel['title']}", panel)
        for file in DASHBOARDS
        for panel in json.loads(file.read_text())["panels"]
    ]


class Prometheus:
    """The HTTP API of a running one."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=10)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query, which must be understood."""
        result: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return result

    def names(self) -> set[str]:
        """Of the metrics that there are."""
        return set(self._get("label/__name__/values"))

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def is_ready(self) -> bool:
        try:
            return self._client.get("status/buildinfo").status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str, **parameters: str) -> Any:
        response = self._client.get(path, params=parameters)
        assert response.status_code == 200, f"{parameters}: {response.text}"
        return response.json()["data"]


@contextmanager
def running_prometheus(folder: Path, target: str, port: int) -> Iterator[Prometheus]:
    """One that scrapes `target` each second with the configuration that is shipped."""
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(RULES)]
    (scraped,) = configuration["scrape_configs"]
    scraped["static_configs"] = [{"targets": [target]}]
    file, log = folder / "prometheus.yaml", folder / "prometheus.log"
    file.write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{port}"
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], stdout=output, stderr=subprocess.STDOUT
        )
    prometheus = Prometheus(f"http://{address}")
    try:
        end = time.monotonic() + START_SECONDS
        while not prometheus.is_ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, f"Prometheus didn't start:\n{log.read_text()}"
            time.sleep(0.05)
        yield prometheus
    finally:
        prometheus.close()
        process.terminate()
        process.wait(10)
