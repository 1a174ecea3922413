"""Each function reads the settings that its catalogue entry lists, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from infra.catalogue import read_catalogue
from shared.config import Settings
from shared.instance import Instance, use_instance
from shared.platform.ports import Event
from tests.alerts.made import a_notification, raised
from tests.functions.engine import KEY, Engine
from tests.market.made import as_answer, candles
from tests.market.scripted import ScriptedUpstream, as_json
from tests.warehouse import made

PLATFORM = {"env", "log_level", "mlengine_home", "google_cloud_project"}
"""Every function has these."""

BY_CONNECT = {"invokers_checked"}
"""Read where the platform is connected, before the function is there."""


NO_SETTINGS = {"token_signing_keys", "bootstrap_secret"}
"""Secrets that are read from where they are kept, each time anew."""


class Anybody:
    """Takes every token for that of one account."""

    def verify(self, token: str, audience: str) -> str:
        return f"{token} {audience}"


CALLS: dict[str, list[tuple[str, Any]]] = {
    "fetch": [
        ("POST /fetch", {"symbols": ["ABC"]}),
        ("GET /symbols", None),
        ("GET /candles?symbol=ABC", None),
        ("GET /candles?symbol=ABC&start=2020-01-10", None),
        ("GET /price/latest?symbol=ABC", None),
    ],
    "features": [("GET /features?symbol=ABC", None)],
    "predict": [
        ("GET /predict?symbol=ABC", None),
        ("POST /predict", {"model": "heart-disease", "inputs": [{}]}),
        ("POST /models/heart-disease/predict", {"inputs": [{}]}),
    ],
    "batch_predict": [
        ("POST /predict/batch", {"symbols": ["ABC"]}),
        ("POST /predict/batch", {"model": "heart-disease", "inputs": [{}]}),
    ],
    "inference": [
        ("GET /v2", None),
        ("GET /v2/health/live", None),
        ("GET /v2/health/ready", None),
        ("GET /v2/models/nope", None),
        ("GET /v2/models/nope/ready", None),
        ("POST /v2/models/nope/infer", {"inputs": []}),
        ("GET /v2/models/nope/versions/1", None),
        ("GET /v2/models/nope/versions/1/ready", None),
        ("POST /v2/models/nope/versions/1/infer", {"inputs": []}),
        ("POST /v2/repository/index", {}),
        ("GET /v1/models", None),
        ("GET /v1/models/nope", None),
        ("POST /v1/models/nope:predict", {"instances": [{}]}),
        ("POST /invocations", {"instances": [{}]}),
        ("GET /ping", None),
        ("POST /ping", None),
        ("GET /version", None),
    ],
    "models": [
        ("GET /models", None),
        ("GET /models/market-signal", None),
        ("GET /model/market-signal", None),
        ("GET /models/market-signal/report", None),
        ("GET /models/market-signal/promotions", None),
        ("POST /models/activate/market-signal-v1", None),
        ("POST /models/market-signal/rollback", None),
        ("POST /admin/activate/market-signal-v1", None),
        ("POST /admin/reload", None),
        ("GET /models/market-signal/stats", None),
        ("GET /models/market-signal/history", None),
        ("GET /models/market-signal/openapi.json", None),
        ("PUT /models/nope", {"tags": ["x"]}),
        ("DELETE /models/nope", None),
    ],
    "reports": [
        ("POST /admin/reports", {"kind": "weekly"}),
        ("GET /reports", None),
        ("GET /reports/nope", None),
        ("GET /reports/nope/state", None),
        ("GET /reports/nope/files/report.pdf", None),
    ],
    "training": [
        ("POST /admin/train", {"problem": "market_signal"}),
        ("GET /admin/train/status", None),
        ("GET /admin/train/status/nope", None),
        ("POST /admin/train/nope/cancel", None),
    ],
    "scoring": [
        ("POST /predict/jobs", {"symbols": ["ABC"]}),
        ("POST /predict/jobs/inputs?name=inputs/a.csv", None),
        ("POST /predict/jobs/inputs/url", {"name": "inputs/a.csv", "size_bytes": 9}),
        ("GET /predict/jobs", None),
        ("GET /predict/jobs/nope", None),
        ("GET /predict/jobs/nope/files", None),
        ("GET /predict/jobs/nope/files/scores/task-0-part-00000.parquet", None),
        ("POST /predict/jobs/nope/cancel", None),
    ],
    "drift": [("POST /admin/drift", None)],
    "monitoring": [
        ("GET /predictions/recent", None),
        ("GET /predictions/p1", None),
        ("GET /monitoring/drift", None),
        ("GET /monitoring/history", None),
        ("GET /monitoring/performance", None),
        ("GET /monitoring/latency", None),
        ("GET /monitoring/freshness", None),
        ("GET /monitoring/quality", None),
        ("GET /metrics", None),
    ],
    "schedules": [
        ("GET /admin/schedules", None),
        ("POST /admin/schedules/nope/pause", None),
        ("POST /admin/schedules/nope/resume", None),
        ("POST /admin/schedules/nope/run", None),
    ],
    "audit": [],
    "alerts": [
        ("GET /alerts", None),
        ("GET /alerts/nope", None),
        ("POST /alerts/test", {}),
        ("POST /alerts/nope/acknowledge", {}),
        ("POST /alerts/nope/resolve", {"why": "over"}),
    ],
    "notify": [("GET /ready", None)],
    "outcomes": [("POST /outcomes", {"outcomes": [{"prediction_id": "p1", "label": "up"}]})],
    "deadletters": [
        ("GET /admin/deadletters", None),
        ("POST /admin/deadletters/replay", {"all": True}),
    ],
    "docs": [
        ("GET /", None),
        ("GET /docs", None),
        ("GET /docs/assets/swagger-ui.css", None),
        ("GET /openapi.json", None),
    ],
    "accounts": [
        ("POST /auth/register", {"email": "a@example.org", "password": "correct horse battery"}),
        ("POST /auth/login", {"email": "a@example.org", "password": "correct horse battery"}),
        ("POST /auth/refresh", {"refresh_token": "nope"}),
        ("POST /auth/logout", None),
        ("GET /auth/me", None),
        ("POST /auth/password", {"old_password": "x", "new_password": "y"}),
        ("POST /auth/keys", {"name": "ci"}),
        ("GET /auth/keys", None),
        ("DELETE /auth/keys/nope", None),
        ("POST /auth/invitations", {"email": "b@example.org"}),
        ("GET /auth/invitations", None),
        ("DELETE /auth/invitations/nope", None),
        ("GET /auth/users", None),
        ("POST /auth/users/nope/role", {"role": "viewer"}),
        ("POST /auth/users/nope/disable", None),
        ("POST /auth/users/nope/enable", None),
    ],
    "admin": [
        ("GET /admin/audit", None),
        ("GET /admin/audit/export", None),
        ("DELETE /admin/audit/clear?reason=because", None),
    ],
    "problems": [
        ("GET /problems", None),
        ("GET /problems/heart_disease", None),
        ("PUT /problems/churn", {}),
        ("PUT /problems/churn/data", {}),
        ("DELETE /problems/churn", None),
    ],
    "uploads": [
        ("POST /models/upload", {}),
        ("GET /models/uploads", None),
        ("POST /models/uploads", {}),
        ("GET /models/uploads/u1", None),
        ("PUT /models/uploads/u1/content", {}),
        ("POST /models/uploads/u1/complete", None),
    ],
    "watch": [("POST /admin/watch", None)],
}

EVENTS: dict[str, dict[str, Any]] = {
    "fetch": {"symbols": ["ABC"]},
    "training": {"run_id": "r1", "request": {"problem": "market_signal"}},
    "scoring": {"symbols": ["ABC"]},
    "reports": {"kind": "weekly"},
    "audit": {"prediction_id": "p1"},
    "alerts": dict(raised("e1").data),
    "notify": a_notification(channel="log").json(),
    "outcomes": {"timeframe": "1d", "added": {"ABC": 1}},
    "drift": {},
    "uploads": {
        "upload_id": "u1",
        "name": "mine",
        "format": "onnx",
        "size_bytes": 9,
        "sha256": "0" * 64,
        "owner": None,
        "created_by": "ann",
        "created_at": "2024-01-01T00:00:00Z",
    },
    "watch": {},
    "monitoring": {"instance_id": "i1", "requests": [], "cold_starts": []},
    "deadletters": {},
}


class Watched:
    """Settings that remember what was read of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name in Settings.model_fields:
            self.read.add(name)
        return getattr(self._settings, name)


def exercise(engine: Engine, name: str) -> set[str]:
    """The settings that a function reads while it does all that it can."""
    prediction = {**made(1)[0], "prediction_id": "p1"}
    engine.instance.audit.store([Event("p1", "//test", "predictions.made", datetime.now(UTC), prediction)])
    watched = Watched(engine.settings)
    platform = replace(engine.instance.platform, identities=Anybody())
    use_instance(Instance(cast(Settings, watched), platform))
    for call, body in CALLS[name]:
        method, path = call.split(" ")
        assert engine[name].request(method, path, json=body, headers=KEY).status_code < 500
    unknown = {"x-api-key": "mlk_0123456789abcdef_" + "a" * 43}
    assert engine[name].get("/health", headers=unknown).status_code == 401
    entry = read_catalogue().functions[name]
    if entry.topic is not None:
        stranger = {"authorization": "Bearer a.b.c"}
        assert engine[name].request("POST", "/", json={}, headers=stranger).status_code == 403
        event = Event("p1", "//test", entry.topic, datetime.now(UTC), EVENTS[name])
        engine.events.publish(entry.topic, [event])
        assert engine.deliver(name) >= 1
        assert engine.events.depths()[name].pending == 0
    return watched.read


@pytest.mark.parametrize("name", CALLS)
def test_it_reads_what_the_catalogue_lists(
    live: None, start: Callable[..., Engine], scripted: ScriptedUpstream, name: str
) -> None:
    scripted.script("/symbols", [as_json({"symbols": ["ABC"]})])
    scripted.script("/candles", [as_json(as_answer(candles(200)))])
    scripted.script("/price/latest", [as_json({"price": 1.0, "timestamp": "2024-01-01"})])
    entry = read_catalogue().functions[name]
    named = (*entry.settings, *entry.secrets, *entry.optional_secrets)
    listed = {setting.lower() for setting in named} - NO_SETTINGS
    assert exercise(start(market_data_url=scripted.url), name) - PLATFORM == listed - BY_CONNECT


def test_every_route_is_exercised() -> None:
    catalogue = read_catalogue().functions
    assert CALLS.keys() == catalogue.keys()
    for name, entry in catalogue.items():
        assert len(entry.routes) <= len(CALLS[name]), name
        assert (entry.topic is not None) is (name in EVENTS), name
