"""A bad line to a service: a proxy that hands requests on, and spoils those that it is told to."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from enum import StrEnum
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HANG_SECONDS = 30.0
_HOP_BY_HOP = frozenset({"connection", "content-length", "expect", "keep-alive", "transfer-encoding"})


class Fault(StrEnum):
    UNAVAILABLE = "503 instead of handing it on"
    REFUSED = "403 instead of handing it on"
    INVALID = "400 instead of handing it on"
    CONTENDED = "409 instead of handing it on, as S3 does when conditional writes meet"
    HANGS = "nothing, for longer than anybody waits"
    LOST = "handed on; the answer is lost"
    CUT = "handed on; the line ends in the middle of the answer"
    SHORT = "handed on; half of the answer comes, and looks like all of it"
    FLIPPED = "handed on with one bit of the body changed"


_INSTEAD = {
    Fault.UNAVAILABLE: (503, b"try again"),
    Fault.REFUSED: (403, b"not you"),
    Fault.INVALID: (400, b"{}"),
    Fault.CONTENDED: (409, b"<Error><Code>ConditionalRequestConflict</Code></Error>"),
}


class Line:
    """What goes over it: `seen` has the method of each request, `plan` what becomes of the next ones.

    Requests are known by their method (`POST`) or by a part of their path (`:cancel`).
    """

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.url = ""
        self.seen: list[str] = []
        self.spoiled: Counter[Fault] = Counter()
        self.before_fault: Callable[[], object] = lambda: None
        """Done before a request is spoiled."""
        self.ended = threading.Event()
        self._plan: list[tuple[str, Fault]] = []
        self._always: dict[str, Fault | None] = {}
        self._lock = threading.Lock()

    def plan(self, which: str, *faults: Fault) -> None:
        """The next such requests fare so, in this order."""
        self._plan += [(which, fault) for fault in faults]

    def always(self, which: str, fault: Fault | None) -> None:
        """All such requests fare so from now on; None: they are handed on."""
        self._always[which] = fault

    def fate(self, method: str, path: str) -> Fault | None:
        """What becomes of the request that comes now."""
        with self._lock:
            self.seen.append(method)
            fault = self._fault(method, path)
            if fault is not None:
                self.spoiled[fault] += 1
        if fault is not None:
            self.before_fault()
        return fault

    def _fault(self, method: str, path: str) -> Fault | None:
        for position, (which, fault) in enumerate(self._plan):
            if which == method or which in path:
                del self._plan[position]
                return fault
        return next(
            (fault for which, fault in self._always.items() if which == method or which in path), None
        )


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"  # tells who asks first, as boto3 does, to send the body

    def __init__(self, line: Line, *arguments: Any) -> None:
        self._line = line
        super().__init__(*arguments)

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self._line.fate(self.command, self.path)
        self.close_connection = True
        if fault is Fault.HANGS:
            self._line.ended.wait(_HANG_SECONDS)
        elif fault in _INSTEAD:
            status, words = _INSTEAD[fault]
            self._answer(status, [], words, len(words))
        else:
            self._hand_on(_flipped(body) if fault is Fault.FLIPPED else body, fault)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - what http.server calls

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _hand_on(self, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(self._line.target, timeout=_HANG_SECONDS)
        try:
            connection.request(self.command, self.path, body, dict(_kept(self.headers)))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if fault is Fault.LOST:
            return
        size = int(answer.headers.get("Content-Length", len(content)))
        if fault in (Fault.CUT, Fault.SHORT):
            content = content[: len(content) // 2]
            size = size if fault is Fault.CUT else len(content)
        self._answer(answer.status, _kept(answer.headers), content, size)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, size: int) -> None:
        self.send_response_only(status)
        for name, value in [*headers, ("Content-Length", str(size)), ("Connection", "close")]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _kept(headers: Message) -> list[tuple[str, str]]:
    """Those that are for the other end, not for this line."""
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]


def _flipped(body: bytes) -> bytes:
    """Three quarters in: among the content, whatever frames it."""
    spoiled = bytearray(body)
    if spoiled:
        spoiled[len(spoiled) * 3 // 4] ^= 1
    return bytes(spoiled)


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


@contextmanager
def line_to(url: str) -> Iterator[Line]:
    """A line to the service at `url` (http://host:port), good until it is told otherwise."""
    line = Line(url)
    with _Server(("127.0.0.1", 0), partial(_Handler, line)) as server:
        line.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield line
        finally:
            line.ended.set()
            server.shutdown()
            thread.join()


@contextmanager
def resetting() -> Iterator[str]:
    """Accepts connections, and resets them."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
