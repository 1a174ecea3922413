"""One deployed function: its routes and its event handler behind one entry point."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints
from weakref import WeakSet

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from shared.access.identity import Gatekeeper
from shared.access.roles import EVENTS_ROUTE, ROLES, Role
from shared.errors import EngineError
from shared.instance import Instance, current_instance
from shared.logs import LOGGER, log_request
from shared.platform.ports import Event
from shared.schema import Query
from shared.web.call import Call, request_id, traceparent
from shared.web.decoding import read_body, read_json, read_query
from shared.web.delivery import EventHandler, handle, topic_of
from shared.web.events import read_events
from shared.web.health import NOT_READY, Health, Ready, health, ready
from shared.web.problem import MEDIA_TYPE, problem_headers, problem_of, unexpected
from shared.web.routing import Routes, bare

Handler = Callable[..., Awaitable[Any]]
H = TypeVar("H", bound=Handler)

BODY_LIMIT_BYTES = 1_000_000
EVENTS_LIMIT_BYTES = 16_000_000

MAX_THREADS = 32

_widened: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


@dataclass(frozen=True, slots=True)
class Route:
    """A handler with what its signature says: what it takes, what it gives."""

    method: str
    path: str
    handler: Handler
    status: int
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    answer: type[BaseModel] | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def knows_no_query(self) -> bool:
        """Whether parameters can only be a mistake. Probes and event deliveries may carry their own."""
        return self.answer is not None and ROLES[self.name] is not Role.PUBLIC


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
        self.get("/health")(self._health)
        self.get("/ready")(self._ready)

    def get(self, path: str) -> Callable[[H], H]:
        return self._route("GET", path, 200)

    def post(self, path: str, *, status: int = 200) -> Callable[[H], H]:
        return self._route("POST", path, status)

    def events(self, handler: EventHandler) -> EventHandler:
        """Take the events of the function's topic, delivered to `POST /` in any form that
        `shared.web.events` knows. The handler must be idempotent.
        """

        async def deliver(call: Call, events: Sequence[Event]) -> Response:
            await handle(events, call, handler, self._topic)
            return Response(status_code=204)

        self.takes_events = True
        self._matcher.add("POST", "/", Route("POST", "/", deliver, 204, None, None, None))
        return handler

    def entry_point(self) -> Callable[[Request], Awaitable[Response]]:
        """The function that functions-framework loads, in its ASGI mode."""

        async def main(request: Request) -> Response:
            return await self.answer(request)

        return main

    async def answer(self, request: Request) -> Response:
        """Answer one request. Whatever happens, the answer is well formed and logged once."""
        _widen(asyncio.get_running_loop())
        headers = dict(request.scope["headers"])
        call = self._call(request.scope["path"], headers)
        try:
            response = await self._handle(request, headers, call)
        except EngineError as error:
            response = _refusal(error, call)
        except Exception:  # noqa: BLE001 - the edge: the caller gets a problem, the log the trace
            LOGGER.exception("unexpected error", extra={"facts": {"request_id": call.request_id}})
            response = _refusal(unexpected(call.request_id), call)
        response.raw_headers += [(b"x-request-id", call.request_id.encode()), *_HEADERS]
        self._log(request, response, call)
        return response

    async def _handle(self, request: Request, headers: Mapping[bytes, bytes], call: Call) -> Response:
        route, parameters = self._matcher.match(request.method, request.scope["path"])
        call.facts["route"] = route.name
        if route.name == EVENTS_ROUTE:  # whose sender's token may need certificates from afar
            call.identity = await asyncio.to_thread(self._admit, route, headers, call.instance)
        else:
            call.identity = self._admit(route, headers, call.instance)
        arguments: dict[str, Any] = dict(parameters)
        if route.query is not None:
            arguments["query"] = read_query(route.query, request.scope["query_string"])
        elif request.scope["query_string"] and route.knows_no_query:
            read_query(Query, request.scope["query_string"])
        if route.body is not None:
            body = await read_body(request.receive, BODY_LIMIT_BYTES)
            arguments["body"] = read_json(route.body, body, headers)
        if route.name == EVENTS_ROUTE:
            body = await read_body(request.receive, EVENTS_LIMIT_BYTES)
            arrived_at = call.instance.platform.now()
            arguments["events"] = read_events(body, headers, topic=self._topic, arrived_at=arrived_at)
        result = await route.handler(call, **arguments)
        return result if isinstance(result, Response) else _success(result, call.status or route.status)

    def _admit(self, route: Route, headers: Mapping[bytes, bytes], instance: Instance) -> Any:
        if self._gatekeeper is None or self._instance is not instance:
            self._gatekeeper = Gatekeeper(
                instance.settings, instance.platform.secrets, instance.platform.identities, ROLES
            )
            self._instance = instance
        return self._gatekeeper.admit(route.name, lambda name: _header(headers, name))

    def _call(self, path: str, headers: Mapping[bytes, bytes]) -> Call:
        instance = current_instance()
        return Call(
            self.name,
            path,
            instance,
            request_id(headers, instance.platform.new_id),
            traceparent(headers),
        )

    def _route(self, method: str, path: str, status: int) -> Callable[[H], H]:
        if f"{method} {path}" not in ROLES:
            raise LookupError(f"{method} {path} has no line in shared.access.roles.ROLES")

        def register(handler: H) -> H:
            hints = get_type_hints(handler)
            answer = hints.get("return")
            route = Route(
                method,
                path,
                handler,
                status,
                hints.get("query"),
                hints.get("body"),
                answer if inspect.isclass(answer) and issubclass(answer, BaseModel) else None,
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
            call.facts["cold_start"] = True
        log_request(
            {
                "function": self.name,
                "method": request.method,
                "path": bare(call.path),
                "status": response.status_code,
                "latency_ms": round(call.elapsed_ms(), 3),
                "request_id": call.request_id,
                "logging.googleapis.com/trace": call.trace_id,
                "caller": call.identity.name,
                **call.facts,
            }
        )


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


def _success(result: BaseModel | None, status: int) -> Response:
    if result is None:
        return Response(status_code=204)
    return Response(_json(result), status, media_type="application/json")


def _refusal(error: EngineError, call: Call) -> Response:
    call.facts["problem"] = error.slug
    return Response(_json(problem_of(error, call)), error.status, problem_headers(error), MEDIA_TYPE)


def _json(model: BaseModel) -> bytes:
    return model.__pydantic_serializer__.to_json(model)
