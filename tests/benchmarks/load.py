"""A load generator in a process of its own: `python load.py PORT --connections N --requests M < request`.

Sends the raw HTTP request from standard input over N keep-alive connections, one at a time on each,
M times in all, and prints one line of JSON: what was answered, in how many seconds, and each latency.
Standard library only, so that its start and its weight are the same for every server.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
import time

TIMEOUT_SECONDS = 30.0
_HEAD_END = b"\r\n\r\n"
_NO_CONTENT = b"HTTP/1.1 204 "


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._received = b""
        self._sent_at = 0

    def send(self) -> None:
        self._received = b""
        self._sent_at = time.perf_counter_ns()
        self.socket.sendall(self._request)

    def receive(self) -> float | None:
        """Take what has come. Gives the latency in microseconds once the answer is whole."""
        chunk = self.socket.recv(65_536)
        self._received += chunk
        if not chunk:
            raise SystemExit(f"the server closed the connection after {self._received[:500]!r}")
        if not is_whole(self._received):
            return None
        latency_us = (time.perf_counter_ns() - self._sent_at) / 1_000
        if not is_good(self._received):
            raise SystemExit(f"expected 200 or 204, found {self._received[:500]!r}")
        return latency_us


def is_good(answer: bytes) -> bool:
    return answer.startswith((b"HTTP/1.1 200 ", _NO_CONTENT))


def is_whole(answer: bytes) -> bool:
    """Whether head and body are there; the head must give the body's length, where there is one."""
    end = answer.find(_HEAD_END)
    if end < 0:
        return False
    if answer.startswith(_NO_CONTENT):
        return True
    for line in answer[:end].lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(answer) >= end + len(_HEAD_END) + int(line[15:])
    raise SystemExit(f"expected a Content-Length, found {answer[:end]!r}")


def run(port: int, request: bytes, connections: int, requests: int) -> list[float]:
    """Send `requests` in all; gives their latencies in microseconds."""
    poll = select.epoll()
    open_connections = {c.socket.fileno(): c for c in (Connection(port, request) for _ in range(connections))}
    latencies_us: list[float] = []
    left = requests
    for number, connection in open_connections.items():
        poll.register(number, select.EPOLLIN)
        if left:
            connection.send()
            left -= 1
    while len(latencies_us) < requests:
        for number, _ in poll.poll(TIMEOUT_SECONDS) or _too_late():
            latency_us = open_connections[number].receive()
            if latency_us is not None:
                latencies_us.append(latency_us)
                if left:
                    open_connections[number].send()
                    left -= 1
    return latencies_us


def _too_late() -> list[tuple[int, int]]:
    raise SystemExit(f"no answer within {TIMEOUT_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1)
    parser.add_argument("--core", type=int, help="the processor core to stay on")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    request = sys.stdin.buffer.read()
    started = time.perf_counter()
    latencies_us = run(arguments.port, request, arguments.connections, arguments.requests)
    seconds = time.perf_counter() - started
    print(json.dumps({"answered": len(latencies_us), "seconds": seconds, "latencies_us": latencies_us}))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
