from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.market.candles import COLUMNS, RawCandles
from shared.market.checks import CONTEXT
from shared.market.findings import POLICIES, Kind, Policy
from tests.market.made import DAY, MONDAY, as_candles, as_raw, checked, found, from_parquet, raw, same

Spoil = Callable[[RawCandles], Any]


def at(row: int, **values: float) -> Spoil:
    def spoil(source: RawCandles) -> None:
        for name, value in values.items():
            getattr(source, name)[row] = value

    return spoil


REJECTED = {
    Kind.MISSING_VALUE: at(3, high=np.nan),
    Kind.NON_POSITIVE_PRICE: at(3, open=-1.0, low=-1.0),
    Kind.HIGH_LOW_ORDER: at(3, open=100, high=99, low=101, close=100),
    Kind.OPEN_CLOSE_FAR_OUTSIDE_RANGE: at(3, open=100, high=101, low=99, close=90),
    Kind.NEGATIVE_VOLUME: at(3, volume=-5.0),
}
FLAGGED = {
    Kind.OPEN_CLOSE_OUTSIDE_RANGE: at(3, open=100, high=101, low=99, close=97),
    Kind.ZERO_VOLUME: at(3, volume=0.0),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_impossible_candles_never_come_out(kind: Kind) -> None:
    source = raw(8)
    REJECTED[kind](source)
    result = checked(source)
    assert found(result)[kind] == 1
    assert len(result.candles) == 7
    assert source.timestamp[3] not in result.candles.timestamp


@pytest.mark.parametrize("kind", FLAGGED)
def test_strange_candles_come_out_with_a_finding(kind: Kind) -> None:
    source = raw(8)
    FLAGGED[kind](source)
    result = checked(source)
    assert found(result)[kind] == 1
    assert same(result.candles, as_candles(source))


def test_sound_candles_pass_untouched_and_without_findings() -> None:
    source = raw(400)
    result = checked(source)
    assert result.findings == ()
    assert result.breaks == ()
    assert same(result.candles, as_candles(source))


def test_every_kind_has_a_policy() -> None:
    assert set(POLICIES) == set(Kind)


def test_a_finding_says_how_often_when_and_how_bad() -> None:
    source = raw(8, volume=[1, 1, -7, 1, 1, -9, 1, 1])
    assert checked(source[slice(0, 7)]).summary()[0] == {
        "name": "negative_volume",
        "policy": "reject",
        "count": 2,
        "first": "2020-01-08T00:00:00Z",
        "last": "2020-01-11T00:00:00Z",
        "examples": [
            {"timestamp": "2020-01-11T00:00:00Z", "value": -9.0},
            {"timestamp": "2020-01-08T00:00:00Z", "value": -7.0},
        ],
    }


def test_candles_in_any_order_come_out_in_order_of_time() -> None:
    source = raw(6)
    backwards = source[np.arange(5, -1, -1)]
    result = checked(backwards)
    assert found(result) == {"out_of_order": 5}
    assert same(result.candles, as_candles(source))


def test_identical_copies_leave_one_candle() -> None:
    source = raw(4)
    result = checked(source[np.array([0, 1, 1, 2, 1, 3])])
    assert found(result) == {"out_of_order": 1, "duplicate_identical": 2}
    assert same(result.candles, as_candles(source))


def test_of_conflicting_candles_none_is_trusted() -> None:
    source = raw(5, timestamp=[MONDAY, MONDAY + DAY, MONDAY + DAY, MONDAY + 2 * DAY, MONDAY + 3 * DAY])
    result = checked(source)
    assert found(result) == {"duplicate_conflicting": 2, "gap": 1}
    assert result.candles.timestamp.tolist() == [MONDAY, MONDAY + 2 * DAY, MONDAY + 3 * DAY]


def test_a_sound_copy_beats_an_impossible_one() -> None:
    source = raw(3, timestamp=[MONDAY, MONDAY + DAY, MONDAY + DAY])
    at(2, close=np.nan)(source)
    assert same(checked(source).candles, as_candles(source[slice(0, 2)]))


@pytest.mark.parametrize(
    ("now_seconds", "closed", "expected"),
    [
        (MONDAY + 3 * DAY, 3, {"unclosed_candle": 2}),
        (MONDAY + 3 * DAY - 1, 2, {"unclosed_candle": 2, "future_timestamp": 1}),
        (MONDAY + 5 * DAY, 5, {}),
        (MONDAY - 40 * DAY, 0, {"future_timestamp": 5}),
    ],
)
def test_only_closed_candles_come_out(now_seconds: float, closed: int, expected: dict[str, int]) -> None:
    result = checked(raw(5), now_seconds=now_seconds)
    assert len(result.candles) == closed
    assert found(result) == expected


def test_intraday_candles_close_at_their_stamp() -> None:
    source = raw(5, timeframe="1h", step_seconds=3600)
    assert len(checked(source, now_seconds=MONDAY + 2 * 3600).candles) == 3


def test_an_index_has_no_volume_and_nothing_is_wrong_with_that() -> None:
    result = checked(raw(30, volume=[0] * 30))
    assert found(result) == {"no_volume": 30}
    assert result.findings[0].policy is Policy.ACCEPT


def test_a_repeated_candle_is_found_at_any_small_distance() -> None:
    source = raw(40)
    for name in COLUMNS:
        getattr(source, name)[30] = getattr(source, name)[25]
    result = checked(source)
    assert found(result) == {"stale_repeat": 1}
    assert result.findings[0].values.tolist() == [5]


def test_a_large_move_is_a_step() -> None:
    close = [100.0 + 0.01 * i for i in range(70)]
    close[65:] = [price * 1.2 for price in close[65:]]
    result = checked(raw(70, open=close, high=close, low=close, close=close))
    assert found(result) == {"step_change": 1}
    assert result.findings[0].values[0] == pytest.approx(0.2, rel=0.01)


def test_gaps_follow_the_calendar() -> None:
    source = raw(7)
    assert found(checked(source, calendar="XNYS")) == {"outside_session": 2}
    weekdays = source[np.array([0, 1, 3, 4])]
    assert found(checked(weekdays, calendar="XNYS")) == {"gap": 1}


def test_nothing_in_nothing_out() -> None:
    result = checked(raw(0))
    assert len(result.candles) == 0
    assert result.findings == ()


def spoiled(seed: int, count: int) -> RawCandles:
    """Candles with every kind of fault somewhere."""
    random = np.random.default_rng(seed)
    source = raw(count, seed=seed)
    for name in COLUMNS:
        hit = random.random(count) < 0.03
        getattr(source, name)[hit] = random.choice([0.0, -1.0, np.nan, 1e-300, 1e300, 50.0], hit.sum())
    jump = int(random.integers(count))
    for name in ("open", "high", "low", "close"):
        getattr(source, name)[jump:] *= random.choice([0.5, 2.0, 0.1])
    return source[np.sort(random.integers(0, count, count))]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 90))
def test_what_comes_out_is_always_sound(seed: int, count: int) -> None:
    out = checked(spoiled(seed, count)).candles
    prices = np.array([out.open, out.high, out.low, out.close])
    assert (np.diff(out.timestamp) > 0).all()
    assert np.isfinite(prices).all()
    assert (prices > 0).all()
    assert (out.high >= out.low * (1 - 1e-9)).all()
    assert (out.volume >= 0).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 699), tail=st.integers(0, 300))
def test_a_candle_is_judged_the_same_alone_as_in_all_history(seed: int, cut: int, tail: int) -> None:
    whole = checked(spoiled(seed, 700))
    series = whole.candles
    cut = min(cut, len(series) - 1)
    before = series[max(0, cut - CONTEXT - tail) : cut]
    part = checked(as_raw(series[cut:]), previous=before)
    later = int(series.timestamp[cut])
    assert part.breaks == tuple(stamp for stamp in whole.breaks if stamp >= later)
    contextual = {
        (finding.kind, stamp)
        for finding in checked(as_raw(series)).findings
        for stamp in finding.timestamp.tolist()
    }
    assert {(finding.kind, stamp) for finding in part.findings for stamp in finding.timestamp.tolist()} == {
        (kind, stamp) for kind, stamp in contextual if stamp >= later
    }


def test_the_context_reaches_as_far_back_as_any_finding() -> None:
    source = raw(400)
    source.volume[101:] = 0  # the last trade is in candle 100: halted for 250 candles, then without volume
    for cut in (110, 200, 349, 350, 351, 399):
        alone = checked(source[slice(cut, cut + 1)], previous=as_candles(source[slice(0, cut)]))
        assert found(alone) == {"zero_volume" if cut <= 350 else "no_volume": 1}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 200))
def test_the_future_changes_no_finding(seed: int, cut: int) -> None:
    series = checked(spoiled(seed, 220)).candles
    assume(len(series) > 0)  # what is spoiled beyond use leaves none
    cut = min(cut, len(series))
    whole, part = checked(as_raw(series)), checked(as_raw(series[:cut]))
    end = int(series.timestamp[cut - 1])
    assert part.breaks == tuple(stamp for stamp in whole.breaks if stamp <= end)
    for finding in whole.findings:
        early = finding.timestamp[finding.timestamp <= end].tolist()
        assert early == [t for other in part.findings if other.kind is finding.kind for t in other.timestamp]


def test_real_panel_gives_the_faults_it_is_known_for(data: Path) -> None:
    totals: dict[str, int] = {}
    for source in from_parquet(data / "sp500_daily_5y.parquet"):
        for name, count in found(checked(source, calendar="XNYS")).items():
            totals[name] = totals.get(name, 0) + count
    assert totals["missing_value"] == 11
    assert totals["open_close_outside_range"] + totals["open_close_far_outside_range"] == 207
    assert totals["open_close_far_outside_range"] == 3
    assert totals["stale_repeat"] == 527
    assert "high_low_order" not in totals
    assert "outside_session" not in totals


def test_real_hours_hold_five_copied_candles(data: Path) -> None:
    bitcoin = next(s for s in from_parquet(data / "intraday_hourly.parquet") if s.symbol == "BTC-USD")
    result = checked(bitcoin)
    assert {name: found(result)[name] for name in ("out_of_order", "stale_repeat", "zero_volume")} == {
        "out_of_order": 5,
        "stale_repeat": 5,
        "zero_volume": 28,
    }
    assert result.breaks == ()
