"""A server of this machine that plays Google's metadata server and an API, as a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, object]
TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path


@dataclass
class StandIn:
    """`answers` are given in order, the last one for ever; before that, `drop` many requests are hung up
    on, and `keep` many get no answer while their connection stays open.
    """

    host: str
    answers: list[Answer] = field(default_factory=lambda: [(200, {"ok": True})])
    drop: int = 0
    keep: int = 0
    token_answers: list[Answer] = field(
        default_factory=lambda: [(200, {"access_token": "t0k3n", "expires_in": 3599, "token_type": "Bearer"})]
    )
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens_given: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{self.host}"


def _next(answers: list[Answer]) -> Answer:
    return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def google() -> Iterator[StandIn]:
    """Listens while the context lasts. As GCE_METADATA_HOST it gives tokens."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.startswith("/computeMetadata"):
                self._metadata()
                return
            self._api()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self._api()

        def _metadata(self) -> None:
            stand_in.tokens_given += 1
            right = self.path == TOKEN_PATH and self.headers.get("metadata-flavor") == "Google"
            self._answer(*(_next(stand_in.token_answers) if right else (403, "what Google answers then")))

        def _api(self) -> None:
            if self.path.startswith("/push/"):  # an emulator's, for a twin that had this port before
                self._answer(404, "")
                return
            stand_in.seen.append((self.command, self.path, self.headers.get("authorization")))
            if stand_in.drop:
                stand_in.drop -= 1
                self.close_connection = True
                return
            if stand_in.keep:
                stand_in.keep -= 1
                self.close_connection = stand_in.ended.wait()
                return
            self._answer(*_next(stand_in.answers))

        def _answer(self, status: int, body: object) -> None:
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Metadata-Flavor", "Google")
            kind = "text/plain" if isinstance(body, str) else "application/json"
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        log_message: Callable[..., None] = lambda *_: None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in = StandIn(f"127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield stand_in
        stand_in.ended.set()
        server.shutdown()
        thread.join()
