"""Every route answers what the specification says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # publishes no types

from infra.catalogue import read_catalogue
from infra.openapi import generate
from shared.platform.local.schedules import DocumentSchedules
from shared.platform.names import key
from shared.platform.ports import Event
from shared.serving.scoring_records import SymbolsRequest
from tests.alerts.made import raised
from tests.functions.engine import KEY, Engine
from tests.tabular_packages import ROW, active_tabular
from tests.uploads.graphs import logistic_answers
from tests.uploads.made import said
from tests.warehouse import made

RUN = {"problem": "market_signal"}
ENCODED = {"name": "input", "shape": [1, 4], "datatype": "FP32", "data": [63, 145, 0, 1]}
ALERT = raised("e1")
ALERT_ID = key("drift:ABC", key(ALERT.source, ALERT.id))

UPLOAD = {"metadata": said("onnx", logistic_answers()), "size_bytes": 9, "sha256": "0" * 64}
CALLS: list[tuple[str, str, Any, int]] = [
    ("fetch", "POST /fetch", {"symbols": ["ABC", "NOPE"]}, 200),
    ("fetch", "GET /symbols", None, 200),
    ("fetch", "GET /candles?symbol=ABC&limit=3", None, 200),
    ("fetch", "GET /candles?symbol=NOPE", None, 404),
    ("features", "GET /features?symbol=ABC&lookback=2", None, 200),
    ("features", "GET /features", None, 422),
    ("predict", "GET /predict?symbol=ABC", None, 200),
    ("predict", "GET /predict?symbol=NEW", None, 422),
    ("batch_predict", "POST /predict/batch", {"symbols": ["ABC", "NOPE"]}, 200),
    ("batch_predict", "POST /predict/batch", {"symbols": 3}, 422),
    ("predict", "POST /predict", {"model": "heart-disease", "inputs": [ROW]}, 200),
    ("predict", "POST /predict", {"model": "heart-disease", "inputs": [{}]}, 422),
    ("predict", "POST /models/heart-disease-v1/predict", {"inputs": [ROW]}, 200),
    ("batch_predict", "POST /predict/batch", {"model": "heart-disease", "inputs": [ROW, {}]}, 200),
    ("inference", "GET /v2", None, 200),
    ("inference", "GET /v2/health/live", None, 200),
    ("inference", "GET /v2/models/heart-disease", None, 200),
    ("inference", "GET /v2/models/market-signal", None, 422),
    ("inference", "GET /v2/models/heart-disease/versions/1/ready", None, 200),
    ("inference", "POST /v2/models/heart-disease/infer", {"inputs": [ENCODED]}, 200),
    ("inference", "POST /v2/models/heart-disease/infer", {"inputs": []}, 422),
    ("inference", "GET /v1/models", None, 200),
    ("inference", "POST /v1/models/heart-disease:predict", {"instances": [ROW]}, 200),
    ("inference", "POST /invocations?model=heart-disease", {"dataframe_records": [ROW]}, 200),
    ("models", "GET /models", None, 200),
    ("models", "GET /models/market-signal-v1", None, 200),
    ("models", "GET /model/market-signal-v1", None, 200),
    ("models", "GET /models/market-signal/promotions", None, 200),
    ("models", "POST /models/activate/market-signal-v1", {"reason": "again"}, 200),
    ("models", "POST /admin/activate/market-signal-v1", None, 200),
    ("models", "POST /models/market-signal/rollback", None, 409),
    ("models", "POST /admin/reload", None, 200),
    ("models", "PUT /models/market-signal-v1", {"tags": ["x"]}, 200),
    ("models", "DELETE /models/market-signal-v1", None, 409),
    ("models", "GET /models/market-signal-v1/stats", None, 200),
    ("models", "GET /models/market-signal/history", None, 200),
    ("uploads", "GET /models/uploads", None, 200),
    ("uploads", "GET /models/uploads/nope", None, 404),
    ("uploads", "POST /models/uploads", UPLOAD, 202),
    ("problems", "GET /problems", None, 200),
    ("problems", "GET /problems/heart_disease", None, 200),
    ("problems", "GET /problems/nope", None, 404),
    ("training", "POST /admin/train", RUN, 202),
    ("training", "GET /admin/train/status", None, 200),
    ("training", "GET /admin/train/status/nope", None, 404),
    ("schedules", "GET /admin/schedules", None, 200),
    ("schedules", "POST /admin/schedules/retrain/pause", None, 200),
    ("schedules", "POST /admin/schedules/retrain/resume", None, 200),
    ("schedules", "POST /admin/schedules/retrain/run", None, 200),
    ("schedules", "POST /admin/schedules/nope/run", None, 404),
    ("scoring", "POST /predict/jobs", {"symbols": ["ABC"], "start": "2020-01-31"}, 202),
    ("scoring", "POST /predict/jobs", {"tasks": 0}, 422),
    ("scoring", "GET /predict/jobs", None, 200),
    ("scoring", "GET /predict/jobs/s1", None, 200),
    ("scoring", "GET /predict/jobs/s1/files", None, 200),
    ("scoring", "GET /predict/jobs/s1/files?cursor=x", None, 422),
    ("scoring", "GET /predict/jobs/s1/files/scores/task-0-part-00000.parquet", None, 404),
    ("scoring", "POST /predict/jobs/s1/cancel", None, 200),
    ("scoring", "GET /predict/jobs/nope", None, 404),
    ("drift", "POST /admin/drift", {}, 200),
    ("drift", "POST /admin/drift", {"model": "market-signal-v9"}, 404),
    ("monitoring", "GET /monitoring/drift", None, 404),
    ("monitoring", "GET /monitoring/history?kind=drift", None, 200),
    ("monitoring", "GET /predictions/recent", None, 200),
    ("monitoring", "GET /predictions/p1", None, 200),
    ("monitoring", "GET /monitoring/performance", None, 200),
    ("monitoring", "GET /monitoring/performance?window=soon", None, 422),
    ("outcomes", "POST /outcomes", {"outcomes": [{"prediction_id": "p1", "label": "up"}]}, 200),
    ("outcomes", "POST /outcomes", {}, 422),
    ("alerts", "GET /alerts", None, 200),
    ("alerts", "GET /alerts?state=lost", None, 422),
    ("alerts", f"GET /alerts/{ALERT_ID}", None, 200),
    ("alerts", "GET /alerts/nope", None, 404),
    ("alerts", "POST /alerts/test", {"channel": "log"}, 202),
    ("alerts", f"POST /alerts/{ALERT_ID}/acknowledge", {"note": "on it"}, 200),
    ("alerts", f"POST /alerts/{ALERT_ID}/resolve", {"why": "over"}, 200),
    ("notify", "GET /health", None, 200),
    ("deadletters", "GET /admin/deadletters", None, 200),
    ("deadletters", "POST /admin/deadletters/replay", {"ids": ["nope"]}, 200),
    ("deadletters", "POST /admin/deadletters/replay", None, 422),
    ("predict", "GET /ready", None, 200),
    ("audit", "GET /health", None, 200),
]
"""Function, call, body, status."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(generate())
    return loaded


@pytest.fixture
def engine(live: None, start: Callable[..., Engine]) -> Engine:
    engine = start()
    engine.instance.scorings.create("s1", SymbolsRequest(model="market-signal-v1"))
    engine.instance.scorings.claim("s1", 0, "worker")
    made_at = datetime(2024, 1, 1, tzinfo=UTC)
    facts = {**made(1)[0], "prediction_id": "p1", "made_at": made_at.isoformat()}
    engine.instance.audit.store([Event("p1", "//test", "predictions.made", made_at, facts)])
    engine.instance.alert_ledger.hear(ALERT)
    active_tabular(engine.instance.registry)
    schedules = engine.instance.platform.schedules
    assert isinstance(schedules, DocumentSchedules)
    schedules.set_up(read_catalogue().schedules)
    return engine


def operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """The description of what answers at `path`."""
    for template in sorted(document["paths"], key=lambda known: "{" in known):
        methods = document["paths"][template]
        if method.lower() in methods and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"{path} isn't described")


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    validator = Draft202012Validator(
        {**schema, "components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(value)


@pytest.mark.parametrize(("function", "call", "body", "status"), CALLS, ids=[call for _, call, *_ in CALLS])
def test_the_answer_fits_its_description(
    engine: Engine, document: dict[str, Any], function: str, call: str, body: Any, status: int
) -> None:
    method, path = call.split(" ")
    response = engine[function].request(method, path, json=body, headers=KEY)
    assert response.status_code == status, response.text
    described = operation(document, method, path.partition("?")[0])["responses"]
    content = (described[str(status)] if str(status) in described else described["default"])["content"]
    schema = content[response.headers["content-type"]]["schema"]
    check(document, schema, response.json())
    assert not schema_extras(document, schema, response.json())


def schema_extras(document: dict[str, Any], schema: dict[str, Any], value: Any) -> set[str]:
    """Members of the answer that the description doesn't know."""
    known = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    return set(value) - set(known)


def test_an_engine_that_is_not_ready_is_described_too(
    start: Callable[..., Engine], document: dict[str, Any]
) -> None:
    response = start()["predict"].get("/ready")
    described = operation(document, "GET", "/ready")["responses"]["503"]
    check(document, described["content"][response.headers["content-type"]]["schema"], response.json())


def test_a_wrong_answer_would_be_noticed(document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/SymbolPrediction"}
    with pytest.raises(Exception, match="required property"):
        check(document, schema, {"symbol": "ABC"})


def test_most_routes_are_asked_here() -> None:
    asked = {function for function, *_ in CALLS}
    assert asked == set(read_catalogue().functions) - {"docs", "accounts", "admin", "reports", "watch"}
