"""All ports of one place to run in."""

from __future__ import annotations

from dataclasses import dataclass

from shared.platform.ports.blobs import Blobs
from shared.platform.ports.documents import Documents
from shared.platform.ports.events import Events
from shared.platform.ports.jobs import Jobs
from shared.platform.ports.schedules import Schedules
from shared.platform.ports.trust import Identities, Secrets
from shared.platform.ports.values import NewId, Now


@dataclass(frozen=True, slots=True)
class Platform:
    """One place to run in: an adapter per port, and the clocks and ids of the process.

    `now` is the time that the engine works at, `wall` the machine's: `shared.platform.clock` says what goes
    by which. They differ in a replay only, and there everything that shows a time says so (`replay_now`).
    """

    documents: Documents
    blobs: Blobs
    events: Events
    jobs: Jobs
    secrets: Secrets
    schedules: Schedules
    identities: Identities
    now: Now
    wall: Now
    new_id: NewId
    is_replay: bool = False

    @property
    def replay_now(self) -> Now | None:
        """The clock of the replay, to be told beside the machine's time; None where there is none."""
        return self.now if self.is_replay else None
