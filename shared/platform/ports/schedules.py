"""Events at their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.platform.ports.values import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is published when: `data` on `topic`, whenever `cron` says so in `timezone`."""

    purpose: str
    cron: str
    timezone: str
    topic: str
    data: Data


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A schedule as the platform has it: `cron` in `timezone` publishes `data` on `topic`.

    `last_fired_at` and `next_fire_at` are None where the platform doesn't know; a paused schedule has
    no next time.
    """

    name: str
    purpose: str
    cron: str
    timezone: str
    topic: str
    data: Data
    paused: bool
    last_fired_at: datetime | None
    next_fire_at: datetime | None


class Schedules(Protocol):
    """The schedules of the functions catalogue, as they were set up here, and those made while it runs.

    Setting up the first is the infrastructure's work: Terraform's in the cloud, the twin's at its start. It
    leaves the others alone, whose names begin with `shared.platform.scheduling.MADE`.
    """

    def list(self) -> Sequence[ScheduleState]:
        """All of them, by name."""
        ...

    def pause(self, name: str) -> None:
        """No more firing until `resume`; pausing twice is fine.

        Raises:
            NotFound: no such schedule.
        """
        ...

    def resume(self, name: str) -> None:
        """Fire at its times again; times that passed meanwhile aren't made up for.

        Raises:
            NotFound: no such schedule.
        """
        ...

    def fire(self, name: str) -> None:
        """Publish its event now, also when it is paused. On return the platform has taken the order.

        Raises:
            NotFound: no such schedule.
        """
        ...

    def put(self, name: str, schedule: Schedule) -> None:
        """Have this schedule, in place of the one of that name before. What is paused stays so.

        Raises:
            InvalidInput: not a name of one made while the engine runs, or not a cron or a time zone.
        """
        ...

    def delete(self, name: str) -> None:
        """Have it no longer; nothing happens when it isn't there.

        Raises:
            InvalidInput: not a name of one made while the engine runs.
        """
        ...
