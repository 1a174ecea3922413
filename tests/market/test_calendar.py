import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.market import xnys
from shared.market.calendar import CalendarName, calendar_named
from shared.market.candles import seconds_since_1970
from tests.market.made import DAY


def days(*dates: str) -> np.ndarray:
    return np.array(dates, "datetime64[s]").astype(np.int64)


def test_closures_are_those_of_the_exchange() -> None:
    import exchange_calendars

    exchange = exchange_calendars.get_calendar("XNYS", start=xnys.FIRST_DAY, end=xnys.LAST_DAY)
    sessions = exchange.sessions.to_numpy().astype("datetime64[D]")
    every = np.arange(xnys.FIRST_DAY, np.datetime64(xnys.LAST_DAY) + 1, dtype="datetime64[D]")
    closed = np.setdiff1d(every[np.is_busday(every)], sessions)
    assert xnys.closures() == [str(day) for day in closed]
    assert np.is_busday(sessions).all()


def test_weekends_holidays_and_closures_are_no_gaps() -> None:
    calendar = calendar_named("XNYS")
    stamps = days("2001-09-07", "2001-09-10", "2001-09-17", "2001-09-18", "2001-12-24", "2001-12-26")
    assert calendar.missing_before(stamps, "1d")[:4].tolist() == [0, 0, 0, 0]
    assert calendar.missing_before(stamps, "1d")[5] == 0


def test_missing_sessions_are_counted() -> None:
    stamps = days("2024-01-05", "2024-01-10", "2024-01-11")
    assert calendar_named("XNYS").missing_before(stamps, "1d").tolist() == [0, 2, 0]


def test_a_market_that_never_closes_misses_every_step_of_its_grid() -> None:
    calendar = calendar_named("24/7")
    assert calendar.missing_before(np.array([0, 3600, 10800, 10900]), "1h").tolist() == [0, 0, 1, 0]
    assert calendar.missing_before(np.array([0, 3 * DAY]), "1d").tolist() == [0, 2]


def test_days_without_a_session_are_told() -> None:
    stamps = days("2024-01-05", "2024-01-06", "2024-01-15")
    assert calendar_named("XNYS").is_outside(stamps, "1d").tolist() == [False, True, True]
    assert not calendar_named("24/7").is_outside(stamps, "1d").any()


def test_nothing_is_claimed_beyond_the_closures_known() -> None:
    stamps = days("1950-01-01", "1950-06-01", "2060-01-01", "2060-06-01")
    assert not calendar_named("XNYS").missing_before(stamps, "1d").any()
    assert not calendar_named("XNYS").is_outside(stamps, "1d").any()
    assert not calendar_named("XNYS").missing_before(np.array([0, 7200]), "1h").any()


TIMEFRAMES = st.sampled_from(["1m", "1h", "1d", "2d", "5d"])
NAMES: st.SearchStrategy[CalendarName] = st.sampled_from(["XNYS", "24/7"])
MOMENTS = st.integers(seconds_since_1970("1995-01-01T00:00:00Z"), seconds_since_1970("2035-01-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("last", "missed"), [("2024-01-16", 0), ("2024-01-12", 0), ("2024-01-11", 1), ("2024-01-10", 2)]
)
def test_only_sessions_that_are_over_are_missed(last: str, missed: int) -> None:
    """It is Tuesday, and on Monday the exchange was closed."""
    now = seconds_since_1970("2024-01-16T23:00:00Z")
    calendar = calendar_named("XNYS")
    assert calendar.missed_after(seconds_since_1970(f"{last}T00:00:00Z"), "1d", now) == missed


def test_an_hour_of_a_market_with_sessions_is_missed_when_its_day_is_over() -> None:
    calendar = calendar_named("XNYS")
    last = seconds_since_1970("2024-01-11T15:00:00Z")
    assert calendar.missed_after(last, "1h", seconds_since_1970("2024-01-12T23:59:59Z")) == 0
    assert calendar.missed_after(last, "1h", seconds_since_1970("2024-01-13T00:00:00Z")) == 1


def test_a_market_that_never_closes_misses_each_candle_as_it_closes() -> None:
    calendar = calendar_named("24/7")
    assert [calendar.missed_after(7200, "1h", now) for now in (7200, 10799, 10800, 14400)] == [0, 0, 1, 2]
    assert [calendar.missed_after(0, "1d", day * DAY) for day in (1, 2, 3)] == [0, 1, 2]


@given(NAMES, TIMEFRAMES, MOMENTS, st.integers(0, 60 * DAY), st.integers(0, 6))
def test_what_is_due_divides_those_that_missed_more_from_those_that_did_not(
    name: CalendarName, timeframe: str, now: int, age: int, missed: int
) -> None:
    calendar, last = calendar_named(name), now - age
    is_beyond = calendar.missed_after(last, timeframe, now) > missed
    assert is_beyond == (last < calendar.due(timeframe, now, missed=missed))


@given(NAMES, TIMEFRAMES, MOMENTS)
def test_the_first_session_is_missed_from_its_end_on(name: CalendarName, timeframe: str, last: int) -> None:
    calendar = calendar_named(name)
    over_at = calendar.next_over_at(last, timeframe)
    assert calendar.missed_after(last, timeframe, over_at - 1) == 0
    assert calendar.missed_after(last, timeframe, over_at) >= 1


def test_sessions_between_two_moments() -> None:
    first, last = days("2024-01-12", "2024-01-17").tolist()
    found = calendar_named("XNYS").sessions_between(first, last + 3600)
    assert found.tolist() == days("2024-01-12", "2024-01-16", "2024-01-17").tolist()
    assert len(calendar_named("24/7").sessions_between(first, last)) == 6
