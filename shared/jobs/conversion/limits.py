"""The bounds that the conversion's process sets itself: memory, processor, files, and no way out.

Once its libraries are loaded it needs no file any more, and may open none: with no descriptor left to give,
the kernel refuses files, sockets and pipes alike. So whatever a file makes a library do, it reads no secret
and calls nobody.
"""

from __future__ import annotations

import resource
import sys
from typing import Final

BASE_BYTES: Final = 1_500_000_000
"""Of address space: the libraries take 0.6 GB of it."""

PER_FILE_BYTE: Final = 8
MOST_BYTES: Final = 3_500_000_000

CPU_SECONDS: Final = 120
WALL_SECONDS: Final = 240.0
FILE_BYTES: Final = 300_000_000
"""Of a file that is written."""

RECURSION: Final = 400


def confine(size_bytes: int) -> None:
    """Bound this process for a file of that size. Nothing widens the bounds again."""
    memory = memory_bytes(size_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def shut_in() -> None:
    """From here on this process opens no file and no socket, and starts no process."""
    sys.setrecursionlimit(RECURSION)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def memory_bytes(size_bytes: int) -> int:
    return min(BASE_BYTES + PER_FILE_BYTE * size_bytes, MOST_BYTES)
