"""A proxy that loses answers: what it was asked for is done, and nobody is told. Or it refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class LossyProxy(ThreadingHTTPServer):
    """Forwards to `host`. The next `to_lose` answers to requests whose path has `lost_path` are lost."""

    daemon_threads = True

    def __init__(self, host: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.target = f"http://{host}"
        self.lost_path = ""
        self.to_lose = 0
        self.lost = 0
        self.refused_path = "nothing"
        self.before_refusal: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def lose(self, path: str, count: int) -> None:
        with self._lock:
            self.lost_path, self.to_lose = path, count

    def refuse(self, path: str, before: Callable[[], None]) -> None:
        """Answer 400 to requests whose path has `path`, after `before`, instead of forwarding them."""
        self.refused_path, self.before_refusal = path, before

    def is_lost(self, path: str) -> bool:
        with self._lock:
            is_lost = self.to_lose > 0 and self.lost_path in path
            self.to_lose -= is_lost
            self.lost += is_lost
            return is_lost


class _Forwarder(BaseHTTPRequestHandler):
    server: LossyProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def log_message(self, *_: object) -> None:
        pass

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.server.refused_path in self.path:
            self.server.before_refusal()
            self._answer(400, b"{}")
            return
        url = f"{self.server.target}{self.path}"
        headers = {"content-type": "application/json"}
        answer = httpx.request(self.command, url, content=body, headers=headers, timeout=20, trust_env=False)
        if self.server.is_lost(self.path):
            self.close_connection = True
            return
        self._answer(answer.status_code, answer.content)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def lossy_proxy(host: str) -> Iterator[LossyProxy]:
    with LossyProxy(host) as proxy:
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield proxy
        proxy.shutdown()
