"""What the two kinds of twin have in common."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.catalogue import Catalogue
from infra.local.gateway import App, Gateway
from infra.local.replay_player import Player
from shared.config import Settings
from shared.instance import Instance


@dataclass(frozen=True)
class Part:
    """Something that works beside the gateway: delivers events, fires schedules, keeps rows.

    `stop` returns when it has stopped.
    """

    start: Callable[[], None]
    stop: Callable[[], None]


@dataclass(frozen=True)
class Running:
    """A twin that is about to serve; with `replay`, that plays history and fires the schedules."""

    instance: Instance
    catalogue: Catalogue
    gateway: Gateway
    loop: asyncio.AbstractEventLoop
    api_key: str
    replay: Player | None = None


@dataclass(frozen=True)
class Door:
    """Another address that the server listens at, and what answers there."""

    socket: socket.socket
    app: App


class Ground(Protocol):
    """Where the twin's state rests: in embedded parts, or in emulators of the managed services."""

    @property
    def settings(self) -> Settings:
        """What the platform is connected with; the jobs' processes find it in the environment."""
        ...

    @property
    def keeps_state(self) -> bool:
        """Whether the next start finds what this one left."""
        ...

    def parts(self, running: Running) -> Sequence[Part]: ...

    def doors(self, running: Running) -> Sequence[Door]: ...
