"""The sample upstream as a child process of the twin."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from infra.catalogue import ROOT

STOP_SECONDS = 5


@contextmanager
def sample_upstream(host: str, preferred_port: int) -> Iterator[str]:
    """Serve the sample candles over HTTP while the context lasts; gives the base URL."""
    port = _free_port(host, preferred_port)
    command = [sys.executable, "-m", "infra.local.upstream", "--host", host, "--port", str(port)]
    child = subprocess.Popen(  # noqa: S603 - our own module, no shell
        [*command, "--parent-pid", str(os.getpid())], cwd=ROOT, start_new_session=True
    )
    try:
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
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {host}")
