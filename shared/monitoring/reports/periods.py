"""Weeks as ISO 8601 names them, "2026-W07": Monday 00:00 UTC to the next, which isn't part of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.errors import FieldError, InvalidInput

_WEEK: Final = re.compile(r"([0-9]{4})-W([0-9]{2})\Z")
_LENGTH: Final = timedelta(days=7)


def bounds(period: str) -> tuple[datetime, datetime]:
    """The week's beginning, and its end, which isn't part of it.

    Raises:
        InvalidInput: not a week.

    >>> [moment.date().isoformat() for moment in bounds("2026-W01")]
    ['2025-12-29', '2026-01-05']
    """
    found = _WEEK.match(period)
    year, week = (0, 0) if found is None else (int(found[1]), int(found[2]))
    try:
        begin = datetime.fromisocalendar(year, week, 1).replace(tzinfo=UTC)
        return begin, begin + _LENGTH
    except (ValueError, OverflowError) as error:
        why = f"a week looks like 2026-W07, found {period[:40]!r}"
        raise InvalidInput(f"Not a week: {why}.", errors=[FieldError("/period", why)]) from error


def week_of(moment: datetime) -> str:
    """The week in which a moment lies.

    >>> week_of(datetime(2026, 1, 4, 23, tzinfo=UTC))
    '2026-W01'
    """
    year, week, _ = moment.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02d}"


def last_week(moment: datetime) -> str:
    """The last week that was over at a moment."""
    return week_of(moment - _LENGTH)


def week_before(period: str) -> str:
    """
    Raises:
        InvalidInput: not a week.
    """
    return week_of(bounds(period)[0] - timedelta(days=1))


def check_period(period: str, now: datetime) -> None:
    """
    Raises:
        InvalidInput: not a week, or one that hasn't begun.
    """
    begin, _ = bounds(period)
    if begin > now:
        why = f"the week must have begun; {period} begins on {begin.date().isoformat()}"
        raise InvalidInput(f"Nothing can be said yet: {why}.", errors=[FieldError("/period", why)])
