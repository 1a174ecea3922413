"""A bad line to a service, below HTTP: it breaks, it is slow, and it loses or delays what goes over gRPC.

See `tests.faulty` for one that knows HTTP's requests, and spoils those that it is told to.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.contracts.workers import wait_for

_BACKLOG = 128
_CONNECT_SECONDS = 10.0


class Proxy:
    """Passes bytes on to `target` (host:port), in both directions, until it is told otherwise.

    `host` (host:port) stays the same, also while nobody listens there.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._place = _bound(0)  # never listens: it keeps the port while the line is cut
        self.host = f"127.0.0.1:{self._port}"
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._silent: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._to_lose = 0
        self._to_delay = 0
        self._delayed: tuple[socket.socket, bytes] | None = None
        self.lost = 0
        """Answers that were lost."""
        self.delayed = 0
        """Requests that arrived after they were given up."""
        self.broken = 0
        """Connections that were open when the line was cut."""
        self.latency_seconds = 0.0
        """How long each piece of an answer waits."""
        self.mend()

    def cut(self) -> None:
        """End every connection, and let none be made: as a service that was killed looks to its clients."""
        with self._lock:
            listener, self._listener = self._listener, None
            left = list(self._open)
        if listener is not None:
            _end(listener)
        for one in left:
            _end(one)
        self.broken += len(left) // 2

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            if self._listener is None:
                self._listener = _bound(self._port)
                self._listener.listen(_BACKLOG)
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def fall_silent(self) -> None:
        """Leave the connections that are open as they are, and pass nothing on: so looks a line that has
        forgotten them. New ones are good.
        """
        with self._lock:
            self._silent |= self._open

    @contextmanager
    def away(self) -> Iterator[None]:
        """Cut inside the context."""
        self.cut()
        try:
            yield
        finally:
            self.mend()

    def lose(self, answers: int) -> None:
        """Break the connection instead of passing on each of the next `answers` answers of gRPC."""
        with self._lock:
            self._to_lose += answers

    def delay(self) -> None:
        """Break the connection instead of passing on gRPC's next request; it arrives before the one after."""
        with self._lock:
            self._to_delay += 1

    def close(self) -> None:
        self.cut()
        self._place.close()

    @property
    def _port(self) -> int:
        return int(self._place.getsockname()[1])

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(listener, near), daemon=True).start()

    def _serve(self, listener: socket.socket, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target, _CONNECT_SECONDS)
        except OSError:
            _end(near)
            return
        far.settimeout(None)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            was_cut = self._listener is not listener
            self._open |= {near, far}
        if not was_cut:
            self._pass_on(near, far)
        self._forget(near, far)

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = near.recv(65_536)
            is_grpc = first.startswith(b"PRI * HTTP/2")
            if is_grpc:
                self._let_arrive()
            far.sendall(first)
            back = threading.Thread(target=self._pass_back, args=(far, near, is_grpc), daemon=True)
            back.start()
            while content := near.recv(65_536):
                if near in self._silent:
                    continue
                if is_grpc and _has_result(content) and self._is_delayed():
                    self._hold(near, far, content)
                    back.join()
                    return
                far.sendall(content)

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

    def _pass_back(self, far: socket.socket, near: socket.socket, is_grpc: bool) -> None:
        with contextlib.suppress(OSError):
            while content := far.recv(65_536):
                if far in self._silent:
                    continue
                is_answer = is_grpc and _has_result(content)
                if is_answer and self._is_lost():
                    break
                time.sleep(self.latency_seconds)
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
            self._silent -= {near, far}

    def _is_delayed(self) -> bool:
        with self._lock:
            is_delayed = self._to_delay > 0
            self._to_delay -= is_delayed
            return is_delayed

    def _is_lost(self) -> bool:
        with self._lock:
            is_lost = self._to_lose > 0
            self._to_lose -= is_lost
            self.lost += is_lost
            return is_lost


def _bound(port: int) -> socket.socket:
    """A socket on that port, beside others of ours that don't listen."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


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
def proxy_to(target: str) -> Iterator[Proxy]:
    """A line to the service at `target` (host:port), good until it is told otherwise."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
