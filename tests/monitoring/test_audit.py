from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput, NotFound
from shared.monitoring.audit import Audit
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import MAX_BATCH_WRITES, Event

START = datetime(2024, 1, 1, tzinfo=UTC)


def event(number: int, **facts: Any) -> Event:
    made_at = (START + timedelta(seconds=number)).isoformat()
    data = {"prediction_id": f"p{number}", "symbol": "ABC", "model_id": "m-v1", "made_at": made_at, **facts}
    return Event(f"p{number}", "//test", "predictions.made", START, data)


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(SqliteDocuments(tmp_path / "documents.sqlite3"), lambda: START)


def ids(audit: Audit, **asked: Any) -> list[str]:
    page = audit.recent(**{"symbol": None, "model_id": None, "limit": 500, "cursor": None, **asked})
    return [document.id for document in page.documents]


def test_more_than_one_batch_is_kept_whole(audit: Audit) -> None:
    audit.store([event(i) for i in range(MAX_BATCH_WRITES + 1)])
    found = asyncio.run(audit.wait_for(f"p{MAX_BATCH_WRITES}"))
    assert found == event(MAX_BATCH_WRITES).data
    assert ids(audit)[0] == f"p{MAX_BATCH_WRITES}"


def test_the_same_event_twice_in_one_delivery_is_one_prediction(audit: Audit) -> None:
    audit.store([event(1), event(2), event(1)])
    assert ids(audit) == ["p2", "p1"]


def test_redelivery_and_another_order_change_nothing(audit: Audit) -> None:
    audit.store([event(i) for i in range(5)])
    before = ids(audit)
    audit.store([event(i) for i in (3, 1, 4)])
    audit.store([event(0)])
    assert ids(audit) == before == ["p4", "p3", "p2", "p1", "p0"]


def test_the_newest_come_first_however_late_they_arrived(audit: Audit) -> None:
    audit.store([event(3)])
    audit.store([event(1)])
    audit.store([event(2)])
    assert ids(audit) == ["p3", "p2", "p1"]


def test_a_prediction_that_is_under_way_is_waited_for(audit: Audit) -> None:
    async def scenario() -> Any:
        waiting = asyncio.create_task(audit.wait_for("p1"))
        await asyncio.sleep(0)
        await asyncio.to_thread(audit.store, [event(1)])
        return await waiting

    assert asyncio.run(scenario()) == event(1).data


def test_a_prediction_that_never_was_is_not_found(audit: Audit) -> None:
    with pytest.raises(NotFound, match="/predictions/recent"):
        asyncio.run(audit.wait_for("p1"))


def test_those_of_a_symbol_and_of_a_model_can_be_asked_for(audit: Audit) -> None:
    audit.store([event(i, symbol=f"S{i % 2}", model_id=f"m-v{i // 3}") for i in range(6)])
    assert ids(audit, symbol="S0") == ["p4", "p2", "p0"]
    assert ids(audit, model_id="m-v1") == ["p5", "p4", "p3"]
    assert ids(audit, symbol="S0", model_id="m-v1") == ["p4"]


def test_features_are_a_list_though_a_row_of_the_warehouse_has_them_as_text(audit: Audit) -> None:
    audit.store([event(1, features="[1e-17,null,-0.0,0.1]"), event(2, features=[1.5, None])])
    assert asyncio.run(audit.wait_for("p1"))["features"] == [1e-17, None, -0.0, 0.1]
    assert asyncio.run(audit.wait_for("p2"))["features"] == [1.5, None]


def test_features_that_are_no_json_are_refused(audit: Audit) -> None:
    with pytest.raises(InvalidInput, match="features of prediction p1"):
        audit.store([event(1, features="[1,")])
