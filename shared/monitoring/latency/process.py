"""How old this process is: what a cold start is measured from."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_IMPORTED_AT: Final = time.monotonic()
_START_FIELD: Final = 19  # of those behind the name, which may hold anything; the 22nd of all. See proc(5)


def process_age_seconds() -> float:
    """Since the process was started, to a hundredth of a second; where the system doesn't tell, since this
    module was imported.
    """
    since_import = time.monotonic() - _IMPORTED_AT
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[_START_FIELD])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):  # not Linux, or a sandbox that hides it
        return since_import
    return max(age, since_import)
