from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.engine import Engine, ok, pointers, problem
from tests.functions.garbage import GARBAGE
from tests.market.made import candles, checked
from tests.market.markets import Market
from tests.packages import FEATURES, last_row, market_package


def ask(engine: Engine, *symbols: str, **more: Any) -> dict[str, Any]:
    response = engine["batch_predict"].post("/predict/batch", json={"symbols": symbols, **more})
    answer: dict[str, Any] = ok(response)
    return answer


@pytest.fixture
def engine(live: None, start: Callable[..., Engine]) -> Engine:
    return start()


def test_each_symbol_succeeds_or_fails_alone_in_the_order_asked(engine: Engine) -> None:
    symbols = ["NEW", "ABD", "ABX", "a b", "", "ABC"]
    answer = ask(engine, *symbols)
    assert [result["symbol"] for result in answer["results"]] == symbols
    assert (answer["succeeded"], answer["failed"]) == (2, 4)
    few, abd, unknown, wrong, empty, abc = answer["results"]
    assert [r["error"]["status"] for r in (few, unknown, wrong, empty)] == [422, 404, 422, 422]
    assert str(FEATURES.memory + 1) in few["error"]["detail"]
    assert "ABC" in unknown["error"]["detail"]
    assert all(r["prediction"] is None for r in (few, unknown, wrong, empty))
    assert (abd["error"], abc["error"]) == (None, None)
    scorer = market_package().verified_scorer()
    scored = [scorer.score(last_row(candles(200, seed=seed))) for seed in (0, 1)]
    assert abc["prediction"]["probability"] == float(scored[0][0, 1])
    assert abd["prediction"]["probability"] == float(scored[1][0, 1])


def test_one_symbol_of_garbage_leaves_the_others_alone(engine: Engine, market: Market) -> None:
    market.put(candles(200, symbol="BAD", close=[-1.0] * 200))
    bad, good = ask(engine, "BAD", "ABC")["results"]
    assert (bad["error"]["status"], good["error"]) == (502, None)


def test_all_symbols_of_garbage_are_reported_one_by_one(
    live: None, start: Callable[..., Engine], market: Market
) -> None:
    engine = start(candle_cache_seconds=0)
    engine.instance.candle_store.ingest("ABD", "1d", checked(candles(200, seed=1, symbol="ABD")))
    for market.garbage in GARBAGE.values():
        bad, stored = ask(engine, "ABC", "ABD")["results"]
        assert bad["error"]["status"] == 502
        assert stored["prediction"]["stale"] is True


def test_every_answered_prediction_is_in_the_audit_and_no_other(engine: Engine) -> None:
    answer = ask(engine, "ABC", "NOPE", "ABD")
    made = {r["prediction"]["prediction_id"] for r in answer["results"] if r["prediction"]}
    engine.deliver("audit")
    kept = ok(engine["monitoring"].get("/predictions/recent"))["predictions"]
    assert {p["prediction_id"] for p in kept} == made
    assert {p["request_id"] for p in kept} == {answer["request_id"]}
    assert {p["function"] for p in kept} == {"batch_predict"}


def test_the_upstream_is_asked_once_for_each_symbol(engine: Engine, market: Market) -> None:
    ask(engine, "ABC", "ABD", "ABC", "ABD")
    assert sorted(asked["symbol"] for asked in market.asked) == ["ABC", "ABD"]


def test_without_a_model_the_whole_batch_is_refused(start: Callable[..., Engine], market: Market) -> None:
    response = start()["batch_predict"].post("/predict/batch", json={"symbols": ["ABC"]})
    assert "mlengine train" in problem(response, 409, "no-active-model")["detail"]
    assert market.asked == []


def test_a_batch_that_is_too_large_is_refused(start: Callable[..., Engine]) -> None:
    engine = start(batch_max_symbols=2)
    response = engine["batch_predict"].post("/predict/batch", json={"symbols": ["A", "B", "C"]})
    document = problem(response, 422, "invalid-input")
    assert pointers(document) == ["/symbols"]
    assert "at most 2" in document["detail"]


def test_of_very_many_faults_only_the_first_are_listed(engine: Engine) -> None:
    for body in ({"symbols": [1] * 5_000}, {"symbols": ["ABC"], **{f"x{i}": 1 for i in range(5_000)}}):
        response = engine["batch_predict"].post("/predict/batch", json=body)
        document = problem(response, 422, "invalid-input")
        assert len(document["errors"]) == 20
        assert document["detail"].endswith("; and 4980 more")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/symbols"),
        ({"symbols": []}, "/symbols"),
        ({"symbols": "ABC"}, "/symbols"),
        ({"symbols": ["ABC", 3]}, "/symbols/1"),
        ({"symbols": ["ABC", None]}, "/symbols/1"),
        ({"symbols": ["ABC"], "modle": "x"}, "/modle"),
        ({"symbols": ["ABC"], "model": 1}, "/model"),
    ],
)
def test_a_wrong_body_is_pointed_at(engine: Engine, body: dict[str, Any], pointer: str) -> None:
    document = problem(engine["batch_predict"].post("/predict/batch", json=body), 422, "invalid-input")
    assert pointers(document) == [pointer]
