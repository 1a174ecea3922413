"""The same features of the same candles by every contestant, in turns; and whether they agree."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from shared.features import FeatureSet, feature_set
from shared.market.candles import COLUMNS, Candles, Panel, Values
from tests.benchmarks.peers import features_pandas, features_polars
from tests.features.made import candles as make_candles

Contestants: TypeAlias = Mapping[str, Callable[[], object]]

REUSED, FRESH = "kernels, buffer used again", "kernels, fresh memory"
GROUPED, WIDE, OVER = "pandas, group-by", "pandas, wide (same days for all)", "polars, lazy over"
KERNELS, PANDAS = "kernels", "pandas, same window"
REPEATS = {KERNELS: 2_000, PANDAS: 20}

SETTLED_CANDLES = 1_000
"""After so many, what exponential means of endless memory began with is forgotten."""
EXPONENTIAL = ("rsi", "macd", "atr")
TOLERANCE, EXPONENTIAL_TOLERANCE = 1e-6, 0.05
"""In standard deviations of a feature. Our exponential means forget a thousandth of the weight on purpose;
pandas' rolling deviation, a running sum, is what the first one is wide for."""


class Seconds(NamedTuple):
    """Processor time: all of it, and the user's part."""

    total: float
    user: float


def hold(symbols: int, count: int, rounds: int) -> dict[str, Any]:
    """The figures, as `bench_features` prints them."""
    features = feature_set("technical")
    series = [make_candles(count, seed, f"S{seed:03}") for seed in range(symbols)]
    panel = Panel.of(series)
    offline = _offline(features, panel)
    matrix = features.matrix(panel)
    figures = {
        "features": len(features.names),
        "symbols": symbols,
        "candles": count,
        "rounds": rounds,
        "differences": {
            name: _difference(features, matrix, panel, offline[name]()) for name in (GROUPED, OVER)
        },
        "equal_rows": _equal_rows(features, matrix, panel, series),
    }
    del matrix
    figures["offline"] = _offline_figures(_take_turns(offline, rounds), len(panel))
    figures["online"] = _online_figures(_take_turns(_online(features, series[0]), rounds))
    return figures


def _offline(features: FeatureSet, panel: Panel) -> Contestants:
    buffer = np.zeros((len(panel), len(features.names)), order="F")
    symbol = np.repeat(np.arange(len(panel.symbols), dtype=np.uint32), np.diff(panel.starts))
    time = panel.timestamp.astype("M8[s]")
    columns = {name: getattr(panel, name) for name in COLUMNS}
    long = {name: pd.Series(values) for name, values in columns.items()}
    wide = {name: _wide(values, len(panel.symbols)) for name, values in columns.items()}
    table = pl.DataFrame({"symbol": symbol, "time": time.astype("M8[ms]"), **columns})
    table = table.with_columns(pl.col("symbol").set_sorted())
    groups, times = pd.Series(symbol), pd.Series(time)
    wide_times = times[: len(wide["close"])]
    return {
        REUSED: lambda: features.matrix(panel, out=buffer),
        FRESH: lambda: features.matrix(panel),
        GROUPED: lambda: _pandas(long, times, features_pandas.Grouped(groups)),
        WIDE: lambda: _pandas(wide, wide_times, features_pandas.Plain()),
        OVER: lambda: features_polars.technical(table.lazy()).collect(),
    }


def _online(features: FeatureSet, candles: Candles) -> Contestants:
    window = candles[-(features.memory + 1) :]
    columns = {name: pd.Series(getattr(window, name)) for name in COLUMNS}
    times = pd.Series(window.timestamp.astype("M8[s]"))
    plain = features_pandas.Plain()
    return {
        KERNELS: lambda: [features.latest(window) for _ in range(REPEATS[KERNELS])],
        PANDAS: lambda: [_last(_pandas(columns, times, plain)) for _ in range(REPEATS[PANDAS])],
    }


def _pandas(columns: Mapping[str, Any], times: Any, windows: Any) -> dict[str, Any]:
    return features_pandas.technical(columns, windows) | features_pandas.calendar(times)


def _last(columns: Mapping[str, Any]) -> list[float]:
    return [column.iloc[-1] for column in columns.values()]


def _wide(values: NDArray[np.float64], symbols: int) -> pd.DataFrame:
    return pd.DataFrame(np.ascontiguousarray(values.reshape(symbols, -1).T))


def _take_turns(contestants: Contestants, rounds: int) -> dict[str, Seconds]:
    """Medians. Every other round goes backwards; the first one isn't counted."""
    taken: dict[str, list[Seconds]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name in sorted(contestants, reverse=number % 2 == 0):
            taken[name].append(_seconds(contestants[name]))
    return {
        name: Seconds(*(statistics.median(part) for part in zip(*own[1:], strict=True)))
        for name, own in taken.items()
    }


def _seconds(contestant: Callable[[], object]) -> Seconds:
    began = resource.getrusage(resource.RUSAGE_SELF)
    result = contestant()  # freeing it is not timed
    ended = resource.getrusage(resource.RUSAGE_SELF)
    del result
    user = ended.ru_utime - began.ru_utime
    return Seconds(user + ended.ru_stime - began.ru_stime, user)


def _offline_figures(taken: Mapping[str, Seconds], rows: int) -> dict[str, Any]:
    ours = taken[REUSED]
    return {
        name: {
            "seconds": seconds.total,
            "user_seconds": seconds.user,
            "rows_per_second": rows / seconds.total,
            "times": seconds.total / ours.total,
            "times_user": seconds.user / ours.user,
        }
        for name, seconds in taken.items()
    }


def _online_figures(taken: Mapping[str, Seconds]) -> dict[str, Any]:
    microseconds = {name: taken[name].total / REPEATS[name] * 1e6 for name in taken}
    return {
        name: {"microseconds": value, "times": value / microseconds[KERNELS]}
        for name, value in microseconds.items()
    }


def _equal_rows(features: FeatureSet, matrix: Values, panel: Panel, series: Sequence[Candles]) -> int:
    """How many symbols' last rows are the same bits from the window alone."""
    last = (matrix[end - 1] for end in panel.starts[1:])
    windows = (candles[-(features.memory + 1) :] for candles in series)
    return sum(
        features.latest(window).tobytes() == row.tobytes() for window, row in zip(windows, last, strict=True)
    )


def _difference(features: FeatureSet, matrix: Values, panel: Panel, values: Any) -> str:
    """The largest differences from `values`, a mapping of columns.

    Raises:
        SystemExit: a column differs by more than its tolerance: the contestants don't compute the same.
    """
    position = np.arange(len(panel)) - np.repeat(panel.starts[:-1], np.diff(panel.starts))
    settled = position >= SETTLED_CANDLES
    largest = {"all but exponential means": 0.0, "exponential means": 0.0}
    for feature, name in enumerate(features.names):
        ours, theirs = matrix[settled, feature], np.asarray(values[name])[settled]
        kind, tolerance = _tolerance(name)
        difference = float(np.max(np.abs(ours - theirs)) / np.std(ours))
        if not difference <= tolerance:
            raise SystemExit(f"{name} differs by {difference:.1e} standard deviations, {tolerance} allowed")
        largest[kind] = max(largest[kind], difference)
    return ", ".join(f"{kind} {difference:.1e} standard deviations" for kind, difference in largest.items())


def _tolerance(name: str) -> tuple[str, float]:
    if name.startswith(EXPONENTIAL):
        return "exponential means", EXPONENTIAL_TOLERANCE
    return "all but exponential means", TOLERANCE
