"""The port the twin listens on, and the upstream it asks."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from shared.cli.client import Client
from shared.cli.doctor.finding import Finding, Surroundings, fail, ok, warn
from shared.cli.problem import CliProblem
from shared.cli.target import Target


def twin(surroundings: Surroundings) -> Iterable[Finding]:
    """The twin is on its port, or the port is free for it."""
    url = surroundings.client.target.url
    port = urlsplit(url).port or 80
    if surroundings.is_answering:
        yield ok("twin", f"answers at {url}")
    elif _is_free(urlsplit(url).hostname or "", port):
        yield warn("twin", f"isn't running; port {port} is free for it", "make up")
    else:
        yield fail("twin", f"something else listens on port {port}", f"PORT={port + 10} make up")


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def upstream(surroundings: Surroundings) -> Iterable[Finding]:
    """The upstream lists symbols: asked directly where it is set, else through the twin."""
    url = surroundings.installation.setting("MARKET_DATA_URL")
    if url is None and not surroundings.is_answering:
        yield ok("upstream", "the sample candles, served while the twin runs")
        return
    client = surroundings.client if url is None else Client(Target(url.rstrip("/"), None))
    where = url or "the twin's upstream"
    try:
        symbols = client.get("/symbols").get("symbols", [])
    except CliProblem as failure:
        yield fail("upstream", f"{where} doesn't list symbols: {failure}", _mend(url))
    else:
        yield ok("upstream", f"{where} has {len(symbols):,} symbols")


def _mend(url: str | None) -> str:
    return "make up" if url is None else f"curl -i {url}/symbols   (MARKET_DATA_URL names it)"


NETWORK_CHECKS: Final[tuple[Callable[[Surroundings], Iterable[Finding]], ...]] = (twin, upstream)
