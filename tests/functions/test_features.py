from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.features import feature_set
from shared.market.candles import Panel, rfc3339
from tests.functions.engine import Engine, ok, pointers, problem
from tests.functions.garbage import GARBAGE
from tests.market.made import DAY, MONDAY, candles, checked, raw
from tests.market.markets import Market


def ask(engine: Engine, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["features"].get("/features", params=query))
    return answer


def offline(name: str, rows: int, *, count: int = 200) -> list[list[float | None]]:
    """The last rows as training computes them, as JSON shows them."""
    matrix = feature_set(name).matrix(Panel.of([candles(300, seed=7, symbol="ZZZ"), candles(count)]))
    return [[None if value != value else value for value in row] for row in matrix[-rows:].tolist()]


@pytest.mark.parametrize("name", ["core", "technical"])
def test_the_rows_are_bit_for_bit_those_of_training(engine: Engine, name: str) -> None:
    answer = ask(engine, symbol="ABC", lookback=40, feature_set=name)
    assert [row["values"] for row in answer["rows"]] == offline(name, 40)
    assert [row["timestamp"] for row in answer["rows"]] == [
        rfc3339(MONDAY + day * DAY) for day in range(160, 200)
    ]


def test_the_rows_stay_the_same_when_they_are_computed_from_stored_candles(
    engine: Engine, market: Market
) -> None:
    engine.instance.candle_store.ingest("ABC", "1d", checked(candles(180)))
    rows = ask(engine, symbol="ABC", lookback=20)["rows"]
    assert [row["values"] for row in rows] == offline("technical", 20)
    assert market.asked[-1]["start"] == rfc3339(MONDAY + 179 * DAY)[:10]


def test_the_answer_says_what_it_is_made_of(engine: Engine) -> None:
    technical = feature_set("technical")
    answer = ask(engine, symbol="ABC")
    assert len(answer.pop("rows")) == 1
    assert answer == {
        "symbol": "ABC",
        "timeframe": "1d",
        "window": technical.memory + 1,
        "latest_timestamp": rfc3339(MONDAY + 199 * DAY),
        "stale": False,
        "feature_set": "technical",
        "feature_set_hash": technical.hash,
        "features": list(technical.names),
    }


def test_a_value_that_is_no_number_is_null(engine: Engine, market: Market) -> None:
    market.put(candles(200, volume=[500.0] * 200))
    (row,) = ask(engine, symbol="ABC")["rows"]
    named = dict(zip(feature_set("technical").names, row["values"], strict=True))
    assert [name for name, value in named.items() if value is None] == ["volume_z_20"]


def test_reversed_candles_give_the_same_rows(engine: Engine, market: Market) -> None:
    market.put(raw(200)[::-1])
    assert [row["values"] for row in ask(engine, symbol="ABC", lookback=5)["rows"]] == offline("technical", 5)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("symbol=ABC&lookback=0", "?lookback"),
        ("symbol=ABC&lookback=1001", "?lookback"),
        ("symbol=ABC&lookback=-1", "?lookback"),
        ("symbol=ABC&lookback=ten", "?lookback"),
        ("symbol=ABC&lookback=1.5", "?lookback"),
        ("symbol=ABC&lookback=", "?lookback"),
        ("symbol=ABC&window=5", "?window"),
        ("lookback=5", "?symbol"),
        ("symbol=AB%20C", "?symbol"),
        ("symbol=AB/../C", "?symbol"),
        (f"symbol={'A' * 33}", "?symbol"),
    ],
)
def test_a_wrong_query_is_pointed_at(engine: Engine, market: Market, query: str, pointer: str) -> None:
    document = problem(engine["features"].get(f"/features?{query}"), 422, "invalid-input")
    assert pointers(document) == [pointer]
    assert market.asked == []


def test_an_unknown_symbol_names_near_matches(engine: Engine) -> None:
    document = problem(engine["features"].get("/features?symbol=ABX"), 404, "unknown-symbol")
    assert "ABC" in document["detail"]


def test_an_unknown_feature_set_names_those_there_are(engine: Engine) -> None:
    response = engine["features"].get("/features?symbol=ABC&feature_set=techical")
    assert "technical" in problem(response, 404, "not-found")["detail"]


def test_too_few_candles_say_how_many_are_needed(engine: Engine) -> None:
    needed = feature_set("technical").memory + 10
    document = problem(engine["features"].get("/features?symbol=NEW&lookback=10"), 422, "not-enough-candles")
    assert "60" in document["detail"]
    assert str(needed) in document["detail"]


def test_rows_from_stored_candles_are_flagged_stale(engine: Engine, market: Market) -> None:
    engine.instance.candle_store.ingest("ABC", "1d", checked(candles(200)))
    market.fault = 503
    answer = ask(engine, symbol="ABC", lookback=5)
    assert answer["stale"] is True
    assert [row["values"] for row in answer["rows"]] == offline("technical", 5)


def test_an_upstream_that_is_away_is_said_to_be(engine: Engine, market: Market) -> None:
    market.fault = 503
    document = problem(engine["features"].get("/features?symbol=ABC"), 503, "upstream-unavailable")
    assert document["retryable"] is True


def test_garbage_never_becomes_a_feature(start: Callable[..., Engine], market: Market) -> None:
    engine = start(candle_cache_seconds=0)
    for market.garbage in GARBAGE.values():
        problem(engine["features"].get("/features?symbol=ABC"), 502, "upstream-invalid")
    engine.instance.candle_store.ingest("ABC", "1d", checked(candles(190)))
    for market.garbage in GARBAGE.values():
        answer = ask(engine, symbol="ABC")
        assert answer["stale"] is True
        assert [row["values"] for row in answer["rows"]] == offline("technical", 1, count=190)


def test_an_answer_above_the_limit_is_refused(start: Callable[..., Engine]) -> None:
    engine = start(upstream_max_bytes=5_000)
    document = problem(engine["features"].get("/features?symbol=ABC"), 502, "upstream-invalid")
    assert "5000 bytes" in document["detail"]
