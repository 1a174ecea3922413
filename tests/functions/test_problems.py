from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
from pyarrow import parquet

from shared.errors import InvalidInput
from shared.registry.versions import TRAINED
from shared.tabular.table import read_table
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.problems.declarations import CHURN, csv, declaration
from tests.tabular_packages import active_tabular, tabular_package

CSV = {**KEY, "content-type": "text/csv"}
PARQUET = {**KEY, "content-type": "application/vnd.apache.parquet"}


def put(engine: Engine, **changes: Any) -> httpx.Response:
    body = declaration(**changes)
    return engine["problems"].request("PUT", f"/problems/{body['name']}", json=body, headers=KEY)


def upload(engine: Engine, content: bytes, query: str = "", headers: dict[str, str] = CSV) -> httpx.Response:
    return engine["problems"].request("PUT", f"/problems/churn/data{query}", content=content, headers=headers)


def schedules(engine: Engine) -> dict[str, Any]:
    return {state.name: state for state in engine.instance.platform.schedules.list()}


def test_built_in_problems_are_shown(engine: Engine) -> None:
    listed = ok(engine["problems"].get("/problems"))["problems"]
    assert ("market_signal", "market", True) in [
        (one["name"], one["kind"], one["built_in"]) for one in listed
    ]
    shown = ok(engine["problems"].get("/problems/market_signal"))
    assert (shown["declaration"], shown["columns"]) == (None, [])
    assert "auc_above_chance" in [gate["name"] for gate in shown["gates"]]


def test_a_problem_is_declared_shown_and_changed(engine: Engine) -> None:
    made = ok(put(engine))
    assert (made["version"], made["classes"], made["target"], made["data"]) == (
        1,
        ["stays", "leaves"],
        "left",
        None,
    )
    assert [column["name"] for column in made["columns"]] == list(CHURN["columns"])
    assert ok(engine["problems"].get("/problems/churn")) == made
    assert ok(put(engine))["version"] == 1
    changed = ok(put(engine, gates={"f1.low": 0.6}))
    assert (changed["version"], changed["created_at"]) == (2, made["created_at"])
    assert [gate["quantity"] for gate in changed["gates"]] == ["f1.low"]
    listed = ok(engine["problems"].get("/problems"))["problems"]
    assert [one["name"] for one in listed][-1] == "churn"


def test_what_is_shown_can_be_declared_again(engine: Engine) -> None:
    made = ok(put(engine, schedule="0 3 * * 1", licence="CC0", candidates=["lightgbm"]))
    assert ok(put(engine, **made["declaration"])) == made


def test_its_file_is_checked_and_kept(engine: Engine) -> None:
    put(engine)
    taken = ok(upload(engine, csv()))
    assert (taken["rows"], taken["good"], taken["bad"], taken["errors"], taken["absent"]) == (
        60,
        60,
        0,
        [],
        [],
    )
    data = taken["problem"]["data"]
    assert sum(data["classes"].values()) == data["rows"] == 60
    assert data["blob"] == f"datasets/churn/{data['sha256']}.csv"
    assert engine.instance.platform.blobs.get(data["blob"]) == csv()
    assert engine.instance.problems.get("churn").data == f"blobs:{data['blob']}"  # type: ignore[attr-defined]
    assert ok(upload(engine, csv()))["problem"]["data"]["blob"] == data["blob"]


def test_a_parquet_file_is_taken_too(engine: Engine) -> None:
    put(engine)
    written = io.BytesIO()
    parquet.write_table(read_table(csv(), "csv"), written)
    assert ok(upload(engine, written.getvalue(), headers=PARQUET))["good"] == 60


def test_rows_that_dont_fit_refuse_the_file_or_are_left_out(engine: Engine) -> None:
    put(engine)
    content = csv("-1,x,basic,true,no", "3,4.5,,false,perhaps", count=40)
    document = problem(upload(engine, content), 422, "invalid-input")
    assert pointers(document) == ["/40/months", "/40/fee", "/41/left"]
    assert "2 of 42 rows" in document["detail"]
    assert ok(engine["problems"].get("/problems/churn"))["data"] is None
    taken = ok(upload(engine, content, "?bad_rows=leave_out"))
    assert (taken["rows"], taken["good"], taken["bad"]) == (42, 40, 2)
    assert [error["pointer"] for error in taken["errors"]] == pointers(document)
    data = taken["problem"]["data"]
    assert data["blob"].endswith(".parquet")
    stored = parquet.read_table(io.BytesIO(engine.instance.platform.blobs.get(data["blob"])))
    assert len(stored) == data["rows"] == 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty"),
        (b"\xff\xfe", "UTF-8"),
        (b"months,fee\n1,2\n", "lacks columns: left"),
        (b"left,left\nno,yes\n", "two columns of one name"),
        (b"months,left\n1,no\n2,no\n3,no\n4,no\n5,no\n", "leaves has 0"),
        (b"months,left\n", "stays has 0, leaves has 0"),
    ],
)
def test_a_file_that_cant_be_learnt_from_is_refused(engine: Engine, content: bytes, said: str) -> None:
    put(engine)
    assert said in problem(upload(engine, content), 422, "invalid-input")["detail"]
    assert ok(engine["problems"].get("/problems/churn"))["data"] is None


def test_a_file_says_what_it_is(engine: Engine) -> None:
    put(engine)
    problem(
        upload(engine, csv(), headers={**KEY, "content-type": "text/html"}), 415, "unsupported-media-type"
    )


def test_a_problem_without_data_isnt_trained_yet(engine: Engine) -> None:
    put(engine)
    response = engine["training"].post("/admin/train", json={"problem": "churn"}, headers=KEY)
    assert "PUT /problems/churn/data" in problem(response, 409, "conflict")["detail"]
    ok(upload(engine, csv()))
    ok(engine["training"].post("/admin/train", json={"problem": "churn"}, headers=KEY), 202)


def test_its_schedule_trains_it_while_there_are_data(engine: Engine) -> None:
    put(engine, schedule="0 3 * * 1")
    assert schedules(engine) == {}
    ok(upload(engine, csv()))
    state = schedules(engine)["problem-churn"]
    assert (state.cron, state.topic, state.data) == (
        "0 3 * * 1",
        "training.requested",
        {"request": {"problem": "churn"}},
    )
    ok(engine["schedules"].post("/admin/schedules/problem-churn/run", headers=KEY))
    delivered = engine.events.claim("training", 10, 0, engine.instance.platform.now())
    assert [delivery.event.data for delivery in delivered] == [state.data]
    assert ok(put(engine, schedule="0 4 * * 1"))["schedule_name"] == "problem-churn"
    assert schedules(engine)["problem-churn"].cron == "0 4 * * 1"
    put(engine)
    assert schedules(engine) == {}


def test_data_stay_with_a_changed_problem_as_long_as_they_fit(engine: Engine) -> None:
    put(engine, schedule="0 3 * * 1")
    ok(upload(engine, csv()))
    assert ok(put(engine, title="Other", schedule="0 3 * * 1"))["data"]["rows"] == 60
    columns = {**CHURN["columns"], "months": {"type": "integer", "maximum": 3}}
    assert ok(put(engine, columns=columns, schedule="0 3 * * 1"))["data"] is None
    assert schedules(engine) == {}


def test_a_problem_may_name_a_file_that_is_there(engine: Engine) -> None:
    put(engine)
    data = ok(upload(engine, csv()))["problem"]["data"]
    same = ok(put(engine, name="churn_too", data=f"blobs:{data['blob']}"))
    assert same["data"]["sha256"] == data["sha256"]
    for uri in ("blobs:models/x/y.csv", "file:///etc/passwd", "churn.csv", "blobs:datasets/x.json"):
        assert pointers(problem(put(engine, data=uri), 422, "invalid-input")) == ["/data"]
    problem(put(engine, data="blobs:datasets/none.csv"), 404, "not-found")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"colums": {}}, "/colums"),
        ({"columns": {"months": {"type": "integer", "minimun": 0}}}, "/columns/months/minimun"),
        ({"columns": {"a/b": "nummer"}}, "/columns/a~1b/type"),
        ({"target": {"column": "left", "classes": [True, False]}}, "/target/classes/True/0"),
        ({"gates": {"auk": 0.5}}, "/gates/auk"),
        ({"candidates": ["lightgmb"]}, "/candidates/lightgmb"),
        (
            {"candidates": {"lightgbm": {"parameters": {"machines": "evil"}}}},
            "/candidates/lightgbm/parameters/machines",
        ),
    ],
)
def test_a_wrong_declaration_is_named_in_its_own_terms(
    engine: Engine, changes: dict[str, Any], pointer: str
) -> None:
    assert pointer in pointers(problem(put(engine, **changes), 422, "invalid-input"))


def test_a_schedule_that_never_fires_is_refused(engine: Engine) -> None:
    assert "five fields" in problem(put(engine, schedule="weekly"), 422, "invalid-input")["detail"]


@pytest.mark.parametrize("name", ["activate", "upload", "uploads", "churn_v2"])
def test_a_name_that_no_model_can_have_is_refused_before_anything_is_trained(
    engine: Engine, name: str
) -> None:
    refused = problem(put(engine, name=name), 422, "invalid-input")
    assert pointers(refused) == ["/name"]
    with pytest.raises(InvalidInput) as caught:
        engine.instance.registry.require_free(name.replace("_", "-"), origin=TRAINED, owner=None)
    assert caught.value.detail in refused["detail"]


def test_the_name_of_a_model_that_was_uploaded_is_taken(engine: Engine) -> None:
    package = tabular_package(name="churn", origin="uploaded", gates=(), gates_passed=False)
    engine.instance.registry.register(package, created_by="ada", owner="u1")
    assert "another model" in problem(put(engine), 409, "conflict")["detail"]


def test_names_are_its_own(engine: Engine) -> None:
    problem(put(engine, name="market_signal"), 409, "conflict")
    response = engine["problems"].request("PUT", "/problems/other", json=CHURN, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == ["/name"]
    put(engine)
    assert "churn" in problem(engine["problems"].get("/problems/chrun"), 404, "not-found")["detail"]


def test_a_problem_is_deleted_with_its_schedule(engine: Engine) -> None:
    put(engine, schedule="0 3 * * 1")
    blob = ok(upload(engine, csv()))["problem"]["data"]["blob"]
    assert ok(engine["problems"].request("DELETE", "/problems/churn", headers=KEY)) == {"name": "churn"}
    assert schedules(engine) == {}
    problem(engine["problems"].get("/problems/churn"), 404, "not-found")
    problem(engine["problems"].request("DELETE", "/problems/churn", headers=KEY), 404, "not-found")
    assert engine.instance.platform.blobs.get(blob) == csv()


def test_neither_a_built_in_problem_nor_one_with_a_live_model_is_deleted(engine: Engine) -> None:
    problem(engine["problems"].request("DELETE", "/problems/market_signal", headers=KEY), 409, "conflict")
    problem(
        engine["problems"].request("PUT", "/problems/market_signal/data", content=csv(), headers=CSV),
        409,
        "conflict",
    )
    put(engine)
    active_tabular(engine.instance.registry, name="churn", problem="churn")
    document = problem(engine["problems"].request("DELETE", "/problems/churn", headers=KEY), 409, "conflict")
    assert "live" in document["detail"]
    assert ok(engine["problems"].get("/problems/churn"))["name"] == "churn"


def test_changes_are_written_down_with_what_was_before(engine: Engine) -> None:
    put(engine)
    put(engine, title="Other")
    ok(upload(engine, csv()))
    entries = ok(engine["admin"].get("/admin/audit", headers=KEY))["entries"]
    taken, changed, made = entries[:3]
    assert taken["after"]["rows"] == 60
    assert (changed["before"]["title"], changed["after"]["title"]) == ("Who leaves", "Other")
    assert (made["before"], made["after"]["name"]) == (None, "churn")


def test_nobody_changes_them_without_a_key(engine: Engine) -> None:
    for method, path in (
        ("PUT", "/problems/churn"),
        ("PUT", "/problems/churn/data"),
        ("DELETE", "/problems/churn"),
    ):
        problem(engine["problems"].request(method, path), 401, "unauthenticated")
