"""Predictions as the predictor makes them, at any moment of a made market, on an engine whose clock turns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

from shared.access.identity import Caller
from shared.config import Settings, load_settings
from shared.instance import Instance
from shared.market.candles import Candles
from shared.market.source import CandleSource, Served
from shared.platform.connect import connect
from shared.platform.ports import Event, Events
from shared.serving import MarketPredictor, Publisher
from shared.serving.publisher import TOPIC
from tests.market.made import candles, checked
from tests.packages import FEATURES

FIRST = FEATURES.memory
"""The first row of a made series that can be predicted from."""


class Clock:
    """Stands still until it is turned."""

    def __init__(self, time: datetime = datetime(2020, 1, 6, tzinfo=UTC)) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time

    def turn_to(self, seconds: float) -> None:
        self.time = datetime.fromtimestamp(seconds, UTC)


class Feed:
    """Candles up to a row of each series, as an instance has them in memory."""

    def __init__(self, series: Mapping[str, Candles]) -> None:
        self._series = series
        self._served: dict[str, Served] = {}

    def show(self, rows: int) -> None:
        self._served = {
            name: Served(one[:rows], stale=False, breaks=()) for name, one in self._series.items()
        }

    def cached(self, symbol: str, needed: int) -> Served:
        return self._served[symbol]


class Market:
    """Daily candles of some symbols, so many rows of each. `settings` are those of the platform."""

    def __init__(
        self, home: Path, symbols: int, rows: int, *, first_id: int = 0, settings: Settings | None = None
    ) -> None:
        self.home = home
        options: dict[str, Any] = {"market_calendar": "24/7", "model_cache_seconds": 0.0}
        chosen = (settings or load_settings(mlengine_home=home)).model_copy(update=options)
        self.clock = Clock()
        self.instance = Instance(chosen, replace(connect(chosen), now=self.clock))
        self.series = {f"S{n}": candles(rows, seed=n, symbol=f"S{n}") for n in range(symbols)}
        self._feed = Feed(self.series)
        self._numbers = count(first_id)

    def predict(
        self, row: int, symbols: Sequence[str] | None = None, model: str = "market-signal"
    ) -> list[Event]:
        """One prediction per symbol as of a row; published, and given as the audit will get them."""
        self._feed.show(row + 1)
        one = next(iter(self.series.values()))
        self.clock.turn_to(float(one.timestamp[row]) + 86_400 + 60)
        return asyncio.run(self._predict(symbols or list(self.series), model))

    async def _predict(self, symbols: Sequence[str], model: str) -> list[Event]:
        published = Kept(self.instance.platform.events)
        predictor = MarketPredictor(
            self.instance.models,
            cast("CandleSource", self._feed),
            Publisher(published, TOPIC),
            no_trade_band=0.001,
            now=self.clock,
            new_id=lambda: f"p{next(self._numbers):05}",
        )
        caller = Caller("tester", "predict", "r1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        for symbol in symbols:
            await predictor.predict(symbol, caller, model)
        return published.events

    def close(self, row: int, symbols: Sequence[str] | None = None) -> None:
        """Store the candles up to a row, and turn the clock to when that one has closed."""
        for name in symbols or self.series:
            one = self.series[name][: row + 1]
            self.instance.candle_store.ingest(name, "1d", checked(one))
            self.clock.turn_to(float(one.timestamp[-1]) + 86_400)

    def pass_by(self, **span: float) -> None:
        self.clock.time += timedelta(**span)


class Kept:
    """Publishes, and remembers what."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.events: list[Event] = []

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        self._events.publish(topic, events)
        self.events += events
