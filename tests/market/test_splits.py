from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.upstream import SAMPLE
from shared.market.candles import RawCandles, rfc3339
from shared.market.splits import WINDOW, after_last_break, split_series, trailing_volatility
from tests.market.made import DAY, MONDAY, as_candles, candles, checked, found, from_parquet, raw

Splits = set[tuple[str, str]]


def with_step(
    ratio: float, *, all_day: bool = False, wild: bool = False, turnover: float = 1.0
) -> RawCandles:
    """A calm series whose prices are multiplied by `ratio` from candle 100 on, volume adjusted to fit."""
    source = raw(120, seed=3)
    for name in ("open", "high", "low", "close"):
        getattr(source, name)[100:] *= ratio
    source.volume[100:] /= ratio
    source.volume[100] *= turnover
    if all_day:
        source.open[100] = source.high[100] = source.close[99]
    if wild:
        source.close[100] = source.high[100] = source.open[100] * 1.25
        source.volume[100] /= 2
    return source


@pytest.mark.parametrize("ratio", [1 / 2, 1 / 3, 2 / 3, 1 / 4, 1 / 7, 1 / 20, 2, 10])
def test_a_quiet_gap_of_a_small_fraction_is_a_split(ratio: float) -> None:
    source = with_step(ratio)
    result = checked(source)
    assert result.breaks == (int(source.timestamp[100]),)
    assert "step_change" not in found(result)


@pytest.mark.parametrize(
    "source",
    [
        with_step(1 / 2, turnover=12),
        with_step(1 / 2, all_day=True),
        with_step(1 / 2, wild=True),
        with_step(0.58),
        with_step(0.8),
    ],
    ids=["turnover explodes", "it fell all day", "it jumps on", "no small fraction", "too small to tell"],
)
def test_a_crash_is_no_split(source: RawCandles) -> None:
    result = checked(source)
    assert result.breaks == ()
    assert result.findings[0].kind == "step_change"
    assert source.timestamp[100] in result.findings[0].timestamp


def test_a_split_is_found_without_volume_too() -> None:
    source = with_step(1 / 2)
    source.volume[:] = 0
    assert len(checked(source).breaks) == 1


def test_the_sample_has_three_splits_and_a_real_fall() -> None:
    assert suspected(SAMPLE) == {
        ("AAPL", "2000-06-21"),
        ("AAPL", "2005-02-28"),
        ("MSFT", "2003-02-18"),
    }


def test_all_splits_of_twelve_large_stocks_are_found_and_no_crash(data: Path) -> None:
    path = data / "us_long_unadjusted_daily.parquet"
    table = pq.read_table(path, columns=["symbol", "timestamp", "split"]).to_pydict()
    rows = zip(table["symbol"], table["timestamp"], table["split"], strict=True)
    known = {(symbol, stamp) for symbol, stamp, split in rows if split != 1}
    assert len(known) == 12
    assert suspected(path) == known


def test_adjusted_prices_break_only_where_the_panel_has_level_errors(data: Path) -> None:
    assert suspected(data / "sp500_daily_5y.parquet") == {
        ("BEN", "2013-07-23"),
        ("BEN", "2013-07-26"),
        ("DISCA", "2014-08-07"),
        ("DISCK", "2014-08-07"),
        ("PNR", "2018-05-01"),
    }


@pytest.mark.parametrize("name", ["index_and_spy_daily", "intraday_hourly", "intraday_minute"])
def test_indices_currencies_and_coins_have_no_splits(data: Path, name: str) -> None:
    assert suspected(data / f"{name}.parquet") == set()


@given(st.integers(1, 40), st.sets(st.integers(-3, 45)))
def test_series_are_cut_at_breaks_and_lose_nothing(count: int, days: set[int]) -> None:
    whole = candles(count)
    breaks = sorted(MONDAY + day * DAY for day in days)
    pieces = split_series(whole, breaks)
    assert np.concatenate([piece.timestamp for piece in pieces]).tolist() == whole.timestamp.tolist()
    assert all(len(piece) for piece in pieces)
    for piece in pieces:
        assert not any(piece.timestamp[0] < stamp <= piece.timestamp[-1] for stamp in breaks)
    assert after_last_break(whole, breaks).timestamp.tolist() == pieces[-1].timestamp.tolist()


def suspected(path: Path) -> Splits:
    """The suspected splits in a file of candles."""
    return {
        (source.symbol, rfc3339(stamp)[:10])
        for source in from_parquet(path)
        for stamp in checked(source).breaks
    }


@given(st.integers(0, 1_000), st.integers(2, 200))
def test_volatility_is_the_robust_deviation_of_the_returns_before(seed: int, count: int) -> None:
    close = candles(count, seed=seed).close
    change = close[1:] / close[:-1] - 1
    row = count - 1
    window = change[max(0, row - 1 - WINDOW) : row - 1] if row > 1 else change[:1]
    window = np.r_[np.full(WINDOW - len(window), window[0]), window]
    expected = 1.4826 * np.median(np.abs(window - np.median(window)))
    assert trailing_volatility(close, np.array([row])) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_an_empty_series_stays_one_piece() -> None:
    assert [len(piece) for piece in split_series(as_candles(raw(0)), [MONDAY])] == [0]
