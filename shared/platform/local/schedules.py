"""Schedules as documents. The twin sets them up and fires them; see `infra.local.scheduler`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.platform.ports import Documents, Events, NewId, Now, ScheduleState

COLLECTION: Final = "schedules"


class DocumentSchedules:
    """The Schedules port on a collection, one document per schedule."""

    def __init__(self, documents: Documents, events: Events, now: Now, new_id: NewId) -> None:
        self._documents = documents
        self._events = events
        self._now = now
        self._new_id = new_id

    def list(self) -> Sequence[ScheduleState]:
        raise NotImplementedError

    def pause(self, name: str) -> None:
        raise NotImplementedError

    def resume(self, name: str) -> None:
        raise NotImplementedError

    def fire(self, name: str) -> None:
        raise NotImplementedError
