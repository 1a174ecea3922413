"""`/health` says that the process is alive; `/ready` says whether it can do its work, and what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from shared.errors import EngineError
from shared.instance import Instance
from shared.schema import Answer
from shared.web.call import Call

NOT_READY = 503


Clock = Annotated[
    str | None,
    Field(exclude_if=lambda clock: clock is None, description="In a replay only: its time."),
]


class Health(Answer):
    status: Literal["ok"] = "ok"
    function: str
    clock: Clock = None


class Ready(Answer):
    """`missing` says, per part, what is wrong and what to do."""

    ready: bool
    function: str
    missing: Mapping[str, str]
    clock: Clock = None


async def _documents(instance: Instance) -> None:
    await asyncio.to_thread(instance.platform.documents.get, "health", "probe")


async def _model(instance: Instance) -> None:
    await instance.require_model()


async def _alert_routes(instance: Instance) -> None:
    _ = instance.alert_routes


async def _channels(instance: Instance) -> None:
    await asyncio.to_thread(instance.notifier.check, instance.alert_routes.all_channels)


_CHECKS: dict[str, Callable[[Instance], Awaitable[None]]] = {
    "documents": _documents,
    "model": _model,
    "alert_routes": _alert_routes,
    "channels": _channels,
}


def health(call: Call) -> Health:
    return Health(function=call.function, clock=call.instance.replay_clock)


async def ready(call: Call, needs: Sequence[str]) -> Ready:
    """Check each of `needs`: "documents" (they can be read), "model" (one is active and verifies),
    "alert_routes" (they name what there is), "channels" (those that alerts go to are set up).
    """
    missing = {}
    for need in needs:
        try:
            await _CHECKS[need](call.instance)
        except EngineError as error:
            missing[need] = error.detail
    clock = call.instance.replay_clock
    return Ready(ready=not missing, function=call.function, missing=missing, clock=clock)
