"""Against a server of this machine that keeps services and their traffic as the Run Admin API does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.catalogue import read_catalogue
from infra.traffic import main
from tests.cli.conftest import serving

LATEST = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
PLACE = "/v2/projects/a-project/locations/europe-west1/services"


def pinned(revision: str, percent: int = 100) -> dict[str, Any]:
    return {
        "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
        "revision": revision,
        "percent": percent,
    }


class Run:
    """Services by name: their revisions, oldest first, and where their traffic goes."""

    def __init__(self) -> None:
        self.revisions: dict[str, list[str]] = {}
        self.traffic: dict[str, list[dict[str, Any]]] = {}
        self.changed: list[str] = []

    def deploy(self, *services: str) -> None:
        """As the deployment of a function: a new revision, to which all traffic goes."""
        for service in (f"mlengine-{name}" for name in services):
            known = self.revisions.setdefault(service, [])
            known.append(f"{service}-0000{len(known) + 1}")
            self.traffic[service] = LATEST

    def app(self) -> Starlette:
        return Starlette(routes=[Route(f"{PLACE}/{{name}}", self.answer, methods=["GET", "PATCH"])])

    async def answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.revisions:
            return JSONResponse({"error": {"message": f"no service {name}"}}, 404)
        if request.method == "PATCH":
            assert request.query_params["updateMask"] == "traffic"
            traffic = (await request.json())["traffic"]
            if unknown := [t["revision"] for t in traffic if t["revision"] not in self.revisions[name]]:
                return JSONResponse({"error": {"message": f"no revision {unknown[0]}"}}, 400)
            self.traffic[name] = traffic
            self.changed.append(name)
        latest = f"{PLACE}/{name}/revisions/{self.revisions[name][-1]}"
        return JSONResponse({"name": name, "latestReadyRevision": latest, "traffic": self.traffic[name]})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    run = Run()
    with serving(run.app()) as url:
        monkeypatch.setenv("PLATFORM", "emulators")
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
        monkeypatch.setenv("RUN_EMULATOR_HOST", url.removeprefix("http://"))
        yield run


def test_a_restore_brings_back_what_served_before(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "before" / "traffic.json"
    run.deploy("predict", "batch-predict", "models")
    assert main(["save", str(file)]) == 0
    run.deploy("predict", "batch-predict")
    assert main(["restore", str(file)]) == 0
    assert run.traffic["mlengine-predict"] == [pinned("mlengine-predict-00001")]
    assert run.traffic["mlengine-batch-predict"] == [pinned("mlengine-batch-predict-00001")]
    assert run.changed == ["mlengine-batch-predict", "mlengine-predict"], "what wasn't deployed is left alone"


def test_a_split_comes_back_as_it_was(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "traffic.json"
    run.deploy("predict", "predict")
    split = [pinned("mlengine-predict-00001", 90), pinned("mlengine-predict-00002", 10)]
    run.traffic["mlengine-predict"] = split
    main(["save", str(file)])
    run.deploy("predict")
    assert main(["restore", str(file)]) == 0
    assert run.traffic["mlengine-predict"] == split


def test_services_that_are_new_stay_as_they_are(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "traffic.json"
    assert main(["save", str(file)]) == 0
    run.deploy(*(name.replace("_", "-") for name in read_catalogue().functions))
    assert main(["restore", str(file)]) == 0
    assert run.changed == []


def test_others_services_are_nobodys_business(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "traffic.json"
    run.deploy("shop", "predict")
    run.revisions["predict"], run.traffic["predict"] = ["predict-00001"], LATEST
    main(["save", str(file)])
    assert sorted(json.loads(file.read_text())) == ["mlengine-predict"]


def test_one_that_cannot_be_restored_does_not_keep_the_others_back(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "traffic.json"
    run.deploy("audit", "predict")
    main(["save", str(file)])
    run.revisions["mlengine-audit"] = ["mlengine-audit-00009"]
    run.deploy("predict")
    assert main(["restore", str(file)]) == 1
    assert "no revision mlengine-audit-00001" in " ".join(capsys.readouterr().out.split())
    assert run.traffic["mlengine-predict"] == [pinned("mlengine-predict-00001")]


def test_without_a_note_nothing_can_be_restored(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", str(tmp_path / "traffic.json")]) == 1
    assert "restore failed" in capsys.readouterr().out
