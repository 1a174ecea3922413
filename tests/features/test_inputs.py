from __future__ import annotations

import datetime
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.features.inputs import (
    CALENDAR,
    COLUMNS,
    CalendarTable,
    calendar_of,
    calendar_of_day,
    discard_invalid,
    smallest_valid,
)

CYCLE_DAYS = 146_097


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, -np.inf, 1e300, 1e-300])
def test_a_price_that_is_none_counts_as_missing(bad: float) -> None:
    prices = np.array([1.0, bad, 2.0])
    discard_invalid(prices, smallest_valid("close")[0])
    assert np.array_equal(prices, [1.0, np.nan, 2.0], equal_nan=True)
    assert prices.tobytes() == np.array([1.0, np.nan, 2.0]).tobytes()


def test_volume_may_be_zero_fractional_and_huge() -> None:
    volume = np.array([0.0, 0.25, 1.1e10, -1.0])
    discard_invalid(volume, smallest_valid("volume")[0])
    assert np.array_equal(volume, [0.0, 0.25, 1.1e10, np.nan], equal_nan=True)


def test_each_row_of_a_table_has_its_own_smallest_number() -> None:
    table = np.zeros((2, 3))
    discard_invalid(table, smallest_valid("close", "volume"))
    assert np.array_equal(np.isnan(table), [[True] * 3, [False] * 3])


@given(st.dates())
def test_calendar_agrees_with_the_standard_library(date: datetime.date) -> None:
    day = (date - datetime.date(1970, 1, 1)).days
    week, year = 2 * math.pi * date.weekday() / 7, 2 * math.pi * (date.month - 1) / 12
    expected = (math.sin(week), math.cos(week), math.sin(year), math.cos(year))
    assert calendar_of_day(day) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("first_day", [0, -700_000, 14_000])
def test_table_gives_what_each_day_gives(first_day: int) -> None:
    days = first_day + np.array([0, 1, 1, 40, 365, CYCLE_DAYS - 1, CYCLE_DAYS, 3 * CYCLE_DAYS + 77])
    table = CalendarTable(days * 86_400 + 3_600)
    out = np.empty(len(days))
    for name, expected in zip(CALENDAR, calendar_of(days), strict=True):
        table.write(name, table.places(days * 86_400 + 3_600), out)
        assert np.array_equal(out, expected)


def test_columns_begin_with_those_of_candles() -> None:
    """The online plan lays them in this order."""
    assert COLUMNS[:5] == ("open", "high", "low", "close", "volume")
