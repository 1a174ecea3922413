from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.platform.ports import Put
from tests.functions.engine import KEY, Engine


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    return start()


def made(engine: Engine, count: int = 1) -> None:
    for number in range(count):
        answer = engine["accounts"].post("/auth/keys", json={"name": f"k{number}"}, headers=KEY)
        assert answer.status_code == 201


def entries(engine: Engine, query: str = "") -> list[dict[str, Any]]:
    answer = engine["admin"].get(f"/admin/audit{query}", headers=KEY)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


def test_a_change_says_who_did_it_and_how_it_ended(engine: Engine) -> None:
    made(engine)
    [entry] = entries(engine)
    assert (entry["who"], entry["role"], entry["route"], entry["status"]) == (
        "admin",
        "admin",
        "POST /auth/keys",
        201,
    )
    assert entry["function"] == "accounts"


def test_what_was_refused_is_there_too_and_what_only_asks_is_not(engine: Engine) -> None:
    engine["accounts"].get("/auth/keys", headers=KEY)
    assert engine["accounts"].request("DELETE", "/auth/keys/0123456789abcdef", headers=KEY).status_code == 404
    assert [(entry["path"], entry["status"]) for entry in entries(engine)] == [
        ("/auth/keys/0123456789abcdef", 404)
    ]


def test_no_entry_holds_a_secret(engine: Engine) -> None:
    key = engine["accounts"].post("/auth/keys", json={"name": "ci"}, headers=KEY).json()["key"]
    assert key.rpartition("_")[2] not in json.dumps(entries(engine))


def test_entries_come_in_pages_and_as_lines(engine: Engine) -> None:
    made(engine, 7)
    first = engine["admin"].get("/admin/audit?limit=4", headers=KEY).json()
    second = engine["admin"].get(f"/admin/audit?limit=4&cursor={first['cursor']}", headers=KEY).json()
    assert (len(first["entries"]), len(second["entries"]), second["cursor"]) == (4, 3, None)
    exported = engine["admin"].get("/admin/audit/export", headers=KEY)
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert lines == first["entries"] + second["entries"]
    assert "attachment" in exported.headers["content-disposition"]


def test_entries_are_found_by_who_and_route_and_time(engine: Engine) -> None:
    made(engine)
    for query, count in (
        ("?who=admin", 1),
        ("?who=eve", 0),
        ("?route=POST+/auth/keys", 1),
        ("?start=2100-01-01T00:00:00Z", 0),
        ("?end=2100-01-01T00:00:00Z&who=admin&route=POST+/auth/keys", 1),
    ):
        assert len(entries(engine, query)) == count, query


def test_clearing_needs_a_reason_and_leaves_itself_and_the_promotion_log(engine: Engine) -> None:
    documents = engine.instance.platform.documents
    documents.commit([Put("promotions", "p1", {"seq": 1})])
    made(engine, 3)
    refused = engine["admin"].request("DELETE", "/admin/audit/clear", headers=KEY)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "?reason"
    cleared = engine["admin"].request("DELETE", "/admin/audit/clear?reason=the+law+asks", headers=KEY)
    assert cleared.json() == {"removed": 3}
    [entry] = entries(engine)
    assert (entry["route"], entry["reason"], entry["after"], entry["status"]) == (
        "DELETE /admin/audit/clear",
        "the law asks",
        {"removed": 3},
        200,
    )
    assert documents.get("promotions", "p1") is not None


def test_a_repeated_call_with_its_key_is_carried_out_once(engine: Engine) -> None:
    headers = {**KEY, "idempotency-key": "one"}
    first = engine["accounts"].post("/auth/keys", json={"name": "ci"}, headers=headers)
    assert first.status_code == 201
    again = engine["accounts"].post("/auth/keys", json={"name": "ci"}, headers=headers)
    assert again.status_code == 409
    assert "shown once" in again.json()["detail"]
    other = engine["accounts"].post("/auth/keys", json={"name": "cd"}, headers=headers)
    assert other.status_code == 422
    assert len(engine["accounts"].get("/auth/keys", headers=KEY).json()["keys"]) == 1


def test_an_answer_without_secrets_is_replayed_word_by_word(engine: Engine) -> None:
    made(engine)
    [key] = engine["accounts"].get("/auth/keys", headers=KEY).json()["keys"]
    headers = {**KEY, "idempotency-key": "two"}
    first = engine["accounts"].request("DELETE", f"/auth/keys/{key['id']}", headers=headers)
    again = engine["accounts"].request("DELETE", f"/auth/keys/{key['id']}", headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(entries(engine, "?route=DELETE+/auth/keys/{key_id}")) == 1
