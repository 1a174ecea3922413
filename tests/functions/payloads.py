"""A whole event of each topic, made by the code that makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jsonschema import Draft202012Validator

from infra.topic_schemas import payload_schema
from shared.alerts.raising import Alert, AlertBell, Severity
from shared.platform.ports import Event, Events
from shared.platform.topics import DEAD_LETTERS, EXPORTS, TOPICS
from shared.registry.promotions import Action, Promotion
from shared.registry.versions import Status, Version
from shared.uploads import Format, Upload, UploadStatus
from tests.warehouse import made

DESCRIBED = sorted(set(TOPICS) - set(EXPORTS) - {DEAD_LETTERS})
"""The topics whose payload has a schema of its own."""
OURS = "//mlengine/"
AT = datetime(2024, 6, 3, tzinfo=UTC)


class _Nobody(Events):
    def publish(self, topic: str, events: object) -> None:
        raise AssertionError("samples aren't published by their makers")


def sample(topic: str) -> Event:
    """An event of this topic with every member it can have."""
    return Event("sample", "//mlengine/test", topic, AT, _data(topic))


def _data(topic: str) -> Any:
    bell = AlertBell(_Nobody(), lambda: AT, lambda: "id", "//mlengine/test")
    alert = Alert(
        type="drift", severity=Severity.WARNING, cause="m", title="t", body="b", facts={"n": [1, None]}
    )
    words = {"check_id": "c", "model": "m", "model_id": "m-v1", "unit": "sessions", "why": "w"}
    windows = [{"length": 1, "verdict": "ok", "rows": 5}]
    drift = {**words, "is_live": True, "checked_at": AT.isoformat(), "report_url": None, "verdict": "ok"}
    samples = {
        "predictions.made": made(1)[0],
        "alerts.raised": bell.raised(alert).data,
        "candles.updated": {"timeframe": "1d", "added": {"AAPL": 1}},
        "model.activated": _promotion().to_data(),
        "model.registered": _version().to_data(),
        "training.finished": {"run_id": "r1", "status": "failed", "error": "no candles", "result": None},
        "drift.reported": {**drift, "windows": windows, "moved": ["rsi"]},
        "measurements.made": {"instance_id": "i", "requests": [], "cold_starts": []},
        "notifications.requested": {
            "channel": "log", "kind": "new", "wanted_at": AT.isoformat(), "alert": {"id": "a"},
        },
        "training.requested": {"run_id": "r1", "request": {"problem": "market_signal"}},
        "reports.requested": {"report_id": "r", "kind": "drift", "check_id": "c", "period": None},
        "uploads.requested": _upload().announcement(),
    }  # fmt: skip
    return samples.get(topic, {})


def _promotion() -> Promotion:
    return Promotion(
        id="p1", name="m", seq=1, action=Action.ACTIVATED, version_id="m-v1", package_hash="0" * 64,
        gates_passed=True, previous=None, at=AT, by="ada", reason="better",
    )  # fmt: skip


def _upload() -> Upload:
    return Upload(
        upload_id="u1",
        name="m",
        format=Format.ONNX,
        size_bytes=1,
        sha256="0" * 64,
        owner="o",
        created_by="b",
        created_at=AT.isoformat(),
        status=UploadStatus.QUEUED,
    )


def _version() -> Version:
    return Version(
        id="m-v1", name="m", version=1, status=Status.CANDIDATE, package_hash="0" * 64,
        problem="market_signal", algorithm="lightgbm", gates_passed=False, failed_gates=("auc",),
        suspected_leak=False, created_at=AT, created_by="train", run_id=None,
    )  # fmt: skip


class CheckedEvents:
    """Events that keep to the payload schemas of their topics, as far as they are ours: a replayed letter
    may be anybody's.
    """

    def __init__(self, events: Events) -> None:
        self._events = events

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        if topic in DESCRIBED:
            for event in (one for one in events if one.source.startswith(OURS)):
                Draft202012Validator(payload_schema(topic)).validate(on_the_wire(event.data))
        self._events.publish(topic, events)


def on_the_wire(data: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(data, default=str))
