"""Where a twin on emulators says how they are reached, for the commands that work on its state."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "emulators"
"""Below the state folder: all that goes with the emulators."""

SETTINGS_FILE: Final = "settings.json"
LOCK_FILE: Final = "twin.lock"


def running_emulators(home: Path) -> dict[str, Any] | None:
    """The settings of the emulators that the twin on this state folder runs; None where none does."""
    file = home / FOLDER / SETTINGS_FILE
    if not file.exists() or not is_held(home):
        return None
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def is_held(home: Path) -> bool:
    """Whether a twin works on this state folder."""
    try:
        with (home / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
