"""Calls that change something: written down before and after, and carried out once under one key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response

from shared.access.admin_audit import Action
from shared.access.admin_audit import Begun as BegunEntry
from shared.access.idempotency import Answered, Begun
from shared.errors import EngineError
from shared.logs import LOGGER
from shared.web.call import Call
from shared.web.responses import respond
from shared.web.route import Route

LEASE_SECONDS: Final = 300.0
"""After this a call that never ended counts as lost: no function that changes something runs longer."""

REPLAYED: Final = "idempotency-replayed"
_REFUSED: Final = 400
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429


async def carry_out(
    run: Callable[[], Awaitable[Response]], call: Call, route: Route, *, request: bytes, key: str | None
) -> Response:
    """What `run` answers, or answered before under the same `Idempotency-Key`.

    Raises:
        InvalidInput, Conflict: the key can't be used so.
        PlatformUnavailable: it couldn't be written down, and wasn't done.
    """
    begun = None
    if key is not None:
        found = await asyncio.to_thread(_begin, call, route, request, key)
        if isinstance(found, Answered):
            return Response(found.body, found.status, {REPLAYED: "true"}, found.media_type)
        begun = found
    try:
        entry = await asyncio.to_thread(call.instance.admin_audit.begin, _action(call, route))
    except EngineError:
        await _settle(call, begun, None, holds_secret=False)
        raise
    call.change.entry_id = entry.id
    response = await respond(run, call)
    await _complete(call, entry, response)
    await _settle(call, begun, response, holds_secret=route.holds_secret)
    return response


def _begin(call: Call, route: Route, request: bytes, key: str) -> Begun | Answered:
    identity = call.identity
    caller = identity.key_id or identity.user_id or f"{identity.name} {call.ip}"
    return call.instance.idempotency_keys.begin(
        caller=caller, route=route.name, key=key, request=request, lease_seconds=LEASE_SECONDS
    )


def _action(call: Call, route: Route) -> Action:
    return Action(
        who=call.identity.name,
        role=call.identity.role.label,
        user_id=call.identity.user_id,
        ip=call.ip,
        function=call.function,
        route=route.name,
        path=call.path,
        request_id=call.request_id,
    )


async def _complete(call: Call, entry: BegunEntry, response: Response) -> None:
    """The change is made, or refused, and the caller hears so whatever happens here: the entry says at least
    that it was begun.
    """
    change = call.change
    try:
        await asyncio.to_thread(
            call.instance.admin_audit.complete,
            entry,
            response.status_code,
            before=change.before,
            after=change.after,
            reason=change.reason,
        )
    except EngineError as error:
        _log_lost("the audit's entry isn't completed", call, error)


async def _settle(call: Call, begun: Begun | None, response: Response | None, *, holds_secret: bool) -> None:
    """Keep the answer for who asks again; what may go better the next time isn't kept."""
    if begun is None:
        return
    keys = call.instance.idempotency_keys
    try:
        if response is None or response.status_code >= _SERVER_ERROR or response.status_code == _TOO_MANY:
            await asyncio.to_thread(keys.forget, begun)
            return
        answered = Answered(response.status_code, response.media_type, bytes(response.body))
        is_secret = holds_secret and response.status_code < _REFUSED
        await asyncio.to_thread(keys.finish, begun, answered, holds_secret=is_secret)
    except EngineError as error:
        _log_lost("the answer isn't kept for its Idempotency-Key", call, error)


def _log_lost(what: str, call: Call, error: EngineError) -> None:
    LOGGER.error(what, extra={"facts": {"request_id": call.request_id, "why": error.detail}})
