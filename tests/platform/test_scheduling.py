from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from shared.platform.scheduling import MAKE_UP, check_cron, check_timezone, due_fire, fires, next_fire

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = ("Etc/UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")
YEARS = (2024, 2031)


def matches(field: str, value: int, lowest: int, highest: int) -> bool:
    """Whether a field of a cron includes the value."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = (f"{lowest}-{highest}" if span == "*" else span).partition("-")
        if value in range(int(low), int(high or low) + 1, int(step or 1)):
            return True
    return False


def on_the_wall(cron: str, local: datetime) -> bool:
    minute, hour, day, month, weekday = cron.split()
    sunday_first = local.isoweekday() % 7
    return (
        matches(minute, local.minute, 0, 59)
        and matches(hour, local.hour, 0, 23)
        and matches(day, local.day, 1, 31)
        and matches(month, local.month, 1, 12)
        and (matches(weekday, sunday_first, 0, 7) or matches(weekday, sunday_first or 7, 0, 7))
    )


def worked_out(cron: str, timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """The times after `start` up to `end`, minute by minute.

    Wildcards go by the minutes that really pass. A fixed time goes by the wall: one that is skipped is when
    the gap ends, one that comes twice is the first.
    """
    zone = ZoneInfo(timezone)
    if cron.startswith("*") or cron.split()[1].startswith("*"):
        minutes = (start + n * MINUTE for n in range(int((end - start) / MINUTE) + 1))
        return [at for at in minutes if at > start and on_the_wall(cron, at.astimezone(zone))]
    wall = start.astimezone(zone).replace(tzinfo=None) - DAY
    found = set()
    for n in range(int((end - start + 2 * DAY) / MINUTE)):
        local = wall + n * MINUTE
        if on_the_wall(cron, local):
            at = local.replace(tzinfo=zone)
            while at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at.replace(tzinfo=None):
                at += MINUTE
            found.add(at.astimezone(UTC))
    return sorted(at for at in found if start < at <= end)


def some_cron(rng: random.Random) -> str:
    minute = rng.choice(["0", "30", "59", "*/15", "5,35", "10-20/5", "*"])
    hour = rng.choice(["*", "1", "2", "3", "0", "23", "1-3", "*/2", "22"])
    day, weekday = rng.choice(
        [("*", "*"), ("*", "1-5"), ("*", "0"), ("*", "7"), ("*/2", "*"), ("1,15,31", "*")]
    )
    return f"{minute} {hour} {day} {rng.choice(['*', '3,10,11', '1-6'])} {weekday}"


@pytest.mark.parametrize("timezone", ZONES)
def test_the_times_are_those_that_are_worked_out_minute_by_minute(timezone: str) -> None:
    rng = random.Random(timezone)
    for _ in range(12):
        cron, year = some_cron(rng), rng.choice(YEARS)
        start = datetime(year, *rng.choice([(3, 5), (4, 1), (9, 28), (10, 22), (11, 1)]), 3, 17, tzinfo=UTC)
        end = start + 10 * DAY
        found: list[datetime] = []
        for at in fires(cron, timezone, start):
            if at > end:
                break
            found.append(at)
        assert found == worked_out(cron, timezone, start, end), (cron, timezone, start)


@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize("cron", ["30 1 * * *", "30 2 * * *", "*/20 * * * *", "0 1-3 * * *"])
def test_from_every_moment_the_next_time_is_the_same_one_and_later(timezone: str, cron: str) -> None:
    for start in (datetime(2031, 3, 8, 12, tzinfo=UTC), datetime(2031, 11, 1, 12, tzinfo=UTC)):
        times = list(islice(fires(cron, timezone, start), 200))
        for n in range(0, 48 * 60, 7):
            now = start + n * MINUTE + timedelta(seconds=n % 60, microseconds=n)
            assert next_fire(cron, timezone, now) == next(at for at in times if at > now)


def test_of_what_was_missed_the_latest_is_due_for_an_hour() -> None:
    at = datetime(2031, 3, 3, 22, 30, tzinfo=UTC)

    def due(settled: datetime, now: datetime, cron: str = "30 22 * * *") -> datetime | None:
        return due_fire(cron, "Etc/UTC", settled, now)

    second = timedelta(seconds=1)
    assert due(at - DAY, at - second) is None
    assert due(at - DAY, at) == at
    assert due(at - 30 * DAY, at + MAKE_UP - second) == at
    assert due(at - DAY, at + MAKE_UP) is None
    assert due(at, at + second) is None
    assert due(at - DAY, at, cron="*/7 * * * *") == at - 2 * MINUTE
    assert due(at + HOUR, at) is None


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("@daily", "five fields"),
        ("every 5 minutes", "five fields"),
        ("", "five fields"),
        ("0 2 L * *", "five fields"),
        ("0 2 * * 5L", "five fields"),
        ("0 2 * * 1#2", "five fields"),
        ("5/15 * * * *", "five fields"),
        ("0 2 ? * 1", "five fields"),
        ("0 2 1 * 1", r"one must be '\*'"),
        ("0 2 */2 * 1", r"one must be '\*'"),
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day-of-month"),
        ("0 0 31 2 *", "day-of-month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 8", "day-of-week"),
        ("0 0 * FOO *", "month"),
        ("*/0 * * * *", "minute"),
    ],
)
def test_a_cron_that_one_of_the_two_places_reads_otherwise_is_refused(cron: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_cron(cron)


@pytest.mark.parametrize("cron", ["* * * * *", "*/5 0-6/2,22 1,15 * *", "0 2 * jan-mar MON-FRI", "0 0 * * 7"])
def test_a_cron_that_both_read_alike_is_taken(cron: str) -> None:
    check_cron(cron)


@pytest.mark.parametrize("timezone", ["", "Europe", "Nowhere/X", "../etc", "/etc/localtime", "UTC+1", "a\0b"])
def test_a_place_without_a_clock_is_refused(timezone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        check_timezone(timezone)
