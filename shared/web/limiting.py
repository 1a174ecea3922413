"""Limits at the edge: counted once it is known who calls, told in headers, refused with the time to wait."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final
from weakref import WeakSet

from shared.access.addresses import network_of
from shared.access.identity import ANONYMOUS, Identity
from shared.access.limits import Kind, Limits, Standing, kind_of, owner_of, subject_of
from shared.access.roles import Role
from shared.logs import LOGGER
from shared.web.call import Call
from shared.web.route import Route

LOAD_AFTER_SECONDS: Final = 0.1
"""By then the first answer is on its way: loading beside it would take the processor from it."""

_loading: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


async def limit(call: Call, route: Route, cost: int = 1) -> None:
    """Count a call of `route` that is worth `cost`.

    Raises:
        TooManyRequests: a window is full.
    """
    kind = kind_of(route.name, changes=route.changes) if cost > 0 else None
    if kind is not None:
        who = ANONYMOUS if kind is Kind.LOGIN else call.identity  # guesses count for the address, key or not
        standing = await _count(call, kind, who, cost)
        if standing is not None:
            call.standing = standing
            standing.require()


async def require_calm(call: Call) -> None:
    """
    Raises:
        TooManyRequests: too many wrong credentials came from this address.
    """
    limits = call.instance.limits
    if limits.is_on and limits.is_loaded:
        subject = (Kind.REFUSED, Role.PUBLIC, network_of(call.ip))
        standing = await asyncio.to_thread(limits.look, *subject) if limits.blocks else limits.look(*subject)
        standing.require()


async def note_refused(call: Call) -> None:
    """Count a wrong credential."""
    await _count(call, Kind.REFUSED, ANONYMOUS, 1)


def load_soon(limits: Limits) -> None:
    """Load the library beside the next requests, once the first answer is told: nobody waits for it."""
    if limits.is_on and not limits.is_loaded:
        loop = asyncio.get_running_loop()
        if loop not in _loading:
            _loading.add(loop)
            loop.call_later(LOAD_AFTER_SECONDS, _load, limits, loop)


def _load(limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is being closed: there are no next requests
        loop.run_in_executor(None, limits.load).add_done_callback(_loaded)


def _loaded(future: asyncio.Future[None]) -> None:
    _loading.discard(future.get_loop())
    if not future.cancelled() and (error := future.exception()) is not None:
        facts = {"why": type(error).__name__}
        LOGGER.error("limits can't be loaded: nobody is limited", extra={"facts": facts})


async def _count(call: Call, kind: Kind, identity: Identity, cost: int) -> Standing | None:
    limits = call.instance.limits
    if not limits.is_on:
        return None
    asked = (kind, identity.role, subject_of(identity, call.ip), cost, owner_of(identity))
    if not limits.is_loaded:
        limits.postpone(*asked)
        return None
    return await asyncio.to_thread(limits.count, *asked) if limits.blocks else limits.count(*asked)
