"""Whether the caller may use a model: for every route that names one."""

from __future__ import annotations

import asyncio
from typing import Final

from shared.access.roles import Role
from shared.errors import NotFound
from shared.registry import require_visible
from shared.registry.versions import name_of
from shared.web.call import Call

EVERYBODYS: Final = frozenset({"market-signal"})
"""Names that no upload can have. The first prediction of an instance needn't ask whose they are."""


async def may_use(call: Call, model: str) -> bool:
    """Whether the caller may: for lists."""
    try:
        await require_model(call, model)
    except NotFound:
        return False
    return True


async def require_model(call: Call, model: str) -> None:
    """Of a name or a version's id. One read per model and process, and none for operators.

    Raises:
        NotFound: the caller's key is for others, or it is somebody else's: they aren't told of it.
    """
    call.identity.require_model(model)
    if call.identity.role >= Role.OPERATOR or name_of(model) in EVERYBODYS:
        return
    owners = call.instance.model_owners
    owned = owners.known(model)
    if owned is None:
        owned = await asyncio.to_thread(owners.read, model)
    require_visible(call.identity, owned, model)
