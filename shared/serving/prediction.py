"""What a market prediction says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.errors import EngineError
from shared.schema import Answer

Signal = Literal["up", "down", "hold"]


class SymbolPrediction(Answer):
    """The expected direction of one symbol.

    `probability` is the calibrated probability that the close `horizon` candles after `as_of` is
    above the close at `as_of`. `signal` is "hold" inside the no-trade band around the threshold.
    `as_of` is the stamp of the last candle used; `stale` says that the upstream couldn't be asked
    and the last known candles were used. `latency_ms` runs from the request to the score, before
    the prediction is made durable.
    """

    symbol: str
    signal: Signal
    probability: float
    horizon: int
    timeframe: str
    as_of: str
    stale: bool
    model_id: str
    gates_passed: bool
    feature_set_hash: str
    prediction_id: str
    request_id: str
    latency_ms: float


@dataclass(frozen=True, slots=True)
class BatchPrediction:
    """One entry of a batch: the prediction of a symbol, or why there is none."""

    symbol: str
    outcome: SymbolPrediction | EngineError


def signal_of(probability: float, threshold: float, band: float) -> Signal:
    """Up or down by the side of `threshold`, hold within `band` of it (inclusive)."""
    distance = probability - threshold
    if abs(distance) <= band:
        return "hold"
    return "up" if distance > 0 else "down"
