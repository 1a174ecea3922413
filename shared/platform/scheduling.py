"""When schedules fire: unix cron in a time zone, as Cloud Scheduler reads it.

For the twin, which fires its schedules itself. cronsim does the arithmetic and follows Debian's cron where
clocks change: a fixed time that is skipped fires when the gap ends, one that comes twice fires the first
time. (Cloud Scheduler promises nothing there; in UTC, which the catalogue uses, the question never comes up.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from shared.errors import InvalidInput
from shared.platform.ports import Data

NAME: Final = r"[a-z][a-z0-9-]{0,62}"
"""How schedules may be called: also what Cloud Scheduler takes as part of a job's name."""

MADE: Final = "problem-"
"""How the names of schedules begin that are made while the engine runs, and of no others."""

MAKE_UP: Final = timedelta(hours=1)
"""Of the times that passed while nobody looked, the latest still fires if it is less than that ago."""

_FIELD = r"((\*|[0-9A-Z]+-[0-9A-Z]+)(/[0-9]+)?|[0-9A-Z]+)"
_FIELDS: Final = re.compile(rf"{_FIELD}(,{_FIELD})*(\s+{_FIELD}(,{_FIELD})*){{4}}", re.IGNORECASE)
_ONLY_HERE: Final = re.compile(r"\b(L|LW)\b|[0-9]L\b", re.IGNORECASE)


class Planned(Protocol):
    """A schedule as the catalogue has it."""

    @property
    def purpose(self) -> str: ...

    @property
    def cron(self) -> str: ...

    @property
    def timezone(self) -> str: ...

    @property
    def topic(self) -> str: ...

    @property
    def data(self) -> Data: ...


def check_cron(cron: str) -> None:
    """That it means the same to Cloud Scheduler and to the twin.

    Raises:
        ValueError: says what was expected and what was found.
    """
    from cronsim import CronSim, CronSimError

    if not _FIELDS.fullmatch(cron) or _ONLY_HERE.search(cron):
        raise ValueError(
            f"a cron has five fields: minute, hour, day, month and day of the week, found {cron!r}"
        )
    _, _, day, _, weekday = cron.split()
    if day != "*" and weekday != "*":
        raise ValueError(
            f"of day and day of the week one must be '*', found {cron!r}: readings of both differ"
        )
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"{error} in the cron {cron!r}") from error


def check_timezone(timezone: str) -> None:
    """That it is in the tz database.

    Raises:
        ValueError
    """
    try:
        ZoneInfo(timezone)
    except (OSError, KeyError, ValueError) as error:  # a folder of it, unknown, or not a name
        raise ValueError(f"a time zone is a name such as Etc/UTC, found {timezone!r}") from error


def check_made(name: str) -> None:
    """That a schedule of this name may be made, changed or taken away while the engine runs.

    Raises:
        InvalidInput
    """
    if not re.fullmatch(NAME, name) or not name.startswith(MADE):
        raise InvalidInput(
            f"A schedule that is made here is called {MADE} with lower-case letters, digits and hyphens, "
            f"found {name!r}."
        )


def check_schedule(schedule: Planned) -> None:
    """
    Raises:
        InvalidInput: its cron or its time zone isn't one.
    """
    try:
        check_cron(schedule.cron)
        check_timezone(schedule.timezone)
    except ValueError as error:
        raise InvalidInput(f"The schedule isn't one: {error}.") from error


def fires(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """The times, in UTC, strictly after `after` and in order. They never end."""
    from cronsim import CronSim

    for local in CronSim(cron, after.astimezone(ZoneInfo(timezone))):
        at = local.astimezone(UTC)
        if at > after:  # in an hour that comes twice, it begins with those of the first
            after = at
            yield at


def next_fire(cron: str, timezone: str, after: datetime) -> datetime:
    return next(fires(cron, timezone, after))


def due_fire(cron: str, timezone: str, settled: datetime, now: datetime) -> datetime | None:
    """The time to fire for now: the latest since `settled`, unless that was `MAKE_UP` ago or longer."""
    due = None
    for at in fires(cron, timezone, max(settled, now - MAKE_UP)):
        if at > now:
            break
        due = at
    return due
