"""Which process is which: an id may be given to another process, an id with its start can't."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_STARTED = 19  # place of `starttime` in /proc/<pid>/stat, counted from behind the name
_WATCH_SECONDS = 0.5


def identity(process_id: int) -> str | None:
    """What a running process can be known by again, also by other processes; None when it doesn't run."""
    if not sys.platform.startswith("linux"):
        return _identity_by_ps(process_id)
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[_STARTED]
    return None if state in "ZX" else f"{process_id} {started} {boot}"


def _identity_by_ps(process_id: int) -> str | None:
    command = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(process_id)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split(maxsplit=1)  # noqa: S603 - a fixed command and a number
    return f"{process_id} {found[1].strip()}" if found and not found[0].startswith("Z") else None


def die_with_parent(parent: int) -> None:
    """End this process (SIGKILL) when process `parent` ends, however that happens.

    Linux does it when the *thread* that started this process ends: that one must wait for us.
    """
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent-watch").start()
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
