"""Market predictions: candles to features to probability to signal, in the audit before the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from shared.access.identity import Caller
from shared.errors import Conflict, EngineError
from shared.features import FeatureSet
from shared.market.candles import Candles, rfc3339
from shared.market.source import CandleSource, Served
from shared.platform.ports import Event, NewId, Now
from shared.serving.models import LoadedModel, Models
from shared.serving.prediction import BatchPrediction, SymbolPrediction, signal_of
from shared.serving.publisher import TOPIC, Publisher

MARKET_MODEL = "market-signal"
MAX_ROWS = 1_024


@dataclass(frozen=True, slots=True)
class _Row:
    """The feature row of one set of candles, kept while these candles are the latest.

    `features` is JSON text, a list in the order of the feature set: what isn't a number is null, and no
    repeated column of a warehouse takes that.
    """

    candles: Candles
    as_of: str
    feature_set_hash: str
    features: str
    inputs: NDArray[np.float32]


class MarketPredictor:
    """Predicts the direction of symbols."""

    def __init__(
        self,
        models: Models,
        candles: CandleSource,
        publisher: Publisher,
        *,
        no_trade_band: float,
        now: Now,
        new_id: NewId,
    ) -> None:
        self._models = models
        self._candles = candles
        self._publisher = publisher
        self._no_trade_band = no_trade_band
        self._now = now
        self._new_id = new_id
        self._rows: dict[str, _Row] = {}

    async def predict(self, symbol: str, caller: Caller, model: str = MARKET_MODEL) -> SymbolPrediction:
        """The prediction for `symbol`, durable in the audit on return.

        Raises:
            UnknownSymbol, NotEnoughCandles, NoActiveModel, NotFound, UpstreamUnavailable and the
            other errors of its parts; nothing was answered then.
        """
        started = time.perf_counter()
        loaded = await self._models.get(model)
        needed = loaded.features.memory + 1
        served = self._candles.cached(symbol, needed) or await self._candles.latest(
            symbol, needed, headers={"traceparent": caller.traceparent}
        )
        _check_timeframe(loaded, served.candles)
        row = self._row(symbol, served.candles, loaded.features)
        prediction = self._score(symbol, loaded, served, row, caller, started)
        await self._publisher.publish(self._event(prediction, loaded, row, caller))
        return prediction

    async def predict_batch(
        self, symbols: Sequence[str], caller: Caller, model: str = MARKET_MODEL
    ) -> list[BatchPrediction]:
        """Each symbol succeeds or fails alone; the order is that of `symbols`."""
        await self._models.get(model)
        return list(await asyncio.gather(*(self._predict_alone(symbol, caller, model) for symbol in symbols)))

    async def _predict_alone(self, symbol: str, caller: Caller, model: str) -> BatchPrediction:
        try:
            return BatchPrediction(symbol, await self.predict(symbol, caller, model))
        except EngineError as error:
            return BatchPrediction(symbol, error)

    def _row(self, symbol: str, candles: Candles, features: FeatureSet) -> _Row:
        known = self._rows.get(symbol)
        if known is not None and known.candles is candles and known.feature_set_hash == features.hash:
            return known
        values = features.latest(candles)
        as_of = rfc3339(int(candles.timestamp[-1]))
        text = to_json(values.tolist(), inf_nan_mode="null").decode()
        row = _Row(candles, as_of, features.hash, text, values.astype(np.float32)[np.newaxis])
        self._rows[symbol] = row
        while len(self._rows) > MAX_ROWS:
            del self._rows[next(iter(self._rows))]
        return row

    def _score(
        self, symbol: str, loaded: LoadedModel, served: Served, row: _Row, caller: Caller, started: float
    ) -> SymbolPrediction:
        manifest = loaded.manifest
        up = float(loaded.score(row.inputs)[0, -1])
        return SymbolPrediction(
            symbol=symbol,
            signal=signal_of(up, manifest.threshold, self._no_trade_band),
            probability=up,
            horizon=manifest.horizon or 1,
            timeframe=served.candles.timeframe,
            as_of=row.as_of,
            stale=served.stale,
            model_id=loaded.version_id,
            gates_passed=loaded.gates_passed,
            feature_set_hash=manifest.feature_set_hash,
            prediction_id=self._new_id(),
            request_id=caller.request_id,
            latency_ms=round((time.perf_counter() - started) * 1_000, 3),
        )

    def _event(self, prediction: SymbolPrediction, loaded: LoadedModel, row: _Row, caller: Caller) -> Event:
        """Its data is a row of the warehouse: each member is a column (`shared/monitoring/warehouse`)."""
        made_at = self._now()
        record = {
            **loaded.facts,
            **prediction.__dict__,
            "made_at": made_at.isoformat(),
            "no_trade_band": self._no_trade_band,
            "features": row.features,
            "caller": caller.name,
            "function": caller.function,
            "trace_id": caller.traceparent[3:35],
        }
        return Event(
            prediction.prediction_id,
            f"//mlengine/{caller.function}",
            TOPIC,
            made_at,
            record,
            {"traceparent": caller.traceparent},
        )


def _check_timeframe(loaded: LoadedModel, candles: Candles) -> None:
    if loaded.manifest.timeframe != candles.timeframe:
        raise Conflict(
            f"{loaded.version_id} was trained on {loaded.manifest.timeframe} candles, TIMEFRAME is "
            f"{candles.timeframe}: train and activate a model for these."
        )
