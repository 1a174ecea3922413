"""The features against other libraries, and what they are where windows are odd."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from shared.features import feature_set
from shared.market.candles import COLUMNS, Candles, Panel
from tests.benchmarks.peers import features_pandas
from tests.features.made import candles, real_candles, with_closes

SETTLED = 600
"""After so many candles, what exponential means of endless memory began with is forgotten."""

AGREEMENT = {
    "rsi_14": 0.05,
    "atr_14": 2e-5,
    "macd_12_26": 1e-4,
    "macd_12_26_signal_9": 5e-4,
    "macd_12_26_histogram_9": 5e-4,
}
"""How far features of exponential means may be from those of endless memory: they forget a thousandth of the
weight at most. Scales: RSI 0 to 100, the others shares of the close, commonly 0.02."""


@pytest.fixture(params=["made", "AAPL", "GOOG", "IBM", "MSFT"])
def series(request: pytest.FixtureRequest) -> Candles:
    return candles(1_500) if request.param == "made" else real_candles(request.param)


def technical(series: Candles) -> dict[str, NDArray[np.float64]]:
    features = feature_set("technical")
    return dict(zip(features.names, features.matrix(Panel.of([series])).T, strict=True))


def test_technical_agrees_with_pandas(series: Candles) -> None:
    columns = {name: pd.Series(getattr(series, name)) for name in COLUMNS}
    expected = features_pandas.technical(columns, features_pandas.Plain())
    expected |= features_pandas.calendar(pd.Series(series.timestamp.astype("M8[s]")))
    found = technical(series)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        tolerance = AGREEMENT.get(name, 1e-8)  # pandas' rolling deviation is a running sum
        assert values[SETTLED:] == pytest.approx(expected[name][SETTLED:].to_numpy(), abs=tolerance), name


def test_technical_agrees_with_talib(series: Candles) -> None:
    high, low, close = series.high, series.low, series.close
    macd = talib.MACD(close, 12, 26, 9)
    upper, middle, _ = talib.BBANDS(close, 20, 1.0, 1.0)
    lowest, highest = talib.MIN(np.minimum(low, close), 20), talib.MAX(np.maximum(high, close), 20)
    expected = {
        "rsi_14": talib.RSI(close, 14),
        "atr_14": talib.ATR(high, low, close, 14) / close,
        "macd_12_26": macd[0] / close,
        "macd_12_26_signal_9": macd[1] / close,
        "macd_12_26_histogram_9": macd[2] / close,
        "bollinger_z_20": (close - middle) / (upper - middle),
        "close_to_average_60": close / talib.SMA(close, 60) - 1.0,
        "return_10": talib.ROCP(close, 10),
        "range_position_20": (close - lowest) / (highest - lowest),
    }
    found = technical(series)
    for name, values in expected.items():
        assert found[name][SETTLED:] == pytest.approx(values[SETTLED:], abs=AGREEMENT.get(name, 1e-8)), name


def test_core_is_return_average_and_volatility() -> None:
    series, core = candles(300), feature_set("core")
    close = pd.Series(series.close)
    returns = close.pct_change()
    expected = np.transpose([returns, close.rolling(20).mean(), returns.rolling(20).std()])
    assert core.names == ("return_1", "moving_average_20", "volatility_20")
    assert core.matrix(Panel.of([series])) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_first_candle_of_a_series_knows_its_own_shape_and_day_only() -> None:
    known = {name for name, values in technical(candles(1)).items() if not np.isnan(values[0])}
    calendar = {"weekday_sine", "weekday_cosine", "month_sine", "month_cosine"}
    assert known == calendar | {"body", "upper_wick", "lower_wick"}


def test_prices_that_do_not_move_leave_undefined_what_compares_moves() -> None:
    still = technical(with_closes(np.full(200, 57.33)))
    undefined = {name for name, values in still.items() if np.isnan(values[-1])}
    assert undefined == {
        "rsi_14",
        "bollinger_z_20",
        "range_position_20",
        "volatility_ratio_5_10",
        "volatility_ratio_10_20",
        "volatility_ratio_20_60",
    }
    for name in (
        "return_20",
        "log_return_1",
        "close_to_average_20",
        "volatility_60",
        "atr_14",
        "gap",
        "body",
    ):
        assert still[name][-1] == 0.0, name


def test_volume_that_is_always_zero_leaves_its_score_undefined_and_nothing_else() -> None:
    index = technical(replace(candles(300), volume=np.zeros(300)))
    assert {name for name, values in index.items() if np.isnan(values[-1])} == {"volume_z_20"}


@pytest.mark.parametrize(("step", "strength"), [(1.01, 100.0), (0.99, 0.0)])
def test_strength_of_prices_that_only_rise_or_fall_is_exactly_at_its_end(
    step: float, strength: float
) -> None:
    close = 100.0 * np.cumprod(np.full(300, step))
    assert (technical(with_closes(close))["rsi_14"][128:] == strength).all()


def test_range_position_stays_within_its_range_where_closes_leave_theirs() -> None:
    series = candles(400)
    closes_outside = replace(series, close=series.close * (1.0 + 0.05 * np.sin(np.arange(400.0))))
    position = technical(closes_outside)["range_position_20"][19:]
    assert position.min() == 0.0
    assert position.max() == 1.0


def test_missing_price_is_missing_from_the_windows_that_hold_it_and_no_others() -> None:
    series = candles(400)
    close = series.close.copy()
    close[200] = np.nan
    features = feature_set("technical")
    spoiled = np.isnan(features.matrix(Panel.of([replace(series, close=close)])))
    reads_close = {"volume_z_20", "weekday_sine", "weekday_cosine", "month_sine", "month_cosine"}
    for feature, missing in zip(features.features, spoiled.T, strict=True):
        last = 200 + feature.memory
        assert not missing[last + 1 :].any(), feature.name
        assert not missing[feature.memory : 200].any(), feature.name
        assert missing[last] == (feature.name not in reads_close), feature.name


anything = hnp.arrays(np.float64, (5, 30), elements=st.floats(allow_subnormal=True))


@settings(deadline=None, max_examples=100)
@given(anything, st.integers(159, 300))
def test_neither_infinities_nor_warnings_come_out_of_any_numbers(
    block: NDArray[np.float64], count: int
) -> None:
    columns = np.resize(block.T, (count, 5)).T
    series = Candles("ANY", "1d", candles(count).timestamp, *columns)
    features = feature_set("technical")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matrix = features.matrix(Panel.of([series]))
        row = features.latest(series)
    assert not np.isinf(matrix).any()
    assert row.tobytes() == matrix[-1].tobytes()


def test_every_feature_says_what_it_is() -> None:
    for name in ("core", "technical"):
        for feature in feature_set(name).features:
            assert all((feature.name, feature.unit, feature.meaning, feature.source, str(feature.formula)))
