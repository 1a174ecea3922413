"""The library's storage of counts in memory, without the thread that it starts for a call.

It forgets what has expired in a thread of its own, started again by whichever call finds it ended: on a quiet
instance by every call, which then waits until the thread runs. Here a call sweeps by itself, once a minute.
Import it where `limits` may be loaded.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from limits.storage import MemoryStorage

SWEEP_EVERY_SECONDS: Final = 60.0


class _Sweeper(threading.Timer):
    """Stands where the storage looks whether its thread is alive; is never started."""

    def __init__(self, storage: MemoryStorage) -> None:
        super().__init__(SWEEP_EVERY_SECONDS, lambda: None)
        self._storage = storage
        self._due = time.monotonic() + SWEEP_EVERY_SECONDS

    def is_alive(self) -> bool:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + SWEEP_EVERY_SECONDS
            for key in tuple(self._storage.expirations):
                self._storage.get(key)  # which forgets it where it has expired
        return True


def memory_storage() -> MemoryStorage:
    storage = MemoryStorage()
    storage.timer.cancel()
    storage.timer = _Sweeper(storage)
    return storage
