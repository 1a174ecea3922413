from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.platform.ports import Event
from tests.functions.engine import Engine, ok, pointers, problem

START = datetime(2024, 1, 1, tzinfo=UTC)


def prediction(number: int, symbol: str = "ABC", model: str = "market-signal-v1") -> Event:
    made_at = (START + timedelta(seconds=number)).isoformat()
    facts = {"prediction_id": f"p{number}", "symbol": symbol, "model_id": model, "made_at": made_at}
    return Event(f"p{number}", "//test", "predictions.made", START, {**facts, "features": [0.1, None]})


def recent(engine: Engine, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["monitoring"].get("/predictions/recent", params=query))
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [one["prediction_id"] for one in answer["predictions"]]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """Six predictions in the audit, of two symbols and two models."""
    symbols = ("ABC", "ABD")
    engine.instance.audit.store(
        [prediction(i, symbols[i % 2], f"market-signal-v{1 + i // 3}") for i in range(6)]
    )
    return engine


def test_the_newest_come_first(engine: Engine) -> None:
    assert recent(engine)["cursor"] is None
    assert ids(recent(engine)) == ["p5", "p4", "p3", "p2", "p1", "p0"]


def test_those_of_a_symbol_or_a_model_can_be_asked_for(engine: Engine) -> None:
    assert ids(recent(engine, symbol="ABD")) == ["p5", "p3", "p1"]
    assert ids(recent(engine, model_id="market-signal-v1")) == ["p2", "p1", "p0"]
    assert ids(recent(engine, symbol="ABD", model_id="market-signal-v1")) == ["p1"]
    assert ids(recent(engine, symbol="XYZ")) == []


def test_a_list_goes_on_where_its_page_ended_though_more_come_in(engine: Engine) -> None:
    first = recent(engine, limit=4)
    engine.instance.audit.store([prediction(7)])
    rest = recent(engine, limit=4, cursor=first["cursor"])
    assert ids(first) + ids(rest) == ["p5", "p4", "p3", "p2", "p1", "p0"]


def test_a_prediction_is_found_by_its_id(engine: Engine) -> None:
    kept = ok(engine["monitoring"].get("/predictions/p4"))["prediction"]
    assert kept == prediction(4, "ABC", "market-signal-v2").data


def test_an_unknown_prediction_says_where_to_look(engine: Engine) -> None:
    responses = engine["monitoring"].together("/predictions/p9", "/predictions/no such", "/predictions/%00")
    for response in responses:
        assert "/predictions/recent" in problem(response, 404, "not-found")["detail"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("limit=0", "?limit"), ("limit=501", "?limit"), ("symbol=a%20b", "?symbol"), ("model=x", "?model")],
)
def test_a_wrong_query_is_pointed_at(engine: Engine, query: str, pointer: str) -> None:
    document = problem(engine["monitoring"].get(f"/predictions/recent?{query}"), 422, "invalid-input")
    assert pointers(document) == [pointer]


def test_a_cursor_of_another_list_is_refused(engine: Engine) -> None:
    cursor = recent(engine, limit=1)["cursor"]
    for query in ({"cursor": "nonsense"}, {"cursor": cursor, "symbol": "ABC"}):
        response = engine["monitoring"].get("/predictions/recent", params=query)
        problem(response, 422, "invalid-input")


def test_a_prediction_tells_its_lineage_as_far_as_it_is_known(engine: Engine) -> None:
    """These were told by a version that was never registered here."""
    answer = ok(engine["monitoring"].get("/predictions/p4"))
    assert answer["outcome"] is None
    assert answer["lineage"]["model"] is None
    assert "market-signal-v2" in answer["lineage"]["notes"][0]
    assert set(answer["lineage"]["record"]) == {"sha256", "expires_at"}


def test_a_live_model_has_a_performance_before_it_has_outcomes(
    live: None, start: Callable[..., Engine]
) -> None:
    found = ok(start()["monitoring"].get("/monitoring/performance?model=market-signal&window=30d"))
    assert (found["model_id"], found["window"]) == ("market-signal-v1", "30d")
    assert (found["verdict"], found["rows"], found["calibration"]) == ("insufficient_data", 0, None)


def test_the_performance_of_nobody_and_of_no_window_is_refused(engine: Engine) -> None:
    problem(engine["monitoring"].get("/monitoring/performance"), 404, "not-found")
    response = engine["monitoring"].get("/monitoring/performance?window=soon")
    assert pointers(problem(response, 422, "invalid-input")) == ["?window"]
