"""Latency, from the requests that functions answer to the figures that anybody can ask for."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.catalogue import read_catalogue
from shared.logs import configure_logs
from shared.monitoring.latency.measurements import TOPIC
from shared.platform.ports import Event
from tests.functions.engine import KEY, Engine, ok, pointers, problem

SLOT = "2024-01-01T12:00:00Z"


def latency(engine: Engine, **query: str) -> dict[str, dict[str, Any]]:
    """The figures by function."""
    answer = ok(engine["monitoring"].get("/monitoring/latency", params=query))
    return {one["function"]: one for one in answer["functions"]}


def told(engine: Engine) -> None:
    """Publish what was measured, and deliver it."""
    engine.instance.measurements.publish()
    while engine.deliver("monitoring"):
        pass


def metrics(engine: Engine) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Sample name -> labels and value, of a scrape."""
    response = engine["monitoring"].get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_every_function_may_tell_what_it_measures() -> None:
    for name, entry in read_catalogue().functions.items():
        assert TOPIC in entry.publishes, name


def test_what_functions_answer_is_measured_by_function_route_and_model(live: None, start: Any) -> None:
    engine = start()
    for _ in range(4):
        answer = ok(engine["predict"].get("/predict?symbol=ABC"))
    engine["predict"].get("/predict?symbol=NOPE")
    engine["predict"].get("/nowhere")
    ok(engine["batch_predict"].post("/predict/batch", json={"symbols": ["ABC", "NOPE"]}))
    told(engine)
    found = latency(engine, window="5m")
    predict = found["predict"]
    assert (predict["count"], predict["errors"]) == (6, 0)
    assert {one["route"]: one["count"] for one in predict["routes"]} == {"": 1, "GET /predict": 5}
    assert {one["model_id"]: one["count"] for one in predict["models"]} == {answer["model_id"]: 4}
    assert 0 < predict["p50_ms"] <= predict["p95_ms"] <= predict["p99_ms"] < 10_000
    assert predict["cold_starts"]["count"] == 1
    assert predict["cold_starts"]["p50_ms"] >= predict["p99_ms"]
    assert found["batch_predict"]["models"][0]["model_id"] == answer["model_id"]
    assert latency(engine, window="1h") == latency(engine, window="1d")
    assert set(latency(engine, function="predict")) == {"predict"}
    assert latency(engine, model=answer["model_id"])["predict"]["count"] == 4


def test_failures_of_ours_are_errors_and_those_of_callers_are_not(live: None, start: Any) -> None:
    engine = start(market_data_url="http://127.0.0.1:9")
    assert engine["predict"].get("/predict?symbol=ABC").status_code == 503
    assert engine["predict"].get("/predict").status_code == 422
    told(engine)
    found = latency(engine)["predict"]
    assert (found["count"], found["errors"]) == (2, 1)


def test_measuring_comes_to_rest(engine: Engine) -> None:
    """The taking of measurements is measured too, and told of with what else there is."""
    ok(engine["docs"].get("/openapi.json"))
    told(engine)
    for _ in range(3):
        told(engine)
    assert engine.events.depths()["monitoring"].pending == 0
    assert "monitoring" not in latency(engine)
    told(engine)
    assert {one["route"] for one in latency(engine)["monitoring"]["routes"]} >= {"POST /"}


def requests(**changes: Any) -> dict[str, Any]:
    return {
        "at": SLOT,
        "function": "predict",
        "counts": "500:1",
        "sum_us": 150,
        "route": "GET /predict",
        "status": 200,
        "model_id": None,
        **changes,
    }


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({}, "/instance_id"),
        ({"requests": [requests(counts="500")]}, "/requests/0/counts"),
        ({"requests": [requests(at="noon")]}, "/requests/0/at"),
        ({"requests": [requests(at="0001-01-01T00:00:00+14:00")]}, "/requests/0/at"),
        ({"requests": [requests(status=7)]}, "/requests/0/status"),
        ({"requests": [requests(sum_us=-1)]}, "/requests/0/sum_us"),
        ({"requests": [requests(function="../x")]}, "/requests/0/function"),
        ({"requests": [requests(function=None)]}, "/requests/0/function"),
    ],
)
def test_a_wrong_measurement_is_refused_and_says_where(
    engine: Engine, data: dict[str, Any], pointer: str
) -> None:
    whole = {"instance_id": "i1", "requests": [], "cold_starts": [], **data} if data else {}
    event = Event("e1", "//test", TOPIC, datetime.now(UTC), whole)
    body = json.dumps(
        {"specversion": "1.0", "id": "e1", "source": "//test", "type": TOPIC, "data": dict(event.data)}
    )
    headers = {"content-type": "application/cloudevents+json", **KEY}
    document = problem(engine["monitoring"].post("/", content=body, headers=headers), 422, "invalid-input")
    assert pointer in pointers(document)


def test_a_wrong_question_is_pointed_at(engine: Engine) -> None:
    document = problem(engine["monitoring"].get("/monitoring/latency?window=2h"), 422, "invalid-input")
    assert pointers(document) == ["?window"]


def test_nothing_measured_is_an_empty_answer(engine: Engine) -> None:
    assert latency(engine) == {}


def test_a_scrape_tells_of_the_requests_of_this_process(live: None, start: Any) -> None:
    engine = start()
    for path in ("/predict?symbol=ABC", "/predict?symbol=ABC", "/predict"):
        engine["predict"].get(path)
    told(engine)  # what was told of is told here all the same: since the process has started
    engine["predict"].get("/predict?symbol=ABC")
    found = metrics(engine)
    name = "http_server_request_duration_seconds"
    series = {"faas_name": "predict", "http_request_method": "GET", "http_route": "/predict"}
    counts = {
        (labels["http_response_status_code"], labels["mlengine_model_id"]): value
        for labels, value in found[f"{name}_count"]
        if series.items() <= labels.items()
    }
    assert counts == {("200", "market-signal-v1"): 3.0, ("422", ""): 1.0}
    buckets = [
        (labels["le"], value)
        for labels, value in found[f"{name}_bucket"]
        if series.items() <= labels.items() and labels["http_response_status_code"] == "200"
    ]
    assert buckets[-1] == ("+Inf", 3.0)
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    sums = [value for labels, value in found[f"{name}_sum"] if labels["http_response_status_code"] == "200"]
    assert sum(sums) > 0
    assert ({"faas_name": "predict"}, 1.0) in found["faas_coldstarts_total"]
    assert found["process_resident_memory_bytes"][0][1] > 1e6
    ((target, _),) = found["target_info"]
    assert target["service_instance_id"] == engine.instance.measurements.instance_id


def test_a_scrape_tells_of_the_whole_platform(live: None, start: Any) -> None:
    engine = start()
    engine["fetch"].post("/fetch", json={"symbols": ["ABC", "ABD"]}, headers=KEY)
    ok(engine["predict"].get("/predict?symbol=ABC"))
    told(engine)
    found = metrics(engine)
    assert found["mlengine_stale_symbols"][0][1] >= 0
    assert found["mlengine_newest_candle_age_seconds"][0][1] > 0
    ((labels, age),) = found["mlengine_model_age_seconds"]
    assert (labels, age > 0) == ({"subject": "market-signal-v1"}, True)
    assert found["mlengine_model_stale"] == [({"subject": "market-signal-v1"}, 0.0)]
    assert {labels["severity"] for labels, _ in found["mlengine_open_alerts"]} >= {"warning", "critical"}
    assert ({"faas_name": "predict"}, 1.0) in found["mlengine_window_requests"]
    quantiles = [labels for labels, _ in found["mlengine_window_request_duration_seconds"]]
    assert {one["quantile"] for one in quantiles if one["faas_name"] == "predict"} == {"0.5", "0.95", "0.99"}
    assert found["mlengine_dead_letters"] == [({}, 0.0)]
    assert {value for _, value in found["mlengine_scrape_error"]} == {0.0}


def test_a_provider_that_fails_fails_alone(engine: Engine) -> None:
    engine.instance.freshness.candles.summary = None  # type: ignore[assignment, method-assign]
    lines = io.StringIO()
    configure_logs("INFO", lines)
    found = metrics(engine)
    failed = {labels["provider"]: value for labels, value in found["mlengine_scrape_error"]}
    assert {name for name, value in failed.items() if value} == {"candles"}
    assert "mlengine_stale_symbols" not in found
    assert "mlengine_dead_letters" in found
    assert '"provider":"candles"' in lines.getvalue()
