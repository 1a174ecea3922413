from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.access.roles import Role
from shared.platform.ports import Event, JobState
from shared.platform.topics import DEAD_LETTER_REASON
from shared.serving.scoring_inputs import FOLDER
from shared.serving.scoring_records import SymbolsRequest
from shared.serving.scorings import Scorings
from tests.contracts.workers import wait_for
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.functions.users import key_of
from tests.jobs.scored_rows import as_csv, as_parquet, rows_table
from tests.packages import registered
from tests.tabular_packages import registered_tabular

MODEL = "market-signal-v1"


@pytest.fixture
def engine(live: None, start: Callable[..., Engine]) -> Engine:
    return start()


def post(engine: Engine, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["scoring"].post(path, json=body, headers=KEY), status)
    return answer


def get(engine: Engine, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["scoring"].get(path))
    return answer


def asked_for(engine: Engine, **body: Any) -> str:
    """The id of a scoring that was asked for."""
    scoring_id: str = post(engine, "/predict/jobs", body, 202)["scoring_id"]
    return scoring_id


def started(engine: Engine) -> list[str]:
    """What each job process has noted: its process id and its arguments."""
    file = engine.home / "started"
    return file.read_text().splitlines() if file.exists() else []


def scorings(engine: Engine) -> Scorings:
    return engine.instance.scorings


def scheduled(engine: Engine, data: dict[str, Any], id: str = "e1") -> None:
    engine.events.publish(
        "scoring.requested", [Event(id, "//test", "scoring.requested", datetime.now(UTC), data)]
    )


def test_a_request_is_queued_and_answered_at_once(engine: Engine) -> None:
    body = {"symbols": ["ABC", "a b"], "start": "2020-01-31", "end": "2020-03-01T10:00:00+02:00", "tasks": 3}
    answer = post(engine, "/predict/jobs", body, 202)
    assert (answer["status"], answer["model_id"]) == ("queued", MODEL)
    assert answer["request"] == {
        "symbols": ["ABC", "a b"],
        "model": MODEL,
        "start": "2020-01-31T00:00:00Z",
        "end": "2020-03-01T08:00:00Z",
        "tasks": 3,
    }
    shown = get(engine, f"/predict/jobs/{answer['scoring_id']}")
    assert {name: shown[name] for name in answer} == answer
    assert (shown["tasks"], shown["progress"]["tasks"], shown["progress"]["items"]) == ([], 3, 0)
    assert started(engine) == []
    (delivery,) = engine.events.claim("scoring", 9, 0, engine.instance.platform.now())
    assert delivery.event.data == {"scoring_id": answer["scoring_id"], **answer["request"]}


def test_the_job_starts_once_with_its_tasks_however_often_the_event_comes(engine: Engine) -> None:
    scoring_id = asked_for(engine, tasks=2)
    (delivery,) = engine.events.claim("scoring", 1, 0, engine.instance.platform.now())
    engine.events.publish("scoring.requested", [delivery.event, delivery.event])
    wait_for(lambda: engine.deliver("scoring") == 0)
    wait_for(lambda: len(started(engine)) == 2)
    assert engine.jobs.status(scoring_id).state is JobState.RUNNING
    engine.jobs.close()
    assert [line.split()[1:] for line in started(engine)] == [["--scoring", scoring_id]] * 2
    assert engine.dead_letters("scoring") == []


def test_what_is_live_at_the_request_is_what_scores(engine: Engine) -> None:
    scoring_id = asked_for(engine)
    newer = registered(engine.instance.registry, 1)
    engine.instance.registry.activate(newer.id, by="test", allow_failed_gates=True)
    engine.deliver("scoring")
    assert get(engine, f"/predict/jobs/{scoring_id}")["model_id"] == MODEL
    assert post(engine, "/predict/jobs", {}, 202)["model_id"] == newer.id
    assert post(engine, "/predict/jobs", {"model": MODEL}, 202)["model_id"] == MODEL


def test_a_scheduled_event_lends_its_id_and_pins_its_model_when_it_first_comes(engine: Engine) -> None:
    scheduled(engine, {"tasks": 2}, "daily-1")
    engine.deliver("scoring")
    newer = registered(engine.instance.registry, 1)
    engine.instance.registry.activate(newer.id, by="test", allow_failed_gates=True)
    scheduled(engine, {"tasks": 2}, "daily-1")
    wait_for(lambda: engine.deliver("scoring") == 0)
    (scoring,) = get(engine, "/predict/jobs")["scorings"]
    assert (scoring["scoring_id"], scoring["model_id"], scoring["request"]["tasks"]) == ("daily-1", MODEL, 2)
    assert engine.jobs.status("daily-1").state is JobState.RUNNING
    assert engine.dead_letters("scoring") == []


def test_an_event_whose_id_can_name_no_execution_still_starts_one(engine: Engine) -> None:
    for _ in range(2):
        scheduled(engine, {}, "daily/2024-01-31T02:00:00+00:00")
    wait_for(lambda: engine.deliver("scoring") == 0)
    (scoring,) = get(engine, "/predict/jobs")["scorings"]
    assert len(scoring["scoring_id"]) == 64


def test_an_id_belongs_to_one_request(engine: Engine) -> None:
    scheduled(engine, {"scoring_id": "s1", "tasks": 2})
    engine.deliver("scoring")
    scheduled(engine, {"scoring_id": "s1", "tasks": 3})
    for _ in range(2):
        engine.deliver("scoring")
    assert get(engine, "/predict/jobs/s1")["request"]["tasks"] == 2
    assert len(engine.dead_letters("scoring")) == 1


def test_progress_parts_and_errors_are_shown(engine: Engine) -> None:
    scoring_id = asked_for(engine, tasks=2)
    engine.deliver("scoring")
    scorings(engine).start(scoring_id)
    task = scorings(engine).claim(scoring_id, 1, "worker")
    scorings(engine).beat(replace(task, items=10, scored=4, failed=1, rows=40))
    shown = get(engine, f"/predict/jobs/{scoring_id}")
    assert shown["status"] == "running"
    assert shown["progress"] == {
        "tasks": 2,
        "tasks_begun": 1,
        "tasks_ended": 0,
        "items": 10,
        "scored": 4,
        "failed": 1,
        "rows": 40,
    }
    assert [(task["index"], task["attempts"]) for task in shown["tasks"]] == [(1, 1)]


def test_a_scoring_whose_processes_vanished_has_failed(engine: Engine) -> None:
    scoring_id = asked_for(engine)
    engine.deliver("scoring")
    wait_for(lambda: bool(started(engine)))
    scorings(engine).start(scoring_id)
    killed: set[str] = set()

    def kill_all() -> bool:
        for line in set(started(engine)) - killed:
            os.kill(int(line.split()[0]), signal.SIGKILL)
            killed.add(line)
        return bool(get(engine, f"/predict/jobs/{scoring_id}")["status"] != "running")

    wait_for(kill_all)
    ended = get(engine, f"/predict/jobs/{scoring_id}")
    assert (ended["status"], "signal 9" in ended["error"]) == ("failed", True)
    assert get(engine, "/predict/jobs")["scorings"][0]["status"] == "failed"


def test_a_running_scoring_is_stopped_on_request(engine: Engine) -> None:
    scoring_id = asked_for(engine)
    engine.deliver("scoring")
    wait_for(lambda: bool(started(engine)))
    scorings(engine).start(scoring_id)
    assert post(engine, f"/predict/jobs/{scoring_id}/cancel")["cancel_requested"] is True
    wait_for(lambda: get(engine, f"/predict/jobs/{scoring_id}")["status"] == "cancelled")
    assert engine.jobs.status(scoring_id).state is JobState.CANCELLED


def test_a_cancelled_scoring_never_starts(engine: Engine) -> None:
    scoring_id = asked_for(engine)
    assert post(engine, f"/predict/jobs/{scoring_id}/cancel")["status"] == "cancelled"
    assert engine.deliver("scoring") == 1
    assert engine.jobs.status(scoring_id).state is JobState.UNKNOWN
    assert post(engine, f"/predict/jobs/{scoring_id}/cancel")["status"] == "cancelled"


def test_scorings_are_listed_newest_first_page_by_page(engine: Engine) -> None:
    ids = [asked_for(engine) for _ in range(3)]
    first = get(engine, "/predict/jobs?limit=2")
    rest = ok(engine["scoring"].get("/predict/jobs", params={"limit": 2, "cursor": first["cursor"]}))
    assert [one["scoring_id"] for one in (*first["scorings"], *rest["scorings"])] == ids[::-1]


def test_unknown_scorings_and_models_are_refused(engine: Engine) -> None:
    problem(engine["scoring"].get("/predict/jobs/nope"), 404, "not-found")
    problem(engine["scoring"].post("/predict/jobs/nope/cancel", headers=KEY), 404, "not-found")
    for model, status, kind in (("market-signal-v9", 404, "not-found"), ("other", 409, "no-active-model")):
        problem(engine["scoring"].post("/predict/jobs", json={"model": model}, headers=KEY), status, kind)
    assert engine.events.depths()["scoring"].pending == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"symbols": []}, "/symbols"),
        ({"symbols": ["ABC", "ü"]}, "/symbols/1"),
        ({"symbols": ["A"] * 5001}, "/symbols"),
        ({"symbols": "ABC"}, "/symbols"),
        ({"start": "yesterday"}, "/start"),
        ({"start": 1_577_836_800}, "/start"),
        ({"start": "2020-02-01", "end": "2020-01-31"}, "/end"),
        ({"tasks": 0}, "/tasks"),
        ({"tasks": 51}, "/tasks"),
        ({"tasks": "2"}, "/tasks"),
        ({"scoring_id": "mine"}, "/scoring_id"),
    ],
)
def test_a_wrong_request_is_pointed_at_and_starts_nothing(
    engine: Engine, body: dict[str, Any], pointer: str
) -> None:
    response = engine["scoring"].post("/predict/jobs", json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == [pointer]
    assert get(engine, "/predict/jobs")["scorings"] == []
    assert engine.events.depths()["scoring"].pending == 0


@pytest.mark.parametrize("data", [{"scoring_id": "a/b"}, {"scoring_id": 1}, {"tasks": 99}, {"x": 1}])
def test_an_event_that_is_no_request_is_refused_with_the_reason(engine: Engine, data: Any) -> None:
    scheduled(engine, data)
    for _ in range(2):
        engine.deliver("scoring")
    (dead,) = engine.dead_letters("scoring")
    assert dead.attributes[DEAD_LETTER_REASON].startswith("422: ")
    assert started(engine) == []


TABULAR = "heart-disease-v1"
CSV = {**KEY, "content-type": "text/csv"}


@pytest.fixture
def tabular(engine: Engine) -> Engine:
    """An engine with a tabular model, and a file for it."""
    registered_tabular(engine.instance.registry)
    for folder in ("inputs", "datasets"):
        engine.instance.platform.blobs.put(f"{folder}/a.parquet", as_parquet(rows_table(5)))
    return engine


def upload(engine: Engine, name: str, content: bytes, headers: dict[str, str] = CSV) -> Any:
    return engine["scoring"].post(
        "/predict/jobs/inputs", params={"name": name}, content=content, headers=headers
    )


def test_rows_of_a_file_are_asked_for(tabular: Engine) -> None:
    body = {"model": TABULAR, "input": "inputs/a.parquet", "id_columns": ["patient"], "tasks": 2}
    answer = post(tabular, "/predict/jobs", body, 202)
    assert (answer["status"], answer["unit"], answer["model_id"]) == ("queued", "rows", TABULAR)
    assert answer["request"] == body
    tabular.deliver("scoring")
    wait_for(lambda: len(started(tabular)) == 2)
    assert get(tabular, f"/predict/jobs/{answer['scoring_id']}")["request"] == body


def test_a_file_is_sent_once_and_scored_by_its_name(tabular: Engine) -> None:
    content = as_csv(rows_table(20))
    answer = ok(upload(tabular, "inputs/2024/b.csv", content), 201)
    assert (answer["input"], answer["size_bytes"]) == ("inputs/2024/b.csv", len(content))
    assert tabular.instance.platform.blobs.get("inputs/2024/b.csv", sha256=answer["sha256"]) == content
    again = ok(upload(tabular, "inputs/2024/b.csv", content), 201)
    assert (again["input"], again["sha256"]) == (answer["input"], answer["sha256"])
    problem(upload(tabular, "inputs/2024/b.csv", b"a\n"), 409, "already-exists")
    for name in ("inputs/2024/b.csv", "inputs/2024/"):
        post(tabular, "/predict/jobs", {"model": TABULAR, "input": name}, 202)


def test_what_a_user_sends_is_theirs_and_admins(tabular: Engine) -> None:
    ann, bob = (key_of(tabular, name, Role.OPERATOR) for name in ("ann", "bob"))
    content = as_csv(rows_table(5))
    name = ok(upload(tabular, "inputs/2024/b.csv", content, {**CSV, **ann}), 201)["input"]
    folder = name.removesuffix("2024/b.csv")
    assert folder.startswith("inputs/by=")
    assert ok(upload(tabular, name, content, {**CSV, **ann}), 201)["input"] == name
    assert ok(upload(tabular, "inputs/2024/b.csv", b"a\n", {**CSV, **bob}), 201)["input"] != name

    def ask(input: str, headers: dict[str, str]) -> Any:
        body = {"model": TABULAR, "input": input}
        return tabular["scoring"].post("/predict/jobs", json=body, headers=headers)

    for asked in (name, folder, f"{folder}2024/", "inputs/"):
        assert ok(ask(asked, KEY), 202)["status"] == "queued"
        told = problem(ask(asked, bob), 422, "invalid-input")
        assert (pointers(told), "isn't there" in told["detail"]) == (["/input"], True)
    problem(upload(tabular, f"{folder}c.csv", b"a\n", {**CSV, **bob}), 422, "invalid-input")
    body = {"name": f"{folder}c.csv", "size_bytes": 9}
    told = problem(
        tabular["scoring"].post("/predict/jobs/inputs/url", json=body, headers=bob), 422, "invalid-input"
    )
    assert "somebody else's folder" in told["detail"]
    assert ok(ask("inputs/a.parquet", bob), 202)["status"] == "queued"


def test_scorings_of_others_files_arent_told_of(tabular: Engine) -> None:
    ann, bob = (key_of(tabular, name, Role.OPERATOR) for name in ("ann", "bob"))
    name = ok(upload(tabular, "inputs/b.csv", as_csv(rows_table(5)), {**CSV, **ann}), 201)["input"]
    body = {"model": TABULAR, "input": name}
    asked = ok(tabular["scoring"].post("/predict/jobs", json=body, headers=ann), 202)["scoring_id"]
    for who, is_told in ((ann, True), (KEY, True), (bob, False), ({}, False)):
        listed = ok(tabular["scoring"].get("/predict/jobs", headers=who))["scorings"]
        assert [one["scoring_id"] for one in listed] == [asked] * is_told
        found = tabular["scoring"].get(f"/predict/jobs/{asked}", headers=who)
        ok(found) if is_told else problem(found, 404, "not-found")
    problem(tabular["scoring"].post(f"/predict/jobs/{asked}/cancel", headers=bob), 404, "not-found")
    assert scorings(tabular).get(asked).cancel_requested is False
    ok(tabular["scoring"].post(f"/predict/jobs/{asked}/cancel", headers=ann))


def test_a_deleted_version_scores_nothing_more(tabular: Engine) -> None:
    tabular.instance.registry.delete(TABULAR, by="test")
    body = {"model": TABULAR, "input": "inputs/a.parquet"}
    problem(tabular["scoring"].post("/predict/jobs", json=body, headers=KEY), 404, "not-found")
    assert tabular.events.depths()["scoring"].pending == 0


@pytest.mark.parametrize(
    "name",
    [
        *("b.csv", "models/b.csv", "inputs/", "inputs/b", "inputs/b.txt", "inputs/../b.csv", "inputs//b.csv"),
        *("/inputs/b.csv", "inputs/a b.csv", "inputs/.csv/../../x.csv", "INPUTS/b.csv", "inputs/b.csv/"),
    ],
)
def test_a_file_goes_nowhere_else(tabular: Engine, name: str) -> None:
    before = [blob.name for blob in tabular.instance.platform.blobs.list("")]
    assert pointers(problem(upload(tabular, name, b"a\n1\n"), 422, "invalid-input")) == ["?name"]
    body = {"name": name, "size_bytes": 10}
    response = tabular["scoring"].post("/predict/jobs/inputs/url", json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == ["/name"]
    assert [blob.name for blob in tabular.instance.platform.blobs.list("")] == before


def test_a_file_says_what_it_is_and_is_not_too_large(tabular: Engine) -> None:
    response = upload(tabular, "inputs/b.csv", b"a\n", {**KEY, "content-type": "application/zip"})
    problem(response, 415, "unsupported-media-type")
    problem(upload(tabular, "inputs/b.csv", bytes(30_000_001)), 413, "payload-too-large")
    assert pointers(problem(upload(tabular, "inputs/b.csv", b""), 422, "invalid-input")) == ["/content"]


def test_where_the_store_has_no_urls_it_is_said_what_to_do_instead(tabular: Engine) -> None:
    body = {"name": "inputs/b.csv", "size_bytes": 10**9}
    response = tabular["scoring"].post("/predict/jobs/inputs/url", json=body, headers=KEY)
    told = problem(response, 422, "invalid-input")["detail"]
    assert "in pieces below one folder, as inputs/b/1.csv" in told


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"input": "inputs/none.csv"}, "/input"),
        ({"input": "inputs/none/"}, "/input"),
        ({"input": "inputs/a.txt"}, "/input"),
        ({"input": "datasets/a.parquet"}, "/input"),
        ({"input": "datasets/"}, "/input"),
        ({"input": "inputs/../datasets/a.parquet"}, "/input"),
        ({"input": "/etc/passwd.csv"}, "/input"),
        ({"input": "gs://b/inputs/a.csv"}, "/input"),
        ({"input": ""}, "/input"),
        ({"model": MODEL}, "/input"),
        ({"model": None}, "/model"),
        ({"symbols": ["A"]}, "/symbols"),
        ({"start": "2020-01-31"}, "/start"),
        ({"end": "2020-01-31"}, "/end"),
        ({"id_columns": []}, "/id_columns"),
        ({"id_columns": ["a", "b", "a"]}, "/id_columns/2"),
        ({"input": None}, "/input"),
        ({"input": None, "id_columns": ["a"]}, "/id_columns"),
    ],
)
def test_a_wrong_request_for_rows_is_pointed_at(tabular: Engine, body: dict[str, Any], pointer: str) -> None:
    whole = {"model": TABULAR, "input": "inputs/a.parquet", **body}
    given = {name: value for name, value in whole.items() if value is not None}
    response = tabular["scoring"].post("/predict/jobs", json=given, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == [pointer]
    assert get(tabular, "/predict/jobs")["scorings"] == []
    assert tabular.events.depths()["scoring"].pending == 0


def test_a_folder_with_other_files_is_refused(tabular: Engine) -> None:
    blobs = tabular.instance.platform.blobs
    blobs.put("inputs/x/_SUCCESS", b"")
    blobs.put("inputs/x/a.csv", b"a\n")
    post(tabular, "/predict/jobs", {"model": TABULAR, "input": "inputs/x/"}, 202)
    blobs.put("inputs/x/b.csv.gz", b"")
    body = {"model": TABULAR, "input": FOLDER + "x/"}
    told = problem(tabular["scoring"].post("/predict/jobs", json=body, headers=KEY), 422, "invalid-input")
    assert "inputs/x/b.csv.gz isn't .csv or .parquet" in told["detail"]


def test_a_schedule_may_score_a_folder(tabular: Engine) -> None:
    scheduled(tabular, {"model": TABULAR, "input": "inputs/"}, "nightly-1")
    tabular.deliver("scoring")
    (scoring,) = ok(tabular["scoring"].get("/predict/jobs", headers=KEY))["scorings"]
    assert (scoring["scoring_id"], scoring["unit"]) == ("nightly-1", "rows")
    assert get(tabular, "/predict/jobs")["scorings"] == []  # in that folder are everybody's files
    assert tabular.dead_letters("scoring") == []


def test_starting_needs_an_operator_and_reading_none(engine: Engine) -> None:
    for path in ("/predict/jobs", "/predict/jobs/inputs?name=a", "/predict/jobs/x/cancel"):
        problem(engine["scoring"].post(path), 401, "unauthenticated")
    assert get(engine, "/predict/jobs")["scorings"] == []
    assert engine.events.depths()["scoring"].pending == 0


def test_the_largest_request_fits_its_document(engine: Engine) -> None:
    symbols = tuple(f"{number:04d}{'~' * 60}" for number in range(5000))
    request = SymbolsRequest(model=MODEL, symbols=symbols, tasks=50)
    assert scorings(engine).create("s1", request).request == request


def test_nothing_heavy_is_imported_with_the_function() -> None:
    heavy = ("grpc", "pandas", "pyarrow", "sklearn", "onnxruntime", "httpx")
    code = f"import functions.scoring.main, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
