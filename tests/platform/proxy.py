"""A TCP proxy that can lose answers: requests are carried out, at once or late, and nobody hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.contracts.workers import wait_for


class LossyProxy:
    """Passes bytes on to `target` (host:port); loses or delays those of HTTP/2 (so of gRPC) when told to."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._to_lose = 0
        self._to_delay = 0
        self._delayed: tuple[socket.socket, bytes] | None = None
        self.lost = 0
        self.delayed = 0
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, answers: int) -> None:
        """Break the connection instead of passing on each of the next `answers` answers."""
        with self._lock:
            self._to_lose += answers

    def delay(self) -> None:
        """Break the connection instead of passing on the next request; it arrives before the one after it."""
        with self._lock:
            self._to_delay += 1

    def close(self) -> None:
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for one in left:
            _end(one)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._serve, args=(near, far), daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = near.recv(65_536)
            far.sendall(first)
            is_http2 = first.startswith(b"PRI * HTTP/2")
            if is_http2:
                self._let_arrive()
            threading.Thread(target=self._pass_back, args=(far, near, is_http2), daemon=True).start()
            while content := near.recv(65_536):
                if is_http2 and _has_result(content) and self._is_delayed():
                    self._hold(near, far, content)
                    return
                far.sendall(content)
        self._forget(near, far)

    def _hold(self, near: socket.socket, far: socket.socket, content: bytes) -> None:
        near.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while more := near.recv(65_536):
                content += more
        self._delayed = (far, content)
        _end(near)

    def _let_arrive(self) -> None:
        """What was delayed is carried out now; its answer reaches nobody."""
        held, self._delayed = self._delayed, None
        if held is not None:
            far, content = held
            far.sendall(content)
            wait_for(lambda: far.fileno() == -1)  # closed when the answer is there
            self.delayed += 1

    def _pass_back(self, far: socket.socket, near: socket.socket, is_http2: bool) -> None:
        with contextlib.suppress(OSError):
            while content := far.recv(65_536):
                is_answer = is_http2 and _has_result(content)
                if is_answer and self._is_lost():
                    break
                with contextlib.suppress(OSError):  # who asked may have gone
                    near.sendall(content)
                if is_answer and near.fileno() == -1:
                    break
        self._forget(near, far)

    def _forget(self, near: socket.socket, far: socket.socket) -> None:
        _end(near)
        _end(far)
        with self._lock:
            self._open -= {near, far}

    def _is_delayed(self) -> bool:
        with self._lock:
            delayed = self._to_delay > 0
            self._to_delay -= delayed
            return delayed

    def _is_lost(self) -> bool:
        with self._lock:
            if self._to_lose == 0:
                return False
            self._to_lose -= 1
            self.lost += 1
            return True


def _has_result(content: bytes) -> bool:
    """Whether these bytes of HTTP/2 hold a frame of data or headers: no mere sign of life."""
    place = 0
    while place + 9 <= len(content):
        size, kind = int.from_bytes(content[place : place + 3], "big"), content[place + 3]
        if kind in (0, 1):
            return True
        place += 9 + size
    return False


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def lossy(target: str) -> Iterator[LossyProxy]:
    proxy = LossyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
