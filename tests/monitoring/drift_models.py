"""Models to look for drift of: real packages whose profile is that of the sample candles."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.drift import build_profile
from shared.evaluation.labels import direction_labels
from shared.market.candles import Panel, RawCandles, rfc3339, seconds_since_1970
from shared.market.splits import split_series
from shared.market.store import CandleStore
from shared.registry import Package, Scorer, Window
from shared.registry.package import EXAMPLES, MODEL
from tests.market.made import checked, from_parquet
from tests.packages import CLASSES, FEATURES, REPORT, market_package

SAMPLE = Path(__file__).parents[2] / "infra" / "local" / "data" / "public_domain_5_symbols_daily.parquet"
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
"""Of the sample candles: those with years of them."""

SINCE = seconds_since_1970("2008-01-01T00:00:00Z")
TRAINED_UNTIL = seconds_since_1970("2010-12-31T00:00:00Z")
DAY = 86_400


@cache
def sample() -> dict[str, RawCandles]:
    found = {raw.symbol: raw for raw in from_parquet(SAMPLE)}
    return {symbol: found[symbol][found[symbol].timestamp >= SINCE] for symbol in SYMBOLS}


def ingest(store: CandleStore, *series: RawCandles) -> None:
    for raw in series:
        store.ingest(raw.symbol, "1d", checked(raw))


def until(raw: RawCandles, last: int) -> RawCandles:
    return raw[raw.timestamp <= last]


def after(raw: RawCandles, first: int, sessions: int) -> RawCandles:
    """The first `sessions` candles after a time."""
    later = raw[raw.timestamp > first]
    return later[np.arange(min(sessions, len(later)))]


def stretched(raw: RawCandles, times: float) -> RawCandles:
    """The same candles, their highest prices so many times as high: as an upstream's fault."""
    return replace(raw, high=raw.high * times)


def drift_package(*, trained_until: int = TRAINED_UNTIL, **changes: Any) -> Package:
    """A package whose profile and manifest say that it was trained on the sample candles up to a time."""
    base = market_package()
    x, _, stamps = _rows(trained_until)
    said = {
        "window": Window(start=rfc3339(int(stamps.min())), end=rfc3339(int(stamps.max()))),
        "symbols": SYMBOLS,
        "rows": len(x),
        **changes,
    }
    return Package.build(
        base.manifest.model_copy(update=said),
        model=base.file(MODEL),
        examples=base.file(EXAMPLES),
        profile=_profile(trained_until),
        report=REPORT.encode(),
    )


@cache
def _profile(trained_until: int) -> bytes:
    x, y, stamps = _rows(trained_until)
    scores = Scorer(market_package().file(MODEL)).score(x)[:, 1]
    found = build_profile(x, FEATURES.names, scores, CLASSES, y, sessions=stamps, score_sessions=stamps)
    return found.to_json()


@cache
def _rows(trained_until: int) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]:
    """Rows, labels and stamps as training has them."""
    parts = []
    for raw in sample().values():
        good = checked(until(raw, trained_until))
        for piece in split_series(good.candles, good.breaks):
            panel = Panel.of([piece])
            x = FEATURES.matrix(panel, dtype=np.float32)
            y = direction_labels(panel, 1).y
            keep = (np.arange(len(piece)) >= FEATURES.memory) & np.isfinite(x).all(axis=1) & (y >= 0)
            parts.append((x[keep], y[keep], piece.timestamp[keep]))
    x, y, stamps = (np.concatenate(column) for column in zip(*parts, strict=True))
    return x, y, stamps
