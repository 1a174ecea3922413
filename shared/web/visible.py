"""Whether the caller may use a model: for every route that names one."""

from __future__ import annotations

import asyncio

from shared.access.roles import Role
from shared.registry import require_visible
from shared.web.call import Call


async def require_model(call: Call, model: str) -> None:
    """Of a name or a version's id. One read per model and process, and none for operators.

    Raises:
        NotFound: the caller's key is for others, or it is somebody else's: they aren't told of it.
    """
    call.identity.require_model(model)
    if call.identity.role >= Role.OPERATOR:
        return
    owners = call.instance.model_owners
    owned = owners.known(model)
    if owned is None:
        owned = await asyncio.to_thread(owners.read, model)
    require_visible(call.identity, owned, model)
