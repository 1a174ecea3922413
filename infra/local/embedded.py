"""The ground of the usual twin: SQLite, a folder, sub-processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from infra.local.dispatcher import Dispatcher
from infra.local.parts import Door, Part, Running
from shared.config import Settings
from shared.errors import ConfigurationError
from shared.platform.local.events import SqliteEvents


@dataclass(frozen=True)
class Embedded:
    """Everything in the state folder."""

    settings: Settings
    farewell: ClassVar[str] = "The twin has stopped; its state is kept."

    def __post_init__(self) -> None:
        os.environ["MLENGINE_HOME"] = str(self.settings.mlengine_home)

    def parts(self, running: Running) -> Sequence[Part]:
        platform = running.instance.platform
        if not isinstance(platform.events, SqliteEvents):
            raise ConfigurationError("the twin delivers events from its own bus only")
        push = running.gateway.pusher(running.loop)
        dispatcher = Dispatcher(platform.events, push, running.api_key, platform.now)
        subscriptions = [name for names in running.catalogue.subscriptions.values() for name in names]
        return [Part(partial(dispatcher.start, subscriptions), dispatcher.stop)]

    def doors(self, running: Running) -> Sequence[Door]:  # noqa: ARG002 - what the other ground needs
        return []
