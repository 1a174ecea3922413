"""The training rows: features and labels of every series, time-major, so that a fold is a slice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from shared.errors import NotEnoughCandles
from shared.evaluation.labels import Labels, direction_labels
from shared.market.candles import Candles, Panel, rfc3339

CHUNK_ROWS: Final = 65_536


class Features(Protocol):
    """What training asks of a feature set.

    Row t of `matrix` may depend on candle t and the `memory` candles before it, and on nothing else.
    """

    @property
    def name(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def memory(self) -> int: ...
    @property
    def hash(self) -> str: ...
    def matrix(
        self, panel: Panel, *, dtype: DTypeLike = ..., out: NDArray[Any] | None = ...
    ) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled rows sorted by time stamp, then symbol.

    `x` is (n, features); `symbol` indexes `symbols`; `ends_at` is the stamp of the candle that settles
    the label; `past_return` is over the `horizon` candles up to the row. `dropped` counts candles that
    gave no row, by reason. `fingerprint` is the sha256 of all that, so equal data have equal ones.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int8]
    timestamp: NDArray[np.int64]
    symbol: NDArray[np.int32]
    ends_at: NDArray[np.int64]
    forward_return: NDArray[np.float64]
    past_return: NDArray[np.float64]
    symbols: tuple[str, ...]
    feature_names: tuple[str, ...]
    feature_set: str
    feature_set_hash: str
    feature_memory: int
    timeframe: str
    horizon: int
    dropped: dict[str, int]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.y)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n, 2): time stamp and end of label, as `PurgedWalkForward` takes them."""
        return np.column_stack([self.timestamp, self.ends_at])

    def summary(self) -> dict[str, Any]:
        """What a manifest says about the data."""
        return {
            "rows": len(self),
            "symbols": list(self.symbols),
            "sessions": len(np.unique(self.timestamp)),
            "timeframe": self.timeframe,
            "horizon": self.horizon,
            "from": rfc3339(int(self.timestamp[0])),
            "to": rfc3339(int(self.timestamp[-1])),
            "up_share": float(self.y.mean()),
            "dropped": dict(self.dropped),
            "fingerprint": self.fingerprint,
        }


def build_dataset(
    series: Sequence[Candles], features: Features, horizon: int, *, chunk_rows: int = CHUNK_ROWS
) -> Dataset:
    """Rows of every candle that has a full memory before it, a label after it and defined features.

    `series` are whole stretches without breaks; one symbol may have several.

    Raises:
        NotEnoughCandles: no candle qualifies.
    """
    symbols = tuple(sorted({s.symbol for s in series}))
    chunks = list(_chunks(series, chunk_rows))
    block = np.empty((max(map(_rows, chunks), default=0), len(features.names)), np.float32)
    x = np.empty((_rows(series), len(features.names)), np.float32)
    dropped = {"warm_up": 0, "no_label": 0, "undefined": 0}
    columns: list[tuple[NDArray[Any], ...]] = []
    used = 0
    for panel in map(Panel.of, chunks):
        part = features.matrix(panel, out=block[: len(panel)])
        labels = direction_labels(panel, horizon)
        keep = _usable(panel, part, labels, features.memory, dropped)
        x[used : used + len(keep)] = part[keep]
        used += len(keep)
        symbol = np.repeat(_codes(panel.symbols, symbols), np.diff(panel.starts))
        every = (labels.y, panel.timestamp, symbol, labels.ends_at, labels.forward_return, labels.past_return)
        columns.append(tuple(column[keep] for column in every))
    if used == 0:
        raise NotEnoughCandles(_too_few(series, features.memory, horizon))
    joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
    order = np.lexsort((joined[2], joined[1]))
    y, timestamp, symbol, ends_at, forward_return, past_return = (column[order] for column in joined)
    x = x[order]
    source = (features.names, features.name, features.hash, features.memory)
    facts = (symbols, *source, series[0].timeframe, horizon)
    arrays = (x, y, timestamp, symbol, ends_at, forward_return, past_return)
    return Dataset(*arrays, *facts, dropped, _fingerprint(arrays, facts))


def _rows(series: Sequence[Candles]) -> int:
    return sum(map(len, series))


def _chunks(series: Sequence[Candles], rows: int) -> Iterator[list[Candles]]:
    """Whole series, handed on together as soon as they have so many rows."""
    chunk: list[Candles] = []
    for candles in series:
        if len(candles):
            chunk.append(candles)
        if _rows(chunk) >= rows:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _usable(
    panel: Panel, x: NDArray[np.float32], labels: Labels, memory: int, dropped: dict[str, int]
) -> NDArray[np.intp]:
    """Rows to keep; the others are counted in `dropped` under the first reason that holds."""
    position = np.arange(len(panel)) - np.repeat(panel.starts[:-1], np.diff(panel.starts))
    cold = position < memory
    unlabelled = ~cold & (labels.y < 0)
    undefined = ~cold & ~unlabelled & ~(np.isfinite(x).all(axis=1) & np.isfinite(labels.forward_return))
    for reason, rows in (("warm_up", cold), ("no_label", unlabelled), ("undefined", undefined)):
        dropped[reason] += int(rows.sum())
    return np.flatnonzero(~(cold | unlabelled | undefined))


def _codes(some: Sequence[str], every: Sequence[str]) -> NDArray[np.int32]:
    place = {symbol: i for i, symbol in enumerate(every)}
    return np.array([place[symbol] for symbol in some], np.int32)


def _fingerprint(arrays: Sequence[NDArray[Any]], facts: Sequence[Any]) -> str:
    digest = hashlib.sha256(repr(facts).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _too_few(series: Sequence[Candles], memory: int, horizon: int) -> str:
    longest = max((len(s) for s in series), default=0)
    return (
        f"A series needs at least {memory + 1 + horizon} candles in a row for one training row "
        f"({memory} before it for the features, {horizon} after it for the label); the longest has {longest}."
    )
