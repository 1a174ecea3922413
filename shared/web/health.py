"""`/health` says that the process is alive; `/ready` says whether it can do its work, and what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from shared.errors import EngineError
from shared.instance import Instance
from shared.schema import Answer
from shared.web.call import Call

NOT_READY = 503


class Health(Answer):
    status: Literal["ok"] = "ok"
    function: str


class Ready(Answer):
    """`missing` says, per part, what is wrong and what to do."""

    ready: bool
    function: str
    missing: Mapping[str, str]


async def _documents(instance: Instance) -> None:
    await asyncio.to_thread(instance.platform.documents.get, "health", "probe")


async def _model(instance: Instance) -> None:
    await instance.require_model()


_CHECKS: dict[str, Callable[[Instance], Awaitable[None]]] = {"documents": _documents, "model": _model}


def health(call: Call) -> Health:
    return Health(function=call.function)


async def ready(call: Call, needs: Sequence[str]) -> Ready:
    """Check each of `needs`: "documents" (they can be read), "model" (one is active and verifies)."""
    missing = {}
    for need in needs:
        try:
            await _CHECKS[need](call.instance)
        except EngineError as error:
            missing[need] = error.detail
    return Ready(ready=not missing, function=call.function, missing=missing)
