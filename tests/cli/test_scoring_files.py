"""`scorings save`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from shared.cli.app import app
from shared.cli.commands import scoring as commands
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.platform.connect import connect
from shared.serving.scoring_records import RowsRequest
from tests.cli.conftest import Mlengine, Script, answer, serving
from tests.cli.test_terminal import terminal
from tests.conftest import ADMIN_KEY as KEY
from tests.jobs.scored_rows import MODEL, as_csv, rows_table, spoilt, work
from tests.tabular_packages import registered_tabular

Json = Callable[..., tuple[int, Any]]

ID = "5b1c7a90d3e24f18b6a2c4d8e0f13579"
FILES = f"GET /predict/jobs/{ID}/files"
CONTENTS = {
    ("scores", "task-0-part-00000.parquet"): b"PAR1",
    ("scores", "task-1-part-00000.parquet"): b"PAR1, too",
    ("errors", "task-0.json"): b"[]",
}


@pytest.fixture
def files(script: Script) -> Callable[..., None]:
    """A scoring with three files, on two pages."""

    def has(status: str = "succeeded") -> None:
        listed = [listed_as(kind, name, content) for (kind, name), content in CONTENTS.items()]
        script.answers(FILES, page(listed[:1], status, "1"), page(listed[1:], status))
        for (kind, name), content in CONTENTS.items():
            script.answers(f"{FILES}/{kind}/{name}", content)

    return has


def listed_as(kind: str, name: str, content: bytes) -> dict[str, Any]:
    known = {"kind": kind, "name": name, "task": int(name[5]), "size_bytes": len(content)}
    return {**known, "sha256": hashlib.sha256(content).hexdigest(), "blob": "scores/..."}


def page(listed: list[dict[str, Any]], status: str, cursor: str | None = None) -> dict[str, Any]:
    return {"scoring_id": ID, "status": status, "files": listed, "cursor": cursor}


def saved_in(folder: Path) -> dict[tuple[str, str], bytes]:
    return {(file.parent.name, file.name): file.read_bytes() for file in folder.glob("*/*")}


def test_all_files_are_saved_and_it_is_said_how_to_read_them(
    mlengine: Mlengine, files: Callable[..., None], script: Script, tmp_path: Path
) -> None:
    files()
    result = mlengine("scorings", "save", ID, str(tmp_path / "x"))
    assert result.exit_code == 0
    assert saved_in(tmp_path / "x") == CONTENTS
    assert [seen.query for seen in script.requests(FILES)] == [{}, {"cursor": "1"}]
    first, _, rest = result.stdout.partition("\n")
    assert first == f"Saved 3 files (15 bytes) in {tmp_path}/x/."
    read = f"Next: python -c 'import pandas; print(pandas.read_parquet(\"{tmp_path}/x/scores\"))'"
    assert "".join(rest.split()) == "".join(read.split())


def test_without_a_folder_it_is_one_of_the_scorings_own(
    mlengine_json: Json, files: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files()
    monkeypatch.chdir(tmp_path)
    code, document = mlengine_json("scorings", "save", ID)
    assert (code, document["folder"], document["left"]) == (0, f"scores-{ID}", [])
    assert [(file["kind"], file["name"]) for file in document["saved"]] == list(CONTENTS)
    assert saved_in(tmp_path / f"scores-{ID}") == CONTENTS


def test_only_what_is_missing_or_broken_is_fetched_again(
    mlengine: Mlengine, files: Callable[..., None], script: Script, tmp_path: Path
) -> None:
    files()
    assert mlengine("scorings", "save", ID, str(tmp_path)).exit_code == 0
    (tmp_path / "scores" / "task-0-part-00000.parquet").write_bytes(b"PA")
    files()
    script.seen.clear()
    assert mlengine("scorings", "save", ID, str(tmp_path)).exit_code == 0
    assert [seen.path for seen in script.seen if "parquet" in seen.path or "json" in seen.path] == [
        f"/predict/jobs/{ID}/files/scores/task-0-part-00000.parquet"
    ]
    assert saved_in(tmp_path) == CONTENTS


def test_of_a_scoring_at_work_what_there_is_is_saved(
    mlengine: Mlengine, files: Callable[..., None], tmp_path: Path
) -> None:
    files("running")
    result = mlengine("scorings", "save", ID, str(tmp_path))
    assert f"Next: mlengine scorings show {ID} --follow" in result.stdout
    assert saved_in(tmp_path) == CONTENTS


def test_a_scoring_without_files_says_so(mlengine: Mlengine, script: Script, tmp_path: Path) -> None:
    script.answers(FILES, page([], "queued"))
    result = mlengine("scorings", "save", ID, str(tmp_path / "x"))
    assert result.exit_code == 1
    assert "is queued, and it has no files" in " ".join(result.stderr.split())
    assert f"Next: mlengine scorings show {ID}" in result.stderr
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_too_large_is_told_of_and_the_others_are_saved(
    mlengine: Mlengine, mlengine_json: Json, files: Callable[..., None], script: Script, tmp_path: Path
) -> None:
    large = ("scores", "task-0-part-00000.parquet")
    refusal = {
        "type": "urn:mlengine:problem:payload-too-large",
        "title": "Payload too large",
        "detail": "Copy it from where it rests: gs://bucket/scores/x.",
        "retryable": False,
    }
    files()
    script.answers(f"{FILES}/{'/'.join(large)}", refusal, status=413)
    result = mlengine("scorings", "save", ID, str(tmp_path))
    assert (result.exit_code, "Saved 2 files" in result.stdout) == (1, True)
    assert "gs://bucket/scores/x" in result.stderr
    assert saved_in(tmp_path) == {name: content for name, content in CONTENTS.items() if name != large}
    files()
    script.answers(f"{FILES}/{'/'.join(large)}", refusal, status=413)
    code, document = mlengine_json("scorings", "save", ID, str(tmp_path))
    assert (code, [file["name"] for file in document["left"]]) == (1, [large[1]])


def test_a_limit_on_calls_is_waited_for(
    mlengine: Mlengine, files: Callable[..., None], script: Script, tmp_path: Path, monkeypatch: Any
) -> None:
    limited = {"type": "urn:mlengine:problem:too-many-requests", "title": "Too many", "retryable": True}
    files()
    script.answers(f"{FILES}/errors/task-0.json", limited, status=429)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        files()

    monkeypatch.setattr(time, "sleep", pause)
    assert mlengine("scorings", "save", ID, str(tmp_path)).exit_code == 0
    assert pauses == [commands.PAUSE_SECONDS]
    assert saved_in(tmp_path) == CONTENTS


def test_a_folder_that_can_not_be_written_is_told(
    mlengine: Mlengine, files: Callable[..., None], tmp_path: Path
) -> None:
    files()
    (tmp_path / "file").write_bytes(b"")
    result = mlengine("scorings", "save", ID, str(tmp_path / "file"))
    assert (result.exit_code, "Name another folder" in " ".join(result.stderr.split())) == (1, True)
    assert "Next: mlengine scorings save" in result.stderr


def test_a_person_sees_a_bar(files: Callable[..., None], script: Script, tmp_path: Path) -> None:
    files()
    script.holds(f"{FILES}/errors/task-0.json")
    with terminal("scorings", "save", ID, str(tmp_path), "--url", script.url) as shown:
        shown.wait_for("2/3")


@pytest.mark.parametrize("state", ["succeeded", "cancelled", "failed"])
def test_what_has_ended_suggests_to_save_its_files(mlengine: Mlengine, script: Script, state: str) -> None:
    script.answers(f"GET /predict/jobs/{ID}", answer(f"scoring_{state}"))
    assert f"Next: mlengine scorings save {ID}" in mlengine("scorings", "show", ID).stdout


def test_what_has_no_files_does_not(mlengine: Mlengine, script: Script) -> None:
    done = answer("scoring_cancelled")
    done["tasks"] = []
    script.answers(f"GET /predict/jobs/{ID}", answer("scoring_running"), done)
    for _ in range(2):
        assert "Next" not in mlengine("scorings", "show", ID).stdout


@pytest.fixture
def scored(tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """The command, against the function as it deploys, with a scoring of good and bad rows that has ended."""
    settings = load_settings(mlengine_home=tmp_path / "home", admin_api_key=KEY)
    instance = Instance(settings, connect(settings))
    registered_tabular(instance.registry)
    table = spoilt(rows_table(20), "age", {3: None})
    instance.platform.blobs.put("inputs/a.csv", as_csv(table))
    instance.scorings.create(ID, RowsRequest(model=MODEL, input="inputs/a.csv", id_columns=("patient",)))
    work(instance, ID)
    use_instance(instance)
    with serving(Gateway(read_catalogue())) as url:
        yield lambda *given: CliRunner().invoke(app, [*given, "--url", url, "--api-key", KEY])


def test_what_was_scored_can_be_read(scored: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "x"
    result = scored("scorings", "save", ID, str(folder))
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(folder / "scores")
    assert len(table) == 19
    assert {"patient", "label", "probability"} <= set(table.columns)
    assert '"row": 3' in (folder / "errors" / "task-0-part-00000.jsonl").read_text()
