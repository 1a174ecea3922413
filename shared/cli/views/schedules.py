"""Views of schedules. Times are on the clock of this machine, as people look at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.text import NOTHING

_WEEK_DAYS: Final = 7
_WORDS: Final = {-1: "yesterday", 0: "today", 1: "tomorrow"}


def schedules(document: Mapping[str, Any], now: datetime) -> Iterable[RenderableType]:
    """All schedules, as it is `now` at the engine."""
    if document["schedules"]:
        yield Listing(_COLUMNS, [_row(entry, now) for entry in document["schedules"]])
    else:
        yield Text("No schedules are set up here.")


_COLUMNS: Final = (
    Column("Schedule", style="bold"),
    Column("Next"),
    Column("Last fired"),
    Column("Cron", rank=2),
    Column("Publishes", rank=1),
    Column("Purpose", rank=1, least=24),
)


def _row(entry: Mapping[str, Any], now: datetime) -> tuple[str | Text, ...]:
    following = (
        Text("paused", style="yellow") if entry["paused"] else Text(moment(entry["next_fire_at"], now))
    )
    cron = f"{entry['cron']} {entry['timezone']}"
    return (
        entry["name"],
        following,
        moment(entry["last_fired_at"], now),
        cron,
        entry["topic"],
        entry["purpose"],
    )


def moment(stamp: str | None, now: datetime) -> str:
    """A time as people near `now` say it, on their own clock: `tomorrow 04:00`, `Sunday 04:00`."""
    if stamp is None:
        return NOTHING
    time = datetime.fromisoformat(stamp).astimezone()  # by the rules of that day, not of today
    days = (time.date() - now.astimezone().date()).days
    day = f"{time:%A}" if 0 < days < _WEEK_DAYS else f"{time:%Y-%m-%d}"
    return f"{_WORDS.get(days, day)} {time:%H:%M}"


def paused(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """A schedule that fires no more."""
    yield Text.assemble((document["name"], "bold"), " is paused: it fires no more until it is resumed.")


def resumed(document: Mapping[str, Any], now: datetime) -> Iterable[RenderableType]:
    """A schedule that fires again."""
    following = moment(document["next_fire_at"], now)
    yield Text.assemble((document["name"], "bold"), f" fires again; next {following}.")


def fired(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """A schedule that was fired by hand."""
    yield Text.assemble((document["name"], "bold"), f" was fired: its event is on {document['topic']}.")
