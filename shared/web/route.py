"""One route of a function: what it takes, what it gives, and whether it changes anything."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args, get_type_hints

from pydantic import BaseModel
from starlette.requests import Request

from shared.access.roles import EVENTS_ROUTE, ROLES, Role
from shared.schema import Body, Query
from shared.web.call import Call
from shared.web.decoding import read_body, read_form, read_query
from shared.web.events import read_events

Handler = Callable[..., Awaitable[Any]]

EVENTS_LIMIT_BYTES: Final = 16_000_000
WAYS_IN: Final = frozenset({"POST /auth/login", "POST /auth/refresh"})
"""They change sessions, many times a day and by their nature: in no audit, and under no Idempotency-Key."""


@dataclass(frozen=True, slots=True)
class Route:
    """A handler with what its signature says: what it takes, what it gives.

    `changes` says whether calling it changes anything, `holds_secret` whether its answer holds what is
    shown once, `rows` the member of the body whose items count one by one. `guard` gets what the handler gets
    but the body, which nobody has read then: it raises where the call may not go on.
    """

    method: str
    path: str
    handler: Handler
    status: int
    query: type[BaseModel] | None = None
    body: type[Body] | None = None
    answer: type[BaseModel] | None = None
    changes: bool = False
    holds_secret: bool = False
    rows: str = ""
    guard: Handler | None = None

    @staticmethod
    def of(
        method: str,
        path: str,
        handler: Handler,
        status: int,
        *,
        changes: bool,
        holds_secret: bool,
        rows: str,
        guard: Handler | None,
    ) -> Route:
        """
        Raises:
            LookupError: nobody has said who may call it.
        """
        if f"{method} {path}" not in ROLES:
            raise LookupError(f"{method} {path} has no line in shared.access.roles.ROLES")
        hints = get_type_hints(handler)
        return Route(
            method,
            path,
            handler,
            status,
            hints.get("query"),
            hints.get("body"),
            _answer_of(hints.get("return")),
            changes and f"{method} {path}" not in WAYS_IN,
            holds_secret,
            rows,
            guard,
        )

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def takes_events(self) -> bool:
        return self.name == EVENTS_ROUTE

    @property
    def knows_no_query(self) -> bool:
        """Whether parameters can only be a mistake. Probes and event deliveries may carry their own."""
        return self.answer is not None and ROLES[self.name] is not Role.PUBLIC


def _answer_of(hint: Any) -> type[BaseModel] | None:
    """The model of what a handler gives, also where it may give a response instead."""
    kinds = [kind for kind in (hint, *get_args(hint)) if inspect.isclass(kind)]
    return next((kind for kind in kinds if issubclass(kind, BaseModel)), None)


@dataclass(slots=True)
class Arguments:
    """What a handler gets, and the body that it was read from."""

    values: dict[str, Any]
    body: bytes = field(default=b"", repr=False)

    def cost(self, route: Route) -> int:
        """How many calls it counts as."""
        return len(getattr(self.values["body"], route.rows)) if route.rows else 1


async def read_arguments(
    route: Route,
    request: Request,
    headers: Mapping[bytes, bytes],
    call: Call,
    topic: str | None,
    parameters: Mapping[str, str],
) -> Arguments:
    """What the handler of `route` gets beside the path's `parameters`.

    Raises:
        InvalidInput, MalformedRequest, PayloadTooLarge, UnsupportedMediaType: and what the guard raises.
    """
    found = Arguments({})
    query_string = request.scope["query_string"]
    if route.query is not None:
        found.values["query"] = read_query(route.query, query_string)
    elif query_string and route.knows_no_query:
        read_query(Query, query_string)
    if route.guard is not None:
        await route.guard(call, **parameters, **found.values)
    if route.body is not None:
        found.body = await read_body(request.receive, route.body.limit_bytes)
        found.values["body"] = read_form(route.body, found.body, headers)
    if route.takes_events:
        found.body = await read_body(request.receive, EVENTS_LIMIT_BYTES)
        arrived_at = call.instance.platform.now()
        found.values["events"] = read_events(found.body, headers, topic=topic, arrived_at=arrived_at)
    return found
