"""Scores of many candles at once: the same bits that the predictor answers, by the offline features.

Nothing here is audited: nobody was answered. What is computed is for files and tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import NotEnoughCandles
from shared.market.candles import Candles, Panel, Seconds, Values, rfc3339
from shared.market.splits import after_last_break, split_series
from shared.market.store import CandleStore, Stored
from shared.serving.models import LoadedModel

BATCH_ROWS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Window:
    """Which candles are scored: those from `start` to `end`, both included, or only the newest one.

    Seconds since 1970; None is no bound on that side.
    """

    is_newest: bool = True
    start: int | None = None
    end: int | None = None


NEWEST: Final = Window()


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Candles of one symbol in pieces on one price basis each.

    Scored is every candle of a piece but its first `memory` ones: those are what the features look back on.
    """

    symbol: str
    pieces: Sequence[Candles]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Rows, one per scored candle: whose, its timestamp, and the probability of the last class ("up")."""

    symbols: Sequence[str]
    counts: Sequence[int]
    """How many rows each of the symbols has; rows come in the order of `symbols`, then of time."""
    as_of: Seconds
    probability: Values

    def __len__(self) -> int:
        return len(self.as_of)


def wanted(store: CandleStore, symbol: str, timeframe: str, memory: int, window: Window) -> Wanted:
    """The stored candles that must be looked at to score `symbol`.

    Raises:
        NotFound: none are stored.
        NotEnoughCandles: none can be scored.
        CorruptBlob: a part of the stored candles is missing, or isn't what was written.
    """
    if window.is_newest:
        return Wanted(symbol, [_newest(store, symbol, timeframe, memory)])
    stored = store.read(symbol, timeframe)
    pieces = [_within(piece, memory, window) for piece in split_series(stored.candles, stored.breaks)]
    found = [piece for piece in pieces if len(piece) > memory]
    if not found:
        raise NotEnoughCandles(
            f"{symbol} has no {timeframe} candle in the window with the {memory} before it, on one price "
            f"basis, that its features need; {len(stored.candles)} candles are stored."
        )
    return Wanted(symbol, found)


def score(model: LoadedModel, wanted: Sequence[Wanted]) -> Scores:
    """All that is wanted, computed together."""
    if not wanted:
        return Scores((), (), np.empty(0, np.int64), np.empty(0))
    memory = model.features.memory
    pieces = [piece for one in wanted for piece in one.pieces]
    panel = Panel.of(pieces)
    is_scored = np.ones(len(panel), np.bool_)
    for start in panel.starts[:-1]:
        is_scored[start : start + memory] = False
    rows = model.features.matrix(panel, dtype=np.float32)
    counts = [sum(len(piece) - memory for piece in one.pieces) for one in wanted]
    probability = _probabilities(model, rows, np.flatnonzero(is_scored))
    return Scores([one.symbol for one in wanted], counts, panel.timestamp[is_scored], probability)


def _probabilities(model: LoadedModel, rows: NDArray[np.float32], places: NDArray[np.int64]) -> Values:
    probability = np.empty(len(places))
    for first in range(0, len(places), BATCH_ROWS):
        batch = np.ascontiguousarray(rows[places[first : first + BATCH_ROWS]])
        probability[first : first + len(batch)] = model.scorer.score(batch)[:, -1]
    return probability


def _newest(store: CandleStore, symbol: str, timeframe: str, memory: int) -> Candles:
    """The newest candle and the `memory` before it: from the tail, one document, where that has them."""
    tail = store.tail(symbol, timeframe)
    stored = tail if tail is not None and _suffices(tail, memory) else store.read(symbol, timeframe)
    candles = after_last_break(stored.candles, stored.breaks)
    if len(candles) <= memory:
        since = f" since prices changed their basis at {rfc3339(stored.breaks[-1])}" if stored.breaks else ""
        raise NotEnoughCandles(
            f"{symbol} has {len(candles)} stored {timeframe} candles{since}; {memory + 1} are needed."
        )
    return candles[-(memory + 1) :]


def _suffices(tail: Stored, memory: int) -> bool:
    return tail.is_whole or bool(tail.breaks) or len(tail.candles) > memory


def _within(piece: Candles, memory: int, window: Window) -> Candles:
    """The piece's candles in the window, and the `memory` before the first of them that has so many."""
    first = 0 if window.start is None else int(np.searchsorted(piece.timestamp, window.start))
    end = len(piece) if window.end is None else int(np.searchsorted(piece.timestamp, window.end, "right"))
    return piece[max(first - memory, 0) : end]
