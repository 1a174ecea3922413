"""The rows that a model has met since it was trained: features of stored candles, or audited questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.errors import EngineError, InvalidInput
from shared.evaluation.labels import direction_labels
from shared.features import FeatureSet, feature_set
from shared.market.candles import Candles, Panel, seconds_since_1970
from shared.market.splits import split_series
from shared.market.store import CandleStore, Stored
from shared.monitoring.audit import Audit
from shared.registry import Manifest

SESSIONS: Final = (1, 5, 20, 60)
"""Lengths of the windows of a market model."""

ROWS: Final = (50, 200, 1_000, 5_000)
"""Lengths of the windows of a tabular model: so many of its last questions."""

READERS: Final = 8
"""Symbols whose candles are read at the same time. Of each only its last rows are kept."""

_PAGE_ROWS = 500
_Part: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int8]]
"""Rows, their stamps, their labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`x` (n, features) float32, NaN where a value is missing, and `stamps` (n,), each row's session in
    seconds since 1970; None for rows without sessions, which then come newest first.

    `y` (n,) are the labels as positions in the classes, -1 where none is known yet; None where none is.
    `problems` says of symbols, or of audited questions, why they gave no row.
    """

    x: NDArray[np.float32]
    stamps: NDArray[np.int64] | None
    y: NDArray[np.int8] | None = None
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """How many sessions there are, or rows where there are no sessions."""
        return len(self.x) if self.stamps is None else len(np.unique(self.stamps))

    def last(self, length: int) -> NDArray[np.intp]:
        """Which rows belong to the last `length` sessions, or are the last `length` rows."""
        if self.stamps is None:
            return np.arange(min(length, len(self.x)))
        return np.flatnonzero(self.stamps >= np.unique(self.stamps)[-length])


def market_rows(store: CandleStore, manifest: Manifest, sessions: int = SESSIONS[-1]) -> Rows:
    """The rows of a market model's symbols over the latest sessions, none of which it was trained on.

    The same bits as were trained on and are served. Rows whose features aren't all defined are kept:
    missing values are something to see. At most `sessions` rows a symbol are held.

    Raises:
        InvalidInput: the manifest doesn't say what was trained on, or by features that are no longer known.
    """
    features = _features(manifest)
    if manifest.window is None or manifest.timeframe is None or not manifest.symbols:
        raise InvalidInput(
            "The package doesn't say on which symbols and up to when it was trained: train the model anew."
        )
    after = seconds_since_1970(manifest.window.end)
    asked = _Asked(manifest.timeframe, features, manifest.horizon or 1, after, sessions)
    with ThreadPoolExecutor(min(READERS, len(manifest.symbols))) as readers:
        found = list(readers.map(partial(_of_symbol, store, asked), manifest.symbols))
    problems = {s: part for s, part in zip(manifest.symbols, found, strict=True) if isinstance(part, str)}
    parts = [part for pieces in found if not isinstance(pieces, str) for part in pieces]
    x, stamps, y = (np.concatenate(column) for column in zip(asked.nothing, *parts, strict=True))
    return Rows(x, stamps, y, problems)


def tabular_rows(audit: Audit, manifest: Manifest, model_id: str, count: int = ROWS[-1]) -> Rows:
    """The features of the last `count` audited predictions of a version, newest first.

    What the audit holds of another shape is left out, and named.
    """
    rows: list[NDArray[np.float32]] = []
    problems: dict[str, str] = {}
    cursor: str | None = None
    while len(rows) + len(problems) < count:
        limit = min(_PAGE_ROWS, count - len(rows) - len(problems))
        page = audit.recent(symbol=None, model_id=model_id, limit=limit, cursor=cursor)
        for document in page.documents:
            row = _row(document.data.get("features"), len(manifest.feature_names))
            if isinstance(row, str):
                problems[document.id] = row
            else:
                rows.append(row)
        if (cursor := page.cursor) is None:
            break
    x = np.array(rows, np.float32).reshape(len(rows), len(manifest.feature_names))
    return Rows(x, None, problems=problems)


def _features(manifest: Manifest) -> FeatureSet:
    features = feature_set(manifest.feature_set)
    if features.hash != manifest.feature_set_hash:
        raise InvalidInput(
            f"The feature set {manifest.feature_set!r} has changed since the model was trained: "
            "its rows can't be computed any more. Train the model anew."
        )
    return features


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is read of each symbol: rows after a time, of its last `count` candles."""

    timeframe: str
    features: FeatureSet
    horizon: int
    after: int
    count: int

    @property
    def nothing(self) -> _Part:
        width = len(self.features.names)
        return np.empty((0, width), np.float32), np.empty(0, np.int64), np.empty(0, np.int8)


def _of_symbol(store: CandleStore, asked: _Asked, symbol: str) -> list[_Part] | str:
    """A symbol's last rows, or why it has none. It fails alone, unless for a reason that may pass."""
    try:
        stored = _stored(store, symbol, asked)
    except EngineError as error:
        if error.retryable:
            raise
        return error.detail
    since = max(asked.after, int(stored.candles.timestamp[-asked.count :][0]) - 1)
    pieces = (
        _with_memory(piece, since, asked.features.memory)
        for piece in split_series(stored.candles, stored.breaks)
    )
    return [_part(piece, asked) for piece in pieces if len(piece) > asked.features.memory]


def _part(piece: Candles, asked: _Asked) -> _Part:
    panel, memory = Panel.of([piece]), asked.features.memory
    x = asked.features.matrix(panel, dtype=np.float32)
    return x[memory:], piece.timestamp[memory:], direction_labels(panel, asked.horizon).y[memory:]


def _stored(store: CandleStore, symbol: str, asked: _Asked) -> Stored:
    """The tail, one document, where it has the rows; else all candles."""
    tail, memory = store.tail(symbol, asked.timeframe), asked.features.memory
    if tail is not None and (
        tail.is_whole
        or len(tail.candles) >= memory + asked.count
        or (len(tail.candles) > memory and tail.candles.timestamp[memory] <= asked.after)
    ):
        return tail
    return store.read(symbol, asked.timeframe)


def _with_memory(piece: Candles, since: int, memory: int) -> Candles:
    """The piece's candles after `since`, and the `memory` before them: as many as there are."""
    first = int(np.searchsorted(piece.timestamp, since, "right"))
    return piece[max(first - memory, 0) :] if first < len(piece) else piece[:0]


def _row(values: Any, width: int) -> NDArray[np.float32] | str:
    """Audited features as a row; null stands for a missing value."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != width:
        found = f"{len(values)}" if isinstance(values, (list, tuple)) else type(values).__name__
        return f"features must be {width} numbers or null, found {found}"
    if not all(value is None or (isinstance(value, (int, float)) and abs(value) < 1e300) for value in values):
        return "features must be numbers or null"
    with np.errstate(over="ignore"):
        return np.array([np.nan if value is None else value for value in values], np.float32)
