"""The sample upstream as a child process of the twin."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.catalogue import ROOT
from shared.errors import ConfigurationError

STOP_SECONDS = 5
START_SECONDS = 20.0


@contextmanager
def sample_upstream(host: str, preferred_port: int, clock_file: Path | None = None) -> Iterator[str]:
    """Serve the sample candles over HTTP while the context lasts; gives the base URL.

    With `clock_file`, only what had closed by the time of this replay's clock.
    """
    port = _free_port(host, preferred_port)
    command = [sys.executable, "-m", "infra.local.upstream", "--host", host, "--port", str(port)]
    if clock_file is not None:
        command += ["--clock", str(clock_file)]
    child = subprocess.Popen(  # noqa: S603 - our own module, no shell
        [*command, "--parent-pid", str(os.getpid())],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(child, host, port)
        yield f"http://{host}:{port}"
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()


def _free_port(host: str, preferred: int) -> int:
    """The preferred port where it is free, else any."""
    for candidate in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind((host, candidate))
            except (OSError, OverflowError):  # taken, or beyond 65535
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {host}")


def _wait_for(child: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Until the child takes connections."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and child.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise ConfigurationError(
        f"The sample upstream didn't start on {host}:{port}; set MARKET_DATA_URL to another."
    )
