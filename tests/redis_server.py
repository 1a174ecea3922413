"""A Redis of one's own, where there is one to start."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.emulators.processes import free_port
from tests.contracts.workers import wait_for


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Gives its URL. Skips the test where Redis isn't installed, unless REQUIRE_REDIS or REQUIRE_EMULATORS
    says that it must be.
    """
    server = shutil.which("redis-server")
    if server is None:
        required = "1" in (os.environ.get("REQUIRE_REDIS"), os.environ.get("REQUIRE_EMULATORS"))
        (pytest.fail if required else pytest.skip)("redis-server isn't installed: apt install redis-server")
    port = free_port()
    process = subprocess.Popen([server, "--port", str(port), "--dir", str(folder), "--save", ""], stdout=-3)
    try:
        from redis import Redis
        from redis.exceptions import ConnectionError as NotYet

        def answers() -> bool:
            try:
                return bool(Redis(port=port).ping())
            except NotYet:
                return False

        wait_for(answers)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()
