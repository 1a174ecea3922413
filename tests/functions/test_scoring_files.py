"""The files of scorings, as they are listed and fetched."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from shared.access.roles import Role
from shared.errors import PayloadTooLarge
from shared.serving import scoring_files
from shared.serving.scoring_files import read_file
from shared.serving.scoring_records import RowsRequest, SymbolsRequest
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.functions.users import key_of
from tests.jobs.scored_rows import MODEL, as_csv, rows_table, spoilt, work
from tests.tabular_packages import registered_tabular

PART = "scores/task-0-part-00000.parquet"
BAD_ROWS = "errors/task-0-part-00000.jsonl"


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    """An engine with a scoring of two files, of which the first has a bad row: a task for each."""
    engine = start()
    registered_tabular(engine.instance.registry)
    for name, table in (("a", spoilt(rows_table(9), "age", {3: None})), ("b", rows_table(5, 1))):
        engine.instance.platform.blobs.put(f"inputs/x/{name}.csv", as_csv(table))
    engine.instance.scorings.create("s1", RowsRequest(model=MODEL, input="inputs/x/", tasks=2))
    work(engine.instance)
    return engine


def listed(engine: Engine, scoring_id: str = "s1", **query: str) -> dict[str, Any]:
    path = f"/predict/jobs/{scoring_id}/files"
    answer: dict[str, Any] = ok(engine["scoring"].get(path, params=query, headers=KEY))
    return answer


def fetch(engine: Engine, file: str, scoring_id: str = "s1", headers: dict[str, str] = KEY) -> Any:
    return engine["scoring"].get(f"/predict/jobs/{scoring_id}/files/{file}", headers=headers)


def test_scores_and_errors_are_listed_apart_as_the_blobs_know_them(engine: Engine) -> None:
    answer = listed(engine)
    assert (answer["scoring_id"], answer["status"], answer["cursor"]) == ("s1", "succeeded", None)
    assert [(file["kind"], file["name"], file["task"]) for file in answer["files"]] == [
        ("scores", "task-0-part-00000.parquet", 0),
        ("errors", "task-0-part-00000.jsonl", 0),
        ("scores", "task-1-part-00000.parquet", 1),
    ]
    known = {
        blob.name: (blob.size_bytes, blob.sha256) for blob in engine.instance.platform.blobs.list("scores/")
    }
    assert len(known) == 4
    for file in answer["files"]:
        assert known[file["blob"]] == (file["size_bytes"], file["sha256"])
    shown = ok(engine["scoring"].get("/predict/jobs/s1", headers=KEY))
    parts = {part["name"] for task in shown["tasks"] for part in task["parts"]}
    assert parts == {file["blob"] for file in answer["files"] if file["kind"] == "scores"}


def test_each_listed_file_is_given_as_it_was_written(engine: Engine) -> None:
    for file in listed(engine)["files"]:
        response = fetch(engine, f"{file['kind']}/{file['name']}")
        assert response.status_code == 200
        assert hashlib.sha256(response.content).hexdigest() == file["sha256"]
        assert response.headers["content-disposition"] == f'attachment; filename="{file["name"]}"'
        assert response.headers["content-length"] == str(file["size_bytes"])


def test_scores_are_parquet_and_bad_rows_json_lines(engine: Engine) -> None:
    response = fetch(engine, PART)
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    assert pq.read_table(io.BytesIO(response.content)).num_rows == 8
    response = fetch(engine, BAD_ROWS)
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["row"] for line in response.text.splitlines()] == [3]


def test_files_of_a_scoring_of_symbols_at_work(engine: Engine) -> None:
    scorings, blobs = engine.instance.scorings, engine.instance.platform.blobs
    scorings.create("s2", SymbolsRequest(model="market-signal-v1", tasks=12))
    assert (listed(engine, "s2")["status"], listed(engine, "s2")["files"]) == ("queued", [])
    scorings.start("s2")
    names = ("symbols.json", "task=1/part-00000.parquet", "errors/task=1.json", "errors/task=11.json")
    for name in names:
        blobs.put(f"scores/s2/{name}", name.encode())
    for index in (1, 11):
        task = scorings.claim("s2", index, "worker")
        scorings.beat(replace(task, errors_file=f"scores/s2/errors/task={index}.json"))
    answer = listed(engine, "s2")
    found = {f"{file['kind']}/{file['name']}": file["task"] for file in answer["files"]}
    expected = {"scores/task-1-part-00000.parquet": 1, "errors/task-1.json": 1, "errors/task-11.json": 11}
    assert (answer["status"], found) == ("running", expected)
    response = fetch(engine, "errors/task-11.json", "s2")
    assert (response.headers["content-type"], response.text) == ("application/json", "errors/task=11.json")


def test_many_files_are_listed_page_by_page(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = listed(engine)["files"]
    monkeypatch.setattr(scoring_files, "PAGE_FILES", 2)
    first = listed(engine)
    rest = listed(engine, cursor=first["cursor"])
    assert (len(first["files"]), rest["cursor"]) == (2, None)
    assert [*first["files"], *rest["files"]] == whole
    response = engine["scoring"].get("/predict/jobs/s1/files?cursor=-1", headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == ["?cursor"]


@pytest.mark.parametrize(
    "file",
    [
        *("scores/task-0-part-00001.parquet", "scores/task-9-part-00000.parquet", "scores/task-0.parquet"),
        *("errors/task-0-part-00000.parquet", "scores/task-0-part-00000.jsonl", "errors/task-0.json"),
        *("scores/plan.json", "x/task-0-part-00000.parquet", "scores/task=0-part-00000.parquet"),
        *("scores/..%2Fplan.json", "scores/task-0-part-00000.parquet%0A", "plans/plan.json"),
    ],
)
def test_what_is_no_file_of_it_is_not_found(engine: Engine, file: str) -> None:
    problem(fetch(engine, file), 404, "not-found")


def test_a_name_that_is_none_leads_to_the_list(engine: Engine) -> None:
    told = problem(fetch(engine, "scores/plan.json"), 404, "not-found")["detail"]
    assert told == (
        "The scoring 's1' has no file 'scores/plan.json'; GET /predict/jobs/s1/files lists those that it has."
    )
    problem(fetch(engine, PART, "nope"), 404, "not-found")
    problem(engine["scoring"].get("/predict/jobs/nope/files", headers=KEY), 404, "not-found")


def test_of_a_file_that_no_answer_holds_its_place_is_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = [file for file in listed(engine)["files"] if file["kind"] == "errors"]
    monkeypatch.setattr(scoring_files, "MAX_FILE_BYTES", file["size_bytes"])
    assert fetch(engine, BAD_ROWS).status_code == 200
    told = problem(fetch(engine, PART), 413, "payload-too-large")["detail"]
    assert f"bytes, an answer holds at most {file['size_bytes']:,}" in told
    (kept,) = Path(told.partition("the one file in ")[2].removesuffix(".")).iterdir()
    assert kept.read_bytes() == engine.instance.platform.blobs.get("scores/s1/task=0/part-00000.parquet")


def test_in_the_cloud_its_place_is_in_the_bucket(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_files, "MAX_FILE_BYTES", 1)
    settings = engine.settings.model_copy(update={"blobs_url": "gs://some-bucket"})
    with pytest.raises(PayloadTooLarge, match=r"gs://some-bucket/scores/s1/task=0/part-00000"):
        read_file(engine.instance.platform.blobs, settings, "s1", *PART.split("/"))


def test_only_who_is_told_of_a_scoring_may_fetch_its_files(engine: Engine) -> None:
    ann, bob = (key_of(engine, name, Role.OPERATOR) for name in ("ann", "bob"))
    upload = {"params": {"name": "inputs/mine.csv"}, "content": as_csv(rows_table(5))}
    headers = {**ann, "content-type": "text/csv"}
    name = ok(engine["scoring"].post("/predict/jobs/inputs", headers=headers, **upload), 201)["input"]
    body = {"model": MODEL, "input": name}
    asked = ok(engine["scoring"].post("/predict/jobs", json=body, headers=ann), 202)["scoring_id"]
    work(engine.instance, asked)
    other = key_of(engine, "ann", Role.OPERATOR, models=("market-signal",))
    for who, is_told in ((ann, True), (KEY, True), (bob, False), (other, False), ({}, False)):
        for response in (
            engine["scoring"].get(f"/predict/jobs/{asked}/files", headers=who),
            fetch(engine, PART, asked, who),
        ):
            assert response.status_code == (200 if is_told else 404)
            assert is_told or problem(response, 404, "not-found")
