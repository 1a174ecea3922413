"""A real HTTP server on a free port that answers what a test tells it to, and the command spoken to it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typer.testing import CliRunner, Result

from infra.emulators.processes import free_port
from infra.local.twin import KEEP_ALIVE_SECONDS
from shared.cli.app import app

ANSWERS = Path(__file__).with_name("answers")

Document: TypeAlias = dict[str, Any]


def answer(name: str) -> Document:
    """A recorded answer."""
    document: Document = json.loads((ANSWERS / f"{name}.json").read_text())
    return document


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Script:
    """What to answer per method and path: the answers in order, the last one for ever."""

    url: str
    seen: list[Seen] = field(default_factory=list)
    _answers: dict[str, list[Response]] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)

    def answers(self, route: str, *documents: Document | bytes, status: int = 200) -> None:
        self._answers[route] = [_response(document, status) for document in documents]

    def holds(self, route: str) -> None:
        """Don't answer before the caller has gone away."""
        self._held.add(route)
        self.answers(route, {})

    def requests(self, route: str) -> list[Seen]:
        return [seen for seen in self.seen if f"{seen.method} {seen.path}" == route]

    async def take(self, request: Request) -> Response:
        body = await request.body()
        self.seen.append(
            Seen(
                request.method,
                request.scope["raw_path"].decode(),
                dict(request.query_params),
                dict(request.headers),
                json.loads(body) if body else None,
            )
        )
        route = f"{request.method} {request.scope['raw_path'].decode()}"
        while route in self._held and not await request.is_disconnected():
            await asyncio.sleep(0.01)
        left = self._answers.get(route)
        if left is None:
            return _response({"title": "Not found", "detail": "not in the script"}, 404)
        return left.pop(0) if len(left) > 1 else left[0]


def _response(document: Document | bytes, status: int) -> Response:
    if isinstance(document, bytes):
        return Response(document, status, media_type="text/html")
    return Response(json.dumps(document), status, media_type="application/json")


@pytest.fixture(scope="session")
def listening() -> Iterator[tuple[str, Callable[[Script | None], None]]]:
    """A server for all tests, and the way to give it the script of one."""
    current: list[Script | None] = [None]

    async def take(request: Request) -> Response:
        script = current[0]
        assert script is not None
        return await script.take(request)

    routes = [Route("/{path:path}", take, methods=["GET", "POST"])]
    with serving(Starlette(routes=routes)) as url:
        yield url, lambda script: current.__setitem__(0, script)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an ASGI application on a free port of this machine; gives its base URL."""
    config = uvicorn.Config(
        app,
        log_level="critical",
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,  # as the twin's: Pub/Sub's emulator pushes to both
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def script(listening: tuple[str, Callable[[Script | None], None]]) -> Iterator[Script]:
    url, use = listening
    fresh = Script(url)
    use(fresh)
    yield fresh
    use(None)


@pytest.fixture
def free_url() -> str:
    """Where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


Mlengine: TypeAlias = Callable[..., Result]


@pytest.fixture
def mlengine(script: Script, monkeypatch: pytest.MonkeyPatch) -> Mlengine:
    """Runs the command against the script, 100 columns wide."""
    for name in ("MLENGINE_URL", "MLENGINE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, stdin: str = "", url: str = script.url) -> Result:
        before = dict(os.environ)
        result = CliRunner().invoke(app, [*arguments, "--url", url], input=stdin, catch_exceptions=False)
        assert dict(os.environ) == before
        return result

    return run


@pytest.fixture
def mlengine_json(mlengine: Mlengine) -> Callable[..., tuple[int, Any]]:
    """Runs the command with `--json`; gives the exit code and the one document on standard output."""

    def run(*arguments: str, **options: Any) -> tuple[int, Any]:
        result = mlengine(*arguments, "--json", **options)
        assert result.stderr == ""
        return result.exit_code, json.loads(result.stdout)

    return run


@pytest.fixture
def lines() -> Callable[[str], Sequence[str]]:
    """The lines of a text without the space around them."""
    return lambda text: [" ".join(line.split()) for line in text.splitlines() if line.strip()]
