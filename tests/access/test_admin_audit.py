from __future__ import annotations

from typing import Any

import pytest

from shared.access.admin_audit import COLLECTION, Action, AdminAudit
from shared.errors import RevisionConflict
from shared.platform.ports import Put
from tests.access.conftest import House


@pytest.fixture
def audit(house: House) -> AdminAudit:
    numbers = iter(range(10_000))
    return AdminAudit(house.documents, house.now, lambda: f"e{next(numbers):05}")


def action(**changes: Any) -> Action:
    facts = {
        "who": "ada@example.org", "role": "admin", "user_id": "u1", "ip": "192.0.2.1", "function": "models",
        "route": "POST /models/activate/{id}", "path": "/models/activate/m-v1", "request_id": "r1",
    }  # fmt: skip
    return Action(**{**facts, **changes})


def test_an_entry_says_who_did_what_from_where_and_what_it_changed(audit: AdminAudit) -> None:
    begun = audit.begin(action())
    audit.complete(begun, 200, before={"live": "m-v0"}, after={"live": "m-v1"}, reason="better")
    [entry] = audit.list(limit=10, cursor=None).entries
    assert (entry.who, entry.ip, entry.path, entry.status) == (
        "ada@example.org",
        "192.0.2.1",
        "/models/activate/m-v1",
        200,
    )
    assert (entry.before, entry.after, entry.reason) == ({"live": "m-v0"}, {"live": "m-v1"}, "better")
    assert entry.at == "2024-06-01T00:00:00.000000Z"


def test_what_was_begun_and_never_ended_stands_there_without_an_outcome(audit: AdminAudit) -> None:
    audit.begin(action())
    [entry] = audit.list(limit=10, cursor=None).entries
    assert entry.status is None


def test_an_entry_is_completed_once(audit: AdminAudit) -> None:
    begun = audit.begin(action())
    audit.complete(begun, 200)
    with pytest.raises(RevisionConflict):
        audit.complete(begun, 500)


def test_the_newest_come_first_page_by_page_and_are_found_by_who_and_what(
    house: House, audit: AdminAudit
) -> None:
    for number in range(5):
        audit.begin(
            action(who="ada" if number % 2 else "eve", route=f"POST /r{number % 3}", request_id=str(number))
        )
        house.passes(minutes=1)
    page = audit.list(limit=3, cursor=None)
    rest = audit.list(limit=3, cursor=page.cursor)
    assert [entry.request_id for entry in (*page.entries, *rest.entries)] == ["4", "3", "2", "1", "0"]
    assert [entry.request_id for entry in audit.all()] == ["4", "3", "2", "1", "0"]

    def found(**asked: str) -> list[str]:
        return [entry.request_id for entry in audit.list(**asked, limit=10, cursor=None).entries]

    assert found(who="ada") == ["3", "1"]
    assert found(route="POST /r0") == ["3", "0"]
    assert found(who="eve", route="POST /r1") == ["4"]
    assert found(start="2024-06-01T00:01:00.000000Z", end="2024-06-01T00:03:00.000000Z") == ["2", "1"]


def test_clearing_leaves_its_own_record_and_touches_nothing_else(house: House, audit: AdminAudit) -> None:
    house.documents.commit([Put("promotions", "p1", {"seq": 1})])
    for _ in range(1_201):
        audit.begin(action())
    own = audit.begin(action(route="DELETE /admin/audit/clear"))
    assert audit.clear(spare=own.id) == 1_201
    audit.complete(own, 200, reason="the law asks for it")
    [entry] = audit.all()
    assert (entry.route, entry.reason) == ("DELETE /admin/audit/clear", "the law asks for it")
    assert house.documents.get("promotions", "p1") is not None
    assert len(house.documents.query(COLLECTION).documents) == 1
