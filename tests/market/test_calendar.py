import numpy as np

from shared.market import xnys
from shared.market.calendar import calendar_named
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
