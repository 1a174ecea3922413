"""What one process holds: the settings, the platform, and each capability, made on first use.

The composition root of the capabilities. Imports stand inside the properties, so that a function
loads only what it uses.
"""

from __future__ import annotations

import threading
from functools import cached_property

from shared.config import settings
from shared.instance.access import AccessParts
from shared.instance.watching import WatchingParts
from shared.logs import configure_logs
from shared.platform.clock import told
from shared.platform.connect import connect


class Instance(AccessParts, WatchingParts):
    """One process's parts. Everything in it is safe to share between requests."""

    @cached_property
    def trace_prefix(self) -> str:
        """What Cloud Logging wants in front of a trace's id; nothing where the project isn't known."""
        project = self.settings.google_cloud_project
        return f"projects/{project}/traces/" if project else ""

    @property
    def replay_clock(self) -> str | None:
        """What answers say of the clock in a replay; None where it is the machine's."""
        replay_now = self.platform.replay_now
        return None if replay_now is None else told(replay_now)


_lock = threading.Lock()
_current: Instance | None = None


def current_instance() -> Instance:
    """This process's instance, made from the environment on first use."""
    global _current
    if _current is None:
        with _lock:
            if _current is None:
                read = settings()
                platform = connect(read)
                configure_logs(read.log_level, replay_now=platform.replay_now)
                _current = Instance(read, platform)
    return _current


def use_instance(instance: Instance | None) -> None:
    """Let this process use `instance`: for a host that serves several functions. None forgets it."""
    global _current
    _current = instance
