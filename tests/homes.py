"""State folders that tests start from: made once, and copied for each."""

from __future__ import annotations

import functools
import gc
import shutil
from pathlib import Path


def copied(home: Path, to: Path) -> Path:
    """A copy of a state folder that nobody works on any more."""
    _left(home)
    return Path(shutil.copytree(home, to))


@functools.cache
def _left(home: Path) -> None:
    """Close the connections to its databases that nobody holds, once: else they might be closed while they
    are copied, and take their files along.
    """
    assert home.is_dir()
    gc.collect()
