"""The ground of the usual twin: SQLite, a folder, sub-processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from infra.local.dispatcher import Dispatcher
from infra.local.parts import Door, Part, Running
from infra.local.scheduler import Scheduler
from infra.local.warehouse import BusSource, WarehouseWriter
from shared.config import Settings
from shared.errors import ConfigurationError
from shared.platform.local.events import SqliteEvents
from shared.platform.local.schedules import DocumentSchedules


@dataclass(frozen=True)
class Embedded:
    """Everything in the state folder."""

    settings: Settings
    keeps_state: ClassVar[bool] = True

    def __post_init__(self) -> None:
        os.environ["MLENGINE_HOME"] = str(self.settings.mlengine_home)

    def parts(self, running: Running) -> Sequence[Part]:
        platform = running.instance.platform
        if not isinstance(platform.events, SqliteEvents):
            raise ConfigurationError("the twin delivers events from its own bus only")
        push = running.gateway.pusher(running.loop)
        dispatcher = Dispatcher(platform.events, push, running.api_key, platform.wall)
        subscriptions = [name for names in running.catalogue.subscriptions.values() for name in names]
        delivery = Part(partial(dispatcher.start, subscriptions), dispatcher.stop)
        writer = WarehouseWriter(BusSource(platform.events, platform.wall), self.settings.mlengine_home)
        replay = running.replay
        schedules = fired_schedules(running) if replay is None else Part(replay.start, replay.stop)
        return [delivery, schedules, Part(writer.start, writer.stop)]

    def doors(self, running: Running) -> Sequence[Door]:  # noqa: ARG002 - what the other ground needs
        return []


def fired_schedules(running: Running) -> Part:
    """The catalogue's schedules, set up and fired."""
    platform = running.instance.platform
    if not isinstance(platform.schedules, DocumentSchedules):
        raise ConfigurationError("the twin fires its own schedules only")
    platform.schedules.set_up(running.catalogue.schedules)
    scheduler = Scheduler(platform.schedules, platform.now)
    return Part(scheduler.start, scheduler.stop)
