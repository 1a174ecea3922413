"""The rows behind a drift check, read again: its windows, and a sample of what its model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput, NotFound
from shared.features import FeatureSet, feature_set
from shared.instance import Instance
from shared.jobs.multivariate import MAX_ROWS
from shared.market.candles import Panel, seconds_since_1970
from shared.market.splits import split_series
from shared.market.store import CandleStore
from shared.monitoring.drift.record import DriftCheck
from shared.monitoring.drift.windows import SESSIONS, Rows, market_rows, tabular_rows
from shared.registry import Manifest

_SESSIONS_SINCE: Final = 60
"""How much later than its check a report can be made: sessions that came meanwhile are passed over."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionRows:
    """Rows (n, features), and the session of each; `stamps` is None for rows without, the newest first."""

    x: NDArray[np.float32]
    stamps: NDArray[np.int64] | None

    def places(self, window: Mapping[str, Any]) -> NDArray[np.intp]:
        """Which rows belong to one of the check's windows."""
        if self.stamps is None:
            return np.arange(min(window["length"], len(self.x)))
        return np.flatnonzero(_between(self.stamps, window))


def checked_rows(instance: Instance, check: DriftCheck, manifest: Manifest) -> SessionRows:
    """The rows that `check` looked at, as the store has them now.

    Raises:
        NotFound: none of them are there any more.
        InvalidInput: they can't be computed any more, since the features have changed.
    """
    rows = _rows(instance, check, manifest)
    told_of_full_ones = "rows" if rows.stamps is None else "start"
    judged = [window for window in check.windows if window[told_of_full_ones]]
    if not judged or not len(rows.x):
        raise NotFound("None of the rows that were checked are there any more.")
    longest = max(judged, key=lambda window: int(window["length"]))
    if rows.stamps is None:
        return SessionRows(rows.x[: longest["length"]], None)
    keep = _between(rows.stamps, longest)
    if not keep.any():
        raise NotFound("None of the sessions that were checked are there any more.")
    return SessionRows(rows.x[keep], rows.stamps[keep])


def reference_rows(store: CandleStore, manifest: Manifest, count: int = MAX_ROWS) -> SessionRows:
    """At most about `count` rows of what a market model was trained on: of each symbol as many, drawn at
    random, but the same at every call.

    Raises:
        InvalidInput: the package doesn't say what was trained on, or by features that have changed.
        NotFound: its candles aren't stored any more.
    """
    if manifest.window is None or manifest.timeframe is None or not manifest.symbols:
        raise InvalidInput("What the model was trained on aren't stored candles.")
    features = feature_set(manifest.feature_set)
    if features.hash != manifest.feature_set_hash:
        raise InvalidInput(
            f"The feature set {manifest.feature_set!r} has changed since the model was trained."
        )
    share = -(-count // len(manifest.symbols))
    period = (seconds_since_1970(manifest.window.start), seconds_since_1970(manifest.window.end))
    rng = np.random.default_rng(0)
    parts = []
    for symbol in manifest.symbols:
        for x, stamps in _trained(store, features, symbol, manifest.timeframe, period):
            kept = np.sort(rng.permutation(len(x))[:share])
            parts.append((x[kept], stamps[kept]))
    if not parts:
        raise NotFound("The candles that the model was trained on aren't stored any more.")
    return SessionRows(np.concatenate([x for x, _ in parts]), np.concatenate([stamps for _, stamps in parts]))


def _rows(instance: Instance, check: DriftCheck, manifest: Manifest) -> Rows:
    if check.unit == "rows":
        return tabular_rows(instance.audit, manifest, check.model_id)
    return market_rows(instance.candle_store, manifest, SESSIONS[-1] + _SESSIONS_SINCE)


def _between(stamps: NDArray[np.int64], window: Mapping[str, Any]) -> NDArray[np.bool_]:
    first, last = (seconds_since_1970(window[end]) for end in ("start", "end"))
    return (stamps >= first) & (stamps <= last)


def _trained(
    store: CandleStore, features: FeatureSet, symbol: str, timeframe: str, period: tuple[int, int]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """A symbol's rows of the period that have all features, and their stamps, per unbroken piece."""
    try:
        stored = store.read(symbol, timeframe)
    except NotFound:
        return
    for piece in split_series(stored.candles, stored.breaks):
        upto = piece[: int(np.searchsorted(piece.timestamp, period[1], "right"))]
        if len(upto) > features.memory:
            x = features.matrix(Panel.of([upto]), dtype=np.float32)
            usable = (upto.timestamp >= period[0]) & np.isfinite(x).all(axis=1)
            usable[: features.memory] = False
            yield x[usable], upto.timestamp[usable]
