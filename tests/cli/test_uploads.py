"""`models upload`, `uploads`, `describe`, `delete`, `stats`, `history`: against the engine, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from shared.cli.app import app
from shared.cli.commands import uploads
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.jobs.convert import ConversionJob
from shared.jobs.task import Task
from shared.platform.connect import connect
from tests.cli.conftest import serving
from tests.uploads.graphs import logistic, logistic_answers
from tests.uploads.made import COLUMNS, said

KEY = "an-admin-key-for-tests"

Command = Callable[..., Result]


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    settings = load_settings(mlengine_home=tmp_path / "home", admin_api_key=KEY)
    return Instance(settings, connect(settings))


@pytest.fixture
def mlengine(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs the command against the engine; `code` is the exit code to expect."""
    use_instance(instance)
    monkeypatch.setenv("COLUMNS", "140")
    with serving(Gateway(read_catalogue())) as url:

        def run(*arguments: str, code: int = 0) -> Result:
            result = CliRunner().invoke(app, [*arguments, "--url", url, "--api-key", KEY])
            assert result.exit_code == code, result.output
            return result

        yield run


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """The files of an upload, as arguments."""
    (tmp_path / "model.onnx").write_bytes(logistic().SerializeToString())
    (tmp_path / "columns.json").write_text(json.dumps(COLUMNS))
    (tmp_path / "rows.json").write_text(json.dumps(said("onnx", logistic_answers())["examples"]))
    return [
        str(tmp_path / "model.onnx"),
        *("--name", "mine", "--class", "absent", "--class", "present"),
        *("--schema", str(tmp_path / "columns.json"), "--examples", str(tmp_path / "rows.json")),
    ]


def newest(mlengine: Command) -> dict[str, Any]:
    listed = json.loads(mlengine("models", "uploads", "--json").stdout)
    found: dict[str, Any] = listed["uploads"][0]
    return found


def test_a_model_is_uploaded_and_looked_after(
    mlengine: Command, instance: Instance, given: list[str]
) -> None:
    result = mlengine("models", "upload", *given, "--no-follow", "--description", "Old", "--tag", "heart")
    assert "is queued" in result.stderr
    upload = newest(mlengine)
    assert (upload["status"], upload["format"]) == ("queued", "onnx")
    ConversionJob(instance, Task()).work_on(upload["upload_id"])
    shown = mlengine("models", "uploads", "show", upload["upload_id"], "--follow").stdout
    assert "succeeded  mine-v1" in shown
    assert "✓ 10 examples" in shown
    assert "Next: mlengine activate mine-v1 --reason" in shown
    assert "mine-v1" in mlengine("models", "uploads").stdout
    described = mlengine(
        "models", "describe", "mine-v1", "--description", "Who is ill", "--tag", "new"
    ).stdout
    assert ("Who is ill" in described, "new" in described, "heart" in described) == (True, True, False)
    shown = mlengine("models", "show", "mine-v1").stdout
    assert ("no gate has judged it" in shown, "Who is ill" in shown, "Gates" in shown) == (True, True, False)
    refused = mlengine("activate", "mine-v1", code=1).stderr
    assert "human's word" in refused
    assert "Next: mlengine activate mine-v1 --reason '...'" in refused
    mlengine("activate", "mine-v1", "--reason", "compared")
    assert "is live" in mlengine("models", "delete", "mine-v1", code=1).stderr
    history = mlengine("models", "history", "mine").stdout
    assert [word in history for word in ("registered", "edited", "activated", "compared")] == [True] * 4
    stats = mlengine("models", "stats", "mine").stdout
    assert ("mine-v1  over 1d" in stats, "0, 0 failed" in stats) == (True, True)


def test_a_large_file_is_put_to_its_own_address(
    mlengine: Command, instance: Instance, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_DIRECT_BYTES", 10)
    mlengine("models", "upload", *given, "--no-follow")
    upload = newest(mlengine)
    assert upload["status"] == "queued"
    ConversionJob(instance, Task()).work_on(upload["upload_id"])
    assert newest(mlengine)["version_id"] == "mine-v1"
    assert "archived" in mlengine("models", "delete", "mine-v1").stdout
    assert mlengine("models").stdout.startswith("No models yet.")


def test_a_refused_model_fails_the_command_with_its_reasons(
    mlengine: Command, instance: Instance, given: list[str], tmp_path: Path
) -> None:
    wrong = said("onnx", logistic_answers()[:, ::-1])["examples"]
    (tmp_path / "rows.json").write_text(json.dumps(wrong))
    mlengine("models", "upload", *given, "--no-follow")
    upload = newest(mlengine)
    ConversionJob(instance, Task()).work_on(upload["upload_id"])
    shown = mlengine("models", "uploads", "show", upload["upload_id"], "--follow", code=1).stdout
    assert "The other way round they agree" in " ".join(shown.split())


def test_wrong_usage_is_told(mlengine: Command, given: list[str], tmp_path: Path) -> None:
    strange = tmp_path / "model.bin"
    strange.write_bytes(b"x")
    assert "--format" in mlengine("models", "upload", str(strange), *given[1:], code=2).stderr
    (tmp_path / "columns.json").write_text("name: yaml")
    assert "must be a JSON list" in mlengine("models", "upload", *given, code=1).stderr
    assert "--description or --tag" in mlengine("models", "describe", "mine-v1", code=2).stderr
    (tmp_path / "columns.json").write_text(json.dumps(COLUMNS))
    strange = tmp_path / "model.onnx"
    strange.write_bytes(b"\x80\x04.")
    assert "a pickle" in " ".join(mlengine("models", "upload", *given, code=1).stderr.split())


@pytest.mark.parametrize("ending", ["pkl", "PICKLE", "joblib"])
def test_what_is_called_as_pickles_are_is_told_how_to_convert(
    mlengine: Command, given: list[str], tmp_path: Path, ending: str
) -> None:
    pickled = tmp_path / f"model.{ending}"
    pickled.write_bytes(b"\x80\x04.")
    told = " ".join(mlengine("models", "upload", str(pickled), *given[1:], code=2).stderr.split())
    assert "Convert it where it was trained" in told
