"""One deployed function: its routes and its event handler behind one entry point."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import TypeVar
from weakref import WeakSet

from starlette.requests import Request
from starlette.responses import Response

from shared.access.idempotency import HEADER
from shared.access.identity import ANONYMOUS, Gatekeeper, Identity
from shared.access.roles import ROLES
from shared.errors import ConfigurationError, Unauthenticated
from shared.instance import Instance, current_instance
from shared.logs import log_request
from shared.monitoring.latency.process import process_age_seconds
from shared.platform.clock import CLOCK_HEADER
from shared.platform.ports import Event
from shared.web.call import Call, client_address, headers_of, request_id, require_single, traceparent
from shared.web.changes import carry_out
from shared.web.cors import cors_headers, is_preflight, preflight
from shared.web.delivery import EventHandler, handle, topic_of
from shared.web.health import NOT_READY, Health, Ready, health, ready
from shared.web.limiting import limit, load_soon, note_refused, require_calm
from shared.web.responses import misconfigured, respond, success
from shared.web.route import Handler, Route, read_arguments
from shared.web.routing import Routes, bare

H = TypeVar("H", bound=Handler)

MAX_THREADS = 32

UP_SECONDS = 1.0
"""A function that nobody asks for so long after it was loaded was started ahead: nobody waits for that."""

_widened: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),  # browsers heed it over TLS alone
)
_NOTHING_TO_SHOW = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""For answers that are no pages; pages bring their own policy."""


class Function:
    """Collects handlers; `entry_point()` is what functions-framework calls.

    A handler is `async def handler(call: Call, ...) -> Answer`. It gets, by name: `query` and `body`
    (decoded into the models of their annotations) and the path's parameters as text. It may return
    a Starlette response instead of an answer.

    >>> function = Function("hello")
    >>> @function.get("/health/{name}")  # doctest: +SKIP
    ... async def hello(call: Call, name: str) -> Greeting: ...
    """

    def __init__(self, name: str, *, needs: Sequence[str] = ()) -> None:
        """`needs` names what must be there before `/ready` says yes: see `shared.web.health`."""
        self.name = name
        self.routes: list[Route] = []
        self.takes_events = False
        self._topic = topic_of(name)
        self._needs = tuple(needs)
        self._matcher: Routes[Route] = Routes()
        self._gatekeeper: Gatekeeper | None = None
        self._instance: Instance | None = None
        self._is_cold = True
        self._loaded_at = 0.0
        self.get("/health")(self._health)
        self.get("/ready")(self._ready)

    def get(self, path: str) -> Callable[[H], H]:
        return self._route("GET", path, 200)

    def post(
        self,
        path: str,
        *,
        status: int = 200,
        changes: bool = True,
        holds_secret: bool = False,
        rows: str = "",
    ) -> Callable[[H], H]:
        """`changes`: whether a call changes anything, or only asks. `holds_secret`: whether the answer holds
        what is shown once. `rows`: the member of the body whose items count one by one for the limits.
        """
        return self._route("POST", path, status, changes=changes, holds_secret=holds_secret, rows=rows)

    def put(self, path: str, *, guard: Handler | None = None) -> Callable[[H], H]:
        """`guard` is asked before the body is read."""
        return self._route("PUT", path, 200, changes=True, guard=guard)

    def delete(self, path: str) -> Callable[[H], H]:
        return self._route("DELETE", path, 200, changes=True)

    def events(self, handler: EventHandler) -> EventHandler:
        """Take the events of the function's topic, delivered to `POST /` in any form that
        `shared.web.events` knows. The handler must be idempotent.
        """

        async def deliver(call: Call, events: Sequence[Event]) -> Response:
            await handle(events, call, handler, self._topic)
            return Response(status_code=204)

        self.takes_events = True
        self._matcher.add("POST", "/", Route("POST", "/", deliver, 204))
        return handler

    def entry_point(self) -> Callable[[Request], Awaitable[Response]]:
        """The function that functions-framework loads, in its ASGI mode."""

        self._loaded_at = time.perf_counter()

        async def main(request: Request) -> Response:
            return await self.answer(request)

        return main

    async def answer(self, request: Request) -> Response:
        """Answer one request. Whatever happens, the answer is well formed and logged once."""
        _widen(asyncio.get_running_loop())
        headers = headers_of(request.scope["headers"])
        path, started = request.scope["path"], time.perf_counter()
        try:
            call = self._call(path, headers, request.scope.get("client"))
        except ConfigurationError as error:
            facts = {
                "function": self.name,
                "method": request.method,
                "path": bare(path),
                "latency_ms": round((time.perf_counter() - started) * 1_000, 3),
                "request_id": request_id(headers, token_hex),
                "logging.googleapis.com/trace": traceparent(headers)[3:35],
                "caller": ANONYMOUS.name,
            }
            return misconfigured(error, facts)
        call.instance.measurements.publish_if_due()
        response = await respond(lambda: self._handle(request, headers, call), call)
        origins = call.instance.settings.cors_allow_origins
        response.raw_headers += [(b"x-request-id", call.request_id.encode()), *_HEADERS]
        response.raw_headers += cors_headers(headers, origins)
        if all(name != _NOTHING_TO_SHOW[0] for name, _ in response.raw_headers):
            response.raw_headers.append(_NOTHING_TO_SHOW)
        if call.standing is not None:
            response.raw_headers += call.standing.headers()
        load_soon(call.instance.limits)
        if (clock := call.instance.replay_clock) is not None:
            response.raw_headers.append((CLOCK_HEADER.encode(), clock.encode()))
        self._log(request, response, call)
        return response

    async def _handle(self, request: Request, headers: Mapping[bytes, bytes], call: Call) -> Response:
        path = request.scope["path"]
        require_single(request.scope["headers"])
        if is_preflight(request.method, headers):
            call.facts["route"] = "OPTIONS"
            origins = call.instance.settings.cors_allow_origins
            return preflight(headers, origins, self._matcher.methods(path))
        route, parameters = self._matcher.match(request.method, path)
        call.facts["route"] = route.name
        call.identity = await self._admit(route, headers, call)
        await limit(call, route)
        arguments = await read_arguments(route, request, headers, call, self._topic, parameters)
        await limit(call, route, arguments.cost(route) - 1)

        async def run() -> Response:
            result = await route.handler(call, **parameters, **arguments.values)
            return result if isinstance(result, Response) else success(result, call.status or route.status)

        if not route.changes:
            return await run()
        return await carry_out(
            run,
            call,
            route,
            request=b"\n".join((call.path.encode(), request.scope["query_string"], arguments.body)),
            key=_header(headers, HEADER),
        )

    async def _admit(self, route: Route, headers: Mapping[bytes, bytes], call: Call) -> Identity:
        instance = call.instance
        if self._gatekeeper is None or self._instance is not instance:
            platform = instance.platform
            self._gatekeeper = Gatekeeper(
                instance.settings,
                platform.secrets,
                platform.identities,
                lambda: instance.authenticator,
                ROLES,
            )
            self._instance = instance

        def header(name: str) -> str | None:
            return _header(headers, name)

        known = self._gatekeeper.admit_at_once(route.name, header)
        if known is not None:
            return known
        await require_calm(call)
        try:
            return await asyncio.to_thread(self._gatekeeper.admit, route.name, header)
        except Unauthenticated:
            await note_refused(call)
            raise

    def _call(self, path: str, headers: Mapping[bytes, bytes], client: tuple[str, int] | None) -> Call:
        instance = current_instance()
        return Call(
            self.name,
            path,
            instance,
            request_id(headers, instance.platform.new_id),
            traceparent(headers),
            ip=client_address(headers, client, instance.settings.trusted_proxies),
        )

    def _route(
        self,
        method: str,
        path: str,
        status: int,
        *,
        changes: bool = False,
        holds_secret: bool = False,
        rows: str = "",
        guard: Handler | None = None,
    ) -> Callable[[H], H]:
        def register(handler: H) -> H:
            route = Route.of(
                method,
                path,
                handler,
                status,
                changes=changes,
                holds_secret=holds_secret,
                rows=rows,
                guard=guard,
            )
            self.routes.append(route)
            self._matcher.add(method, path, route)
            return handler

        return register

    async def _health(self, call: Call) -> Health:
        """Whether the process is alive."""
        return health(call)

    async def _ready(self, call: Call) -> Ready:
        """Whether the function can do its work, and what is missing: then the status is 503."""
        state = await ready(call, self._needs)
        call.status = None if state.ready else NOT_READY
        return state

    def _log(self, request: Request, response: Response, call: Call) -> None:
        if self._is_cold:  # whoever got this answer has waited for the instance to start
            self._is_cold = False
            self._note_cold_start(call)
        latency_ms = call.elapsed_ms()
        facts, status = call.facts, response.status_code
        call.instance.measurements.record(
            self.name, facts.get("route", ""), status, facts.get("model_id"), latency_ms
        )
        log_request(
            {
                "function": self.name,
                "method": request.method,
                "path": bare(call.path),
                "status": status,
                "latency_ms": round(latency_ms, 3),
                "request_id": call.request_id,
                "logging.googleapis.com/trace": f"{call.instance.trace_prefix}{call.trace_id}",
                "caller": call.identity.name,
                **facts,
            }
        )

    def _note_cold_start(self, call: Call) -> None:
        """From the start of the process until now, without the time in which it was up and nobody asked."""
        idle_seconds = call.started - self._loaded_at
        seconds = process_age_seconds() - (idle_seconds if idle_seconds > UP_SECONDS else 0.0)
        milliseconds = max(seconds * 1e3, call.elapsed_ms())
        call.facts.update(cold_start=True, cold_start_ms=round(milliseconds, 1))
        call.instance.measurements.record_cold_start(self.name, milliseconds)


def _widen(loop: asyncio.AbstractEventLoop) -> None:
    """Give the loop threads for as many blocking calls as the platform's connections: its own default goes
    by the processors, and lets five wait at a time where there is one.
    """
    if loop not in _widened:
        loop.set_default_executor(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="blocking"))
        _widened.add(loop)


def _header(headers: Mapping[bytes, bytes], name: str) -> str | None:
    value = headers.get(name.encode())
    return None if value is None else value.decode("latin-1")
