"""Events as the predictor makes them, and files of them, without a predictor."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.local.warehouse import Taken, WarehouseWriter
from shared.monitoring.warehouse import FOLDER, Warehouse
from shared.platform.ports import Event

TOPIC = "predictions.made"
Data = dict[str, Any]


def made(count: int, *, seed: int = 1, until: datetime | None = None, days: float = 5.0) -> list[Data]:
    """The data of so many events, of the days up to `until` (now)."""
    rng = random.Random(seed)
    until = until or datetime.now(UTC)
    return [_one(rng, until - timedelta(days=rng.random() * days), f"{seed}-{n}") for n in range(count)]


def _one(rng: random.Random, made_at: datetime, id_: str) -> Data:
    version = rng.randint(1, 3)
    features = [None if rng.random() < 0.1 else rng.gauss(0, 1) for _ in range(6)]
    return {
        "symbol": rng.choice(["AAPL", "GOOG", "IBM", "BRK.B", "^GSPC"]),
        "signal": rng.choice(["up", "down", "hold"]),
        "probability": rng.choice([0.0, 0.5, 1.0, rng.random()]),
        "horizon": 1,
        "timeframe": "1d",
        "as_of": f"{made_at:%Y-%m-%d}T00:00:00Z",
        "stale": rng.random() < 0.2,
        "model_id": f"market-signal-v{version}",
        "gates_passed": version != 2,
        "feature_set_hash": rng.choice(["f" * 64, "0" * 64]),
        "prediction_id": id_,
        "request_id": f"r{rng.randint(0, 30)}",
        "latency_ms": round(rng.expovariate(1.0), 3),
        "made_at": made_at.isoformat(),
        "model_name": "market-signal",
        "package_hash": f"{version}" * 64,
        "problem": "market_signal",
        "features": json.dumps(features),
        "caller": rng.choice(["admin", "anonymous"]),
        "function": rng.choice(["predict", "batch_predict"]),
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


def made_of_rows(count: int, *, seed: int = 2, days: float = 5.0) -> list[Data]:
    """The data of so many predictions of rows, of the last days."""
    rng = random.Random(seed)
    until = datetime.now(UTC)
    return [_of_row(rng, until - timedelta(days=rng.random() * days), f"{seed}-{n}") for n in range(count)]


def _of_row(rng: random.Random, made_at: datetime, id_: str) -> Data:
    market = _one(rng, made_at, id_)
    present = rng.random()
    label = rng.choice(["absent", "present"])
    return {
        **{name: value for name, value in market.items() if name not in _OF_CANDLES},
        "kind": "tabular",
        "model_id": "heart-disease-v1",
        "model_name": "heart-disease",
        "package_hash": "4" * 64,
        "problem": "heart_disease",
        "label": label,
        "probability": present if label == "present" else 1 - present,
        "probabilities": json.dumps([1 - present, present]),
        "threshold": 0.4,
    }


_OF_CANDLES = ("symbol", "signal", "horizon", "timeframe", "as_of", "stale")


def event(data: Data) -> Event:
    time = datetime.fromisoformat(data["made_at"])
    return Event(data["prediction_id"], "//mlengine/predict", TOPIC, time, data)


class Given:
    """Hands out what it was given, in batches as they were given; remembers what became of it."""

    def __init__(self, *batches: Sequence[Data]) -> None:
        self._batches = [[Taken(data["prediction_id"], event(data)) for data in batch] for batch in batches]
        self.acked: list[str] = []
        self.refused: dict[str, str] = {}

    def claim(self, limit: int) -> Sequence[Taken]:
        batch = self._batches.pop(0) if self._batches else []
        if len(batch) >= limit:  # as a source does: in parts, and then what is left
            self._batches.insert(0, batch[limit:])
        return batch[:limit]

    def ack(self, handles: Sequence[str]) -> None:
        self.acked += handles

    def refuse(self, handle: str, reason: str) -> None:
        self.refused[handle] = reason


def keep(home: Path, *batches: Sequence[Data]) -> Warehouse:
    """A warehouse with these rows, each batch written by itself."""
    source = Given(*batches)
    writer = WarehouseWriter(source, home)
    while writer.write_once():
        pass
    assert source.refused == {}
    return Warehouse(home / FOLDER)
