"""`backup`, `restore` and `migrate` on real state folders."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from shared.cli.app import app
from shared.config import load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from shared.platform.ports import Put
from tests.packages import active


def opened(home: Path) -> Instance:
    chosen = load_settings(mlengine_home=home)
    return Instance(chosen, connect(chosen))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The state folder of an engine with a live model."""
    active(opened(tmp_path / "home").registry)
    return tmp_path / "home"


def run(home: Path, *words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)], env={"MLENGINE_HOME": str(home)})


def answered(home: Path, *words: object) -> dict[str, Any]:
    result = run(home, *words, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_a_backup_comes_back_in_an_empty_folder(home: Path, tmp_path: Path) -> None:
    saved = answered(home, "backup", tmp_path / "backup")
    restored = answered(tmp_path / "other", "restore", tmp_path / "backup")
    assert restored == saved
    assert saved["documents"]["active-models"] == 1
    live = opened(tmp_path / "other").registry.active("market-signal")
    assert live is not None
    assert live.version_id == "market-signal-v1"


def test_people_read_how_much_was_saved_and_what_to_type_next(home: Path, tmp_path: Path) -> None:
    saved = run(home, "backup", tmp_path / "backup")
    assert saved.exit_code == 0
    assert "model-versions" in saved.output
    assert "mlengine restore" in saved.output
    assert "item by item" in run(tmp_path / "other", "restore", tmp_path / "backup").output


def test_a_restore_over_something_else_is_refused_in_words(home: Path, tmp_path: Path) -> None:
    run(home, "backup", tmp_path / "backup")
    opened(tmp_path / "other").platform.documents.commit([Put("runs", "r1", {"n": 1})])
    refused = run(tmp_path / "other", "restore", tmp_path / "backup")
    assert refused.exit_code == 1
    assert "runs/r1" in refused.output
    assert "Traceback" not in refused.output
    assert "Next" not in refused.output


def test_a_second_backup_in_a_folder_asks_for_another(home: Path, tmp_path: Path) -> None:
    run(home, "backup", tmp_path / "backup")
    refused = run(home, "backup", tmp_path / "backup")
    assert refused.exit_code == 1
    assert "choose another folder" in " ".join(refused.output.split())
    assert "Next" not in refused.output


def test_nothing_is_restored_below_a_running_twin(home: Path, tmp_path: Path) -> None:
    run(home, "backup", tmp_path / "backup")
    other = tmp_path / "other"
    other.mkdir()
    with (other / "twin.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = run(other, "restore", tmp_path / "backup")
    assert refused.exit_code == 1
    assert "stop it" in refused.output


def test_migrating_tells_of_each_collection(home: Path) -> None:
    collections = {one["collection"]: one for one in answered(home, "migrate")["collections"]}
    assert collections["active-models"]["seen"] == 1
    assert sum(one["rewritten"] for one in collections.values()) == 0
    assert "active-models" in run(home, "migrate").output


def test_a_mistyped_state_folder_is_not_backed_up_as_nothing(tmp_path: Path) -> None:
    refused = run(tmp_path / "mistyped", "backup", tmp_path / "backup")
    assert refused.exit_code == 1
    assert "MLENGINE_HOME" in refused.output
    assert not (tmp_path / "mistyped").exists()
    assert not (tmp_path / "backup").exists()


def test_the_state_of_this_machine_is_not_taken_for_that_of_an_engine_elsewhere(
    home: Path, tmp_path: Path
) -> None:
    def run_for(url: str, *words: object) -> Result:
        environment = {"MLENGINE_HOME": str(home), "MLENGINE_URL": url}
        return CliRunner().invoke(app, [*map(str, words)], env=environment)

    for command in ("backup", "restore"):
        refused = run_for("https://engine.example.com", command, tmp_path / "backup")
        assert refused.exit_code == 1
        assert "PLATFORM=gcp" in refused.output
    assert not (tmp_path / "backup").exists()
    assert run_for("http://127.0.0.1:8080", "backup", tmp_path / "backup").exit_code == 0


def test_a_folder_that_cannot_be_made_is_told_in_words(home: Path) -> None:
    refused = run(home, "backup", "/proc/nothing")
    assert refused.exit_code == 1
    assert "/proc/nothing" in refused.output.replace("\n", "")
    assert "report it" not in refused.output
