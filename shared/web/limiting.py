"""Limits at the edge: counted once it is known who calls, told in headers, refused with the time to wait."""

from __future__ import annotations

import asyncio

from shared.access.identity import Identity
from shared.access.limits import Kind, Limits, Standing, kind_of, subject_of
from shared.access.roles import Role
from shared.web.call import Call
from shared.web.route import Route

_loading: set[asyncio.Future[None]] = set()


async def limit(call: Call, route: Route, cost: int = 1) -> None:
    """Count a call of `route` that is worth `cost`.

    Raises:
        TooManyRequests: a window is full.
    """
    kind = kind_of(route.name, changes=route.changes)
    if kind is not None and cost > 0:
        standing = await _count(call, kind, call.identity, cost)
        if standing is not None:
            call.standing = standing
            standing.require()


async def require_calm(call: Call) -> None:
    """
    Raises:
        TooManyRequests: too many wrong credentials came from this address.
    """
    limits = call.instance.limits
    if limits.is_on and (limits.is_loaded or limits.blocks):
        subject = (Kind.REFUSED, Role.PUBLIC, call.ip)
        standing = await asyncio.to_thread(limits.look, *subject) if limits.blocks else limits.look(*subject)
        standing.require()


async def note_refused(call: Call) -> None:
    """Count a wrong credential."""
    await _count(call, Kind.REFUSED, Identity("", Role.PUBLIC), 1)


def load_soon(limits: Limits) -> None:
    """Load the library beside the next requests, now that the first answer is ready: nobody waits for it."""
    if limits.is_on and not limits.is_loaded and not _loading:
        future = asyncio.get_running_loop().run_in_executor(None, limits.load)
        _loading.add(future)
        future.add_done_callback(_loading.discard)


async def _count(call: Call, kind: Kind, identity: Identity, cost: int) -> Standing | None:
    limits = call.instance.limits
    if not limits.is_on:
        return None
    asked = (kind, identity.role, subject_of(identity, call.ip), cost)
    if limits.blocks:
        return await asyncio.to_thread(limits.count, *asked)
    if limits.is_loaded:
        return limits.count(*asked)
    limits.postpone(*asked)
    return None
