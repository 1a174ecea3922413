"""Topic predictions.made: keeps every answered prediction where it can be found."""

import asyncio
from collections.abc import Sequence

from shared.platform.ports import Event
from shared.web import Call, Function

function = Function("audit", needs=["documents"])


@function.events
async def store(events: Sequence[Event], call: Call) -> None:
    """Keep the predictions; storing one again changes nothing."""
    retention_days = call.instance.settings.prediction_retention_days
    await asyncio.to_thread(call.instance.audit.store, events, retention_days=retention_days)


main = function.entry_point()
