"""The candles of a run, read from the store and cut where prices change their basis."""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import NotEnoughCandles
from shared.market.candles import Candles
from shared.market.splits import split_series
from shared.market.store import CandleStore
from shared.training.options import MarketOptions


def load_series(
    store: CandleStore, options: MarketOptions, timeframe: str, done: Callable[[int, int], None]
) -> list[Candles]:
    """Series of the symbols asked for, or of all that are stored; `done(symbols, of)` after each.

    Raises:
        NotFound: a symbol asked for isn't stored.
        NotEnoughCandles: nothing is stored.
    """
    symbols = sorted(options.symbols or store.symbols(timeframe))
    if not symbols:
        raise NotEnoughCandles(f"No {timeframe} candles are stored: ingest some before training.")
    series: list[Candles] = []
    for number, symbol in enumerate(symbols, start=1):
        stored = store.read(symbol, timeframe)
        series += split_series(stored.candles[-options.lookback :], stored.breaks)
        done(number, len(symbols))
    return series
