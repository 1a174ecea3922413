from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.market.candles import rfc3339
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_REASON
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.functions.garbage import GARBAGE
from tests.market.made import DAY, MONDAY, candles, checked, same
from tests.market.markets import Market
from tests.market.scripted import Reply, ScriptedUpstream, as_json


def ingest(engine: Engine, *symbols: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(
        engine["fetch"].post("/fetch", json={"symbols": list(symbols), **more}, headers=KEY)
    )
    return answer


def requested(engine: Engine, data: dict[str, Any]) -> None:
    event = Event("e1", "//test", "candles.requested", datetime.now(UTC), data)
    engine.events.publish("candles.requested", [event])


def test_ingesting_says_what_is_new_and_the_same_again_adds_nothing(engine: Engine) -> None:
    (first,) = ingest(engine, "ABC")["results"]
    assert (first["added"], first["rows"], first["error"]) == (200, 200, None)
    assert (first["first"], first["last"]) == (rfc3339(MONDAY), rfc3339(MONDAY + 199 * DAY))
    (again,) = ingest(engine, "ABC")["results"]
    assert (again["added"], again["rows"]) == (0, 200)
    assert same(engine.instance.candle_store.read("ABC", "1d").candles, candles(200))


def test_only_what_is_new_is_asked_for(engine: Engine, market: Market) -> None:
    ingest(engine, "ABC")
    market.put(candles(203))
    market.asked.clear()
    assert ingest(engine, "ABC")["results"][0]["added"] == 3
    assert [asked["start"] for asked in market.asked] == [rfc3339(MONDAY + 199 * DAY)[:10]]


def test_without_symbols_all_that_the_upstream_lists_are_ingested(engine: Engine) -> None:
    answer = ok(engine["fetch"].post("/fetch", headers=KEY))
    assert [(r["symbol"], r["added"]) for r in answer["results"]] == [("ABC", 200), ("ABD", 200), ("NEW", 60)]
    assert (answer["succeeded"], answer["failed"]) == (3, 0)


def test_each_symbol_succeeds_or_fails_alone(engine: Engine) -> None:
    answer = ingest(engine, "ABX", "ABC", "no symbol!")
    assert (answer["succeeded"], answer["failed"]) == (1, 2)
    unknown, known, wrong = answer["results"]
    assert (unknown["error"]["status"], known["error"], wrong["error"]["status"]) == (404, None, 422)
    assert "Near matches: ABD, ABC" in unknown["error"]["detail"]
    assert pointers(wrong["error"]) == ["/symbols"]
    assert known["added"] == 200


def test_the_window_asked_for_is_ingested_and_nothing_else(engine: Engine) -> None:
    (found,) = ingest(engine, "ABC", start="2020-02-01", end="2020-02-10T00:00:00Z")["results"]
    assert (found["added"], found["first"][:10], found["last"][:10]) == (10, "2020-02-01", "2020-02-10")


def test_a_window_without_candles_adds_none(engine: Engine) -> None:
    window = {"start": "2020-03-01", "end": "2020-02-01"}
    assert ingest(engine, "ABC", **window)["results"][0]["rows"] == 0
    ingest(engine, "ABC")
    assert ingest(engine, "ABC", **window)["results"][0]["rows"] == 200
    assert ok(engine["fetch"].get("/candles", params={"symbol": "ABC", **window}))["candles"] == []


def test_an_upstream_without_candles_of_a_symbol_adds_none(engine: Engine, market: Market) -> None:
    market.put(candles(0))
    assert ingest(engine, "ABC")["results"][0]["rows"] == 0
    problem(engine["fetch"].get("/candles?symbol=ABC"), 422, "not-enough-candles")


def test_what_is_odd_is_named(engine: Engine, market: Market) -> None:
    market.put(candles(60, volume=[*[10.0] * 59, 0.0]))
    (found,) = ingest(engine, "ABC")["results"]
    assert [f["name"] for f in found["findings"]] == ["zero_volume"]


def test_what_was_added_is_announced_once(engine: Engine) -> None:
    ingest(engine, "ABC", "ABX")
    ingest(engine, "ABC")
    (event,) = engine.heard("candles.updated")
    assert event.data == {"timeframe": "1d", "added": {"ABC": 200}}


def test_ingesting_needs_an_operator(engine: Engine) -> None:
    problem(engine["fetch"].post("/fetch", json={"symbols": ["ABC"]}), 401, "unauthenticated")
    assert engine.instance.candle_store.symbols("1d") == ()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"symbols": "ABC"}, "/symbols"),
        ({"symbols": [1]}, "/symbols/0"),
        ({"symbol": ["ABC"]}, "/symbol"),
        ({"start": "soon"}, "/start"),
        ({"end": "2020-02-30"}, "/end"),
    ],
)
def test_a_wrong_body_is_pointed_at(engine: Engine, body: dict[str, Any], pointer: str) -> None:
    document = problem(engine["fetch"].post("/fetch", json=body, headers=KEY), 422, "invalid-input")
    assert pointers(document) == [pointer]


@pytest.mark.parametrize(
    ("bound", "moment", "expected"),
    [
        ("start", "0001-01-01T00:00:00+14:00", 200),
        ("end", "0001-01-01T00:00:00+14:00", 0),
        ("start", "9999-12-31T23:59:59-14:00", 0),
        ("end", "9999-12-31T23:59:59-14:00", 200),
    ],
)
def test_times_at_the_edge_of_the_calendar_are_taken(
    engine: Engine, bound: str, moment: str, expected: int
) -> None:
    (found,) = ingest(engine, "ABC", **{bound: moment})["results"]
    assert found["error"] is None
    assert found["added"] == expected
    shown = engine["fetch"].get("/candles", params={"symbol": "ABC", bound: moment})
    assert len(shown.json().get("candles", [])) == expected


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_the_upstreams_fault_and_is_not_stored(
    engine: Engine, market: Market, garbage: bytes
) -> None:
    market.garbage = garbage
    (found,) = ingest(engine, "ABC")["results"]
    assert found["error"]["status"] in (502, 503), found
    assert engine.instance.candle_store.symbols("1d") == ()
    response = engine["fetch"].get("/candles?symbol=ABC")
    assert response.status_code in (502, 503), response.text


def test_garbage_after_candles_changes_nothing_that_is_stored(engine: Engine, market: Market) -> None:
    ingest(engine, "ABC")
    for garbage in GARBAGE.values():
        market.garbage = garbage
        assert ingest(engine, "ABC")["failed"] == 1
    assert same(engine.instance.candle_store.read("ABC", "1d").candles, candles(200))


def test_an_upstream_that_is_away_is_named_and_may_be_asked_again(engine: Engine, market: Market) -> None:
    market.fault = 503
    (found,) = ingest(engine, "ABC")["results"]
    assert (found["error"]["status"], found["error"]["retryable"]) == (503, True)
    assert market.url in found["error"]["detail"]


def test_the_symbols_are_the_upstreams(engine: Engine) -> None:
    assert ok(engine["fetch"].get("/symbols")) == {"symbols": ["ABC", "ABD", "NEW"]}


def test_the_newest_candles_come_from_the_upstream(engine: Engine) -> None:
    answer = ok(engine["fetch"].get("/candles?symbol=ABC&limit=2"))
    made = candles(200)
    assert (answer["symbol"], answer["timeframe"], answer["stale"]) == ("ABC", "1d", False)
    assert [row["timestamp"] for row in answer["candles"]] == [rfc3339(int(t)) for t in made.timestamp[-2:]]
    assert [row["close"] for row in answer["candles"]] == made.close[-2:].tolist()


def test_stored_candles_are_shown_between_two_times(engine: Engine) -> None:
    ingest(engine, "ABC")
    answer = ok(engine["fetch"].get("/candles?symbol=ABC&start=2020-01-10&end=2020-01-12T00:00:00Z"))
    assert [row["timestamp"][:10] for row in answer["candles"]] == ["2020-01-10", "2020-01-11", "2020-01-12"]
    assert ok(engine["fetch"].get("/candles?symbol=ABC&start=2030-01-01"))["candles"] == []


def test_candles_are_flagged_stale_when_the_upstream_is_away(engine: Engine, market: Market) -> None:
    ingest(engine, "ABC")
    market.fault = 503
    answer = ok(engine["fetch"].get("/candles?symbol=ABC&limit=5000"))
    assert (answer["stale"], len(answer["candles"])) == (True, 200)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("symbol=ABC&limit=0", "?limit"),
        ("symbol=ABC&limit=5001", "?limit"),
        ("symbol=ABC&limit=many", "?limit"),
        ("symbol=ABC&colour=red", "?colour"),
        ("symbol=../etc", "?symbol"),
        ("symbol=", "?symbol"),
        ("", "?symbol"),
        ("symbol=ABC&start=soon", "?start"),
        ("symbol=ABC&start=2020-01-01T00:00:00", "?start"),
        ("symbol=ABC&start=20200101", "?start"),
    ],
)
def test_a_wrong_query_is_pointed_at(engine: Engine, query: str, pointer: str) -> None:
    document = problem(engine["fetch"].get(f"/candles?{query}"), 422, "invalid-input")
    assert pointers(document) == [pointer]


def test_an_unknown_symbol_names_near_matches(engine: Engine) -> None:
    document = problem(engine["fetch"].get("/candles?symbol=ABX"), 404, "unknown-symbol")
    assert "ABC" in document["detail"]


def test_the_price_is_the_upstreams_or_else_the_last_close(
    start: Callable[..., Engine], scripted: ScriptedUpstream
) -> None:
    engine = start(market_data_url=scripted.url)
    engine.instance.candle_store.ingest("ABC", "1d", checked(candles(200)))
    price = {"symbol": "ABC", "price": 101.5, "timestamp": "2020-08-01T14:30:00Z"}
    scripted.script("/price/latest", [as_json(price), Reply(503), Reply(200, b"<html>")])
    assert ok(engine["fetch"].get("/price/latest?symbol=ABC")) == {**price, "stale": False}
    for _ in range(2):
        shown = ok(engine["fetch"].get("/price/latest?symbol=ABC"))
        assert (shown["price"], shown["stale"]) == (candles(200).close[-1], True)
        assert shown["timestamp"] == rfc3339(MONDAY + 200 * DAY)
    problem(engine["fetch"].get("/price/latest?symbol=ABD"), 502, "upstream-invalid")


def test_candles_are_ingested_on_request(engine: Engine) -> None:
    requested(engine, {"symbols": ["ABC"], "start": "2020-02-01"})
    assert engine.deliver("fetch") == 1
    assert len(engine.instance.candle_store.read("ABC", "1d").candles) == 174
    assert engine.events.depths()["fetch"].pending == 0


def test_a_request_that_is_none_is_refused_with_the_reason(engine: Engine) -> None:
    requested(engine, {"symbols": [17]})
    for _ in range(2):
        engine.deliver("fetch")
    (dead,) = engine.dead_letters("fetch")
    assert dead.attributes[DEAD_LETTER_REASON].startswith("422: ")
    assert "/symbols/0" in dead.attributes[DEAD_LETTER_REASON]


def test_a_request_comes_again_when_the_upstream_was_away(engine: Engine, market: Market) -> None:
    market.fault = 503
    requested(engine, {"symbols": ["ABC"]})
    engine.deliver("fetch")
    assert engine.events.depths()["fetch"].pending == 1
    market.fault = None
    engine.deliver("fetch")
    assert engine.events.depths()["fetch"].pending == 0
    assert engine.instance.candle_store.symbols("1d") == ("ABC",)


def test_a_request_for_an_unknown_symbol_does_not_come_again(engine: Engine) -> None:
    requested(engine, {"symbols": ["NOPE", "ABC"]})
    engine.deliver("fetch")
    assert engine.events.depths()["fetch"].pending == 0
