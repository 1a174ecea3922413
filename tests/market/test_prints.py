"""Bad prints, and what is no bad print."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shared.market.candles import PRICES, RawCandles
from tests.market.made import checked, found, raw

ROW = 100


def printed(factor: float = 1.2) -> RawCandles:
    """A calm series whose candle 100 stands on a level of its own."""
    source = raw(130, seed=3)
    for name in PRICES:
        getattr(source, name)[ROW] *= factor
    source.volume[ROW] /= factor
    return source


@pytest.mark.parametrize("factor", [0.7, 0.85, 1.15, 1.3, 3.0])
def test_a_candle_away_from_both_its_neighbours_is_a_bad_print(factor: float) -> None:
    source = printed(factor)
    result = checked(source)
    assert found(result)["bad_print"] == 1
    (finding,) = [one for one in result.findings if one.kind == "bad_print"]
    assert finding.timestamp.tolist() == [source.timestamp[ROW + 1]], "only what follows shows it"
    assert finding.values[0] == pytest.approx(factor - 1, abs=0.03)


def stays(source: RawCandles) -> None:
    for name in PRICES:
        getattr(source, name)[ROW + 1 :] *= 1.2


def is_much_traded(source: RawCandles) -> None:
    source.volume[ROW] *= 4


def walks_back_after_the_open(source: RawCandles) -> None:
    source.open[ROW + 1] = source.high[ROW + 1] = source.close[ROW]


def walked_there_within_the_session(source: RawCandles) -> None:
    source.open[ROW] = source.low[ROW] = source.close[ROW - 1]


def comes_back_half_way(source: RawCandles) -> None:
    for name in PRICES:
        getattr(source, name)[ROW + 1] *= 1.1


@pytest.mark.parametrize(
    "spoil",
    [stays, is_much_traded, walks_back_after_the_open, walked_there_within_the_session, comes_back_half_way],
)
def test_a_real_move_is_none(spoil: Callable[[RawCandles], None]) -> None:
    source = printed()
    spoil(source)
    assert "bad_print" not in found(checked(source))


def test_a_small_one_is_within_what_prices_do() -> None:
    assert "bad_print" not in found(checked(printed(1.02)))


@pytest.mark.parametrize("count", range(4))
def test_short_series_are_judged_too(count: int) -> None:
    assert "bad_print" not in found(checked(raw(count)))


def test_it_is_found_without_volume_too() -> None:
    source = printed()
    source.volume[:] = 0
    assert found(checked(source))["bad_print"] == 1


def test_it_is_found_when_the_next_candle_comes_alone() -> None:
    source = printed()
    before = checked(source[slice(0, ROW + 1)])
    assert "bad_print" not in found(before)
    after = checked(source[slice(ROW + 1, ROW + 2)], previous=before.candles)
    assert found(after) == {"step_change": 1, "bad_print": 1}
    assert np.isfinite(after.findings[-1].values).all()
