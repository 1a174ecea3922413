"""Whether the caller may use a model: for every route that names one."""

from __future__ import annotations

import asyncio
from typing import Final

from shared.access.roles import Role
from shared.registry import require_visible
from shared.registry.versions import name_of, unknown
from shared.registry.visibility import OwnedName, is_visible
from shared.web.call import Call

EVERYBODYS: Final = frozenset({"market-signal"})
"""Names that no upload can have. The first prediction of an instance needn't ask whose they are."""


async def may_use(call: Call, model: str) -> bool:
    """Whether the caller may: for lists. What nobody has registered is everybody's."""
    if not call.identity.may_use(model) or _is_settled(call, model):
        return call.identity.may_use(model)
    owned = await _owned(call, model)
    return owned is None or is_visible(call.identity, owned)


async def require_model(call: Call, model: str) -> None:
    """Of a name or a version's id. One read per model and process, and none for operators.

    Raises:
        NotFound: the caller's key is for others, or it is somebody else's: they aren't told of it.
    """
    call.identity.require_model(model)
    if _is_settled(call, model):
        return
    owned = await _owned(call, model)
    if owned is None:
        raise unknown(model)
    require_visible(call.identity, owned, model)


def _is_settled(call: Call, model: str) -> bool:
    """Whether the caller's role, or the name alone, says that nobody need ask whose it is."""
    return call.identity.role >= Role.OPERATOR or name_of(model) in EVERYBODYS


async def _owned(call: Call, model: str) -> OwnedName | None:
    owners = call.instance.model_owners
    return owners.known(model) or await asyncio.to_thread(owners.read, model)
