from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.errors import PlatformUnavailable
from shared.instance import Instance, use_instance
from shared.market.candles import rfc3339
from shared.platform.ports import Event
from shared.serving.prediction import signal_of
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.functions.garbage import GARBAGE
from tests.market.made import DAY, MONDAY, as_answer, candles, checked, raw
from tests.market.markets import Market
from tests.market.scripted import ScriptedUpstream, as_json
from tests.packages import FEATURES, active, last_row, market_package, registered

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def ask(engine: Engine, symbol: str = "ABC", **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["predict"].get("/predict", params={"symbol": symbol, **query}))
    return answer


def expected(model: int = 0, count: int = 200, **made: Any) -> float:
    """The probability that a package gives to the last row of some candles."""
    score = market_package(model).verified_scorer().score(last_row(candles(count, **made)))
    return float(score[0, 1])


@pytest.fixture
def engine(live: None, start: Callable[..., Engine]) -> Engine:
    return start()


def test_a_prediction_says_all_that_clients_rely_on(engine: Engine) -> None:
    answer = ask(engine)
    assert re.fullmatch("[0-9a-f]{32}", answer.pop("prediction_id"))
    assert answer.pop("request_id")
    assert answer.pop("latency_ms") > 0
    assert answer == {
        "symbol": "ABC",
        "signal": signal_of(expected(), 0.5, 0.01),
        "probability": expected(),
        "horizon": 1,
        "timeframe": "1d",
        "as_of": rfc3339(MONDAY + 199 * DAY),
        "stale": False,
        "model_id": "market-signal-v1",
        "gates_passed": True,
        "feature_set_hash": FEATURES.hash,
    }


def test_the_probability_follows_the_candles(
    live: None, start: Callable[..., Engine], market: Market
) -> None:
    engine = start(candle_cache_seconds=0)
    before = ask(engine)["probability"]
    market.put(candles(201))
    after = ask(engine)
    assert (before, after["probability"]) == (expected(), expected(count=201))
    assert after["as_of"] == rfc3339(MONDAY + 200 * DAY)


def test_candles_in_memory_are_not_asked_for_again(engine: Engine, market: Market) -> None:
    first, second = ask(engine), ask(engine)
    assert len(market.asked) == 1
    assert first["prediction_id"] != second["prediction_id"]
    assert first["probability"] == second["probability"]


def test_the_callers_ids_go_through(engine: Engine) -> None:
    headers = {"x-request-id": "order-17", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = ok(engine["predict"].get("/predict?symbol=ABC", headers=headers))
    assert answer["request_id"] == "order-17"
    engine.deliver("audit")
    kept = ok(engine["monitoring"].get(f"/predictions/{answer['prediction_id']}"))["prediction"]
    assert (kept["request_id"], kept["trace_id"]) == ("order-17", TRACE)


def test_the_trace_goes_on_to_the_upstream(start: Callable[..., Engine], scripted: ScriptedUpstream) -> None:
    scripted.script("/candles", [as_json(as_answer(candles(200)))])
    engine = start(market_data_url=scripted.url)
    active(engine.instance.registry)
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    ok(engine["predict"].get("/predict?symbol=ABC", headers=headers))
    (call,) = scripted.calls["/candles"]
    assert call.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert "00f067aa0ba902b7" not in call.headers["traceparent"]


def test_both_paths_answer(engine: Engine) -> None:
    assert ok(engine["predict"].get("/api/v1/predict?symbol=ABC"))["probability"] == expected()


def test_the_answer_is_in_the_audit_with_what_it_was_made_of(engine: Engine) -> None:
    answer = ok(engine["predict"].get("/predict?symbol=ABC", headers=KEY))
    assert engine.deliver("audit") == 1
    kept = ok(engine["monitoring"].get(f"/predictions/{answer['prediction_id']}"))["prediction"]
    assert {name: kept[name] for name in answer} == answer
    row = np.array([kept["features"]], np.float64)
    assert np.array_equal(row.astype(np.float32), last_row(candles(200)))
    package = engine.instance.registry.open_package(kept["model_id"])
    assert kept["package_hash"] == package.hash
    assert float(package.verified_scorer().score(row.astype(np.float32))[0, 1]) == answer["probability"]
    assert (kept["caller"], kept["function"], kept["problem"]) == ("admin", "predict", "market_signal")


class BrokenEvents:
    def publish(self, topic: str, events: Sequence[Event]) -> None:
        raise PlatformUnavailable("The disk is full.")


@pytest.mark.parametrize("name", ["predict", "batch_predict"])
def test_what_cannot_be_audited_is_not_answered(engine: Engine, name: str) -> None:
    platform = replace(engine.instance.platform, events=BrokenEvents())
    use_instance(Instance(engine.settings, platform))
    if name == "predict":
        response = engine[name].get("/predict?symbol=ABC")
        assert problem(response, 503, "platform-unavailable")["retryable"] is True
    else:
        response = engine[name].post("/predict/batch", json={"symbols": ["ABC"]})
        assert ok(response)["results"][0]["error"]["status"] == 503
    assert '"probability"' not in response.text


def test_an_audit_that_comes_twice_changes_nothing(engine: Engine) -> None:
    ask(engine)
    waiting = engine.events.claim("audit", 10, 0, engine.instance.platform.now())
    engine.instance.audit.store([d.event for d in waiting])
    engine.instance.audit.store([d.event for d in waiting])
    assert len(ok(engine["monitoring"].get("/predictions/recent"))["predictions"]) == 1


def test_a_model_is_chosen_by_name_or_by_version(engine: Engine) -> None:
    second = registered(engine.instance.registry, 1)
    assert ask(engine, model="market-signal")["model_id"] == "market-signal-v1"
    answer = ask(engine, model=second.id)
    assert (answer["model_id"], answer["probability"]) == (second.id, expected(1))


def test_a_newly_activated_model_takes_over(engine: Engine) -> None:
    assert ask(engine)["model_id"] == "market-signal-v1"
    active(engine.instance.registry, 1)
    answer = ask(engine)
    assert (answer["model_id"], answer["probability"]) == ("market-signal-v2", expected(1))


def test_a_demonstration_model_says_so(start: Callable[..., Engine]) -> None:
    engine = start()
    active(engine.instance.registry, gates_passed=False)
    assert ask(engine)["gates_passed"] is False


def test_the_no_trade_band_is_a_setting(live: None, start: Callable[..., Engine]) -> None:
    engine = start(no_trade_band=0.49)
    assert ask(engine)["signal"] == "hold"
    signal = "up" if expected() > 0.5 else "down"
    assert ask(start(no_trade_band=0.0))["signal"] == signal


def test_without_a_model_the_answer_says_how_to_train_one(start: Callable[..., Engine]) -> None:
    document = problem(start()["predict"].get("/predict?symbol=ABC"), 409, "no-active-model")
    assert "mlengine train" in document["detail"]
    assert "POST /admin/train" in document["detail"]


def test_an_unknown_version_is_not_found(engine: Engine) -> None:
    problem(engine["predict"].get("/predict?symbol=ABC&model=market-signal-v9"), 404, "not-found")


def test_a_tabular_model_takes_no_symbols(engine: Engine) -> None:
    tabular = registered(engine.instance.registry, kind="tabular", name="heart-disease")
    response = engine["predict"].get(f"/predict?symbol=ABC&model={tabular.id}")
    assert "symbols" in problem(response, 422, "invalid-input")["detail"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "?symbol"),
        ("symbol=", "?symbol"),
        ("symbol=a%20b", "?symbol"),
        ("symbol=%00", "?symbol"),
        ("symbol=ABC%0A", "?symbol"),
        ("symbol=ABC&lookback=3", "?lookback"),
        ("symbol=ABC&symbol=ABD", "?symbol"),
        (f"symbol=ABC&model={'m' * 81}", "?model"),
    ],
)
def test_a_wrong_query_is_pointed_at(engine: Engine, query: str, pointer: str) -> None:
    document = problem(engine["predict"].get(f"/predict?{query}"), 422, "invalid-input")
    assert pointers(document) == [pointer]


def test_an_unknown_parameter_names_the_known_ones(engine: Engine) -> None:
    document = problem(engine["predict"].get("/predict?symbol=ABC&sybmol=ABD"), 422, "invalid-input")
    assert document["errors"] == [{"pointer": "?sybmol", "detail": "not known here; known are symbol, model"}]


def test_an_unknown_symbol_names_near_matches(engine: Engine) -> None:
    document = problem(engine["predict"].get("/predict?symbol=ABX"), 404, "unknown-symbol")
    assert "ABC" in document["detail"]


def test_too_few_candles_say_how_many_are_needed(engine: Engine) -> None:
    document = problem(engine["predict"].get("/predict?symbol=NEW"), 422, "not-enough-candles")
    assert "60" in document["detail"]
    assert str(FEATURES.memory + 1) in document["detail"]


def test_the_last_known_candles_are_used_and_flagged_when_the_upstream_is_away(
    engine: Engine, market: Market
) -> None:
    engine.instance.candle_store.ingest("ABC", "1d", checked(candles(190)))
    market.fault = 503
    answer = ask(engine)
    assert (answer["stale"], answer["as_of"]) == (True, rfc3339(MONDAY + 189 * DAY))
    assert answer["probability"] == expected(count=190)


def test_without_any_candles_an_upstream_that_is_away_is_said_to_be(engine: Engine, market: Market) -> None:
    market.fault = 500
    response = engine["predict"].get("/predict?symbol=ABC")
    assert problem(response, 503, "upstream-unavailable")["retryable"] is True


def test_garbage_never_becomes_a_prediction(live: None, start: Callable[..., Engine], market: Market) -> None:
    engine = start(candle_cache_seconds=0)
    for market.garbage in GARBAGE.values():
        problem(engine["predict"].get("/predict?symbol=ABC"), 502, "upstream-invalid")
    engine.instance.candle_store.ingest("ABC", "1d", checked(candles(190)))
    for market.garbage in GARBAGE.values():
        answer = ask(engine)
        assert (answer["stale"], answer["probability"]) == (True, expected(count=190))
    assert engine.events.depths()["audit"].pending == len(GARBAGE)


def test_reversed_candles_give_the_same_prediction(engine: Engine, market: Market) -> None:
    market.put(raw(200)[::-1])
    assert ask(engine)["probability"] == expected()


def test_calls_at_the_same_moment_ask_the_upstream_once(engine: Engine, market: Market) -> None:
    responses = engine["predict"].together(*["/predict?symbol=ABC"] * 20, "/predict?symbol=ABD")
    assert {ok(response)["probability"] for response in responses[:20]} == {expected()}
    assert ok(responses[20])["probability"] == expected(seed=1, symbol="ABD")
    assert sorted(asked["symbol"] for asked in market.asked) == ["ABC", "ABD"]
    assert engine.events.depths()["audit"].pending == 21
