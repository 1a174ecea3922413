"""Tells people of alerts: topic notifications.requested brings one event per alert and channel."""

from collections.abc import Sequence

from shared.platform.ports import Event
from shared.web import Call, Function

function = Function("notify", needs=["documents", "channels"])


@function.events
async def notify(events: Sequence[Event], call: Call) -> None:
    """Tell each on its channel. One that fails comes again alone; what was told isn't told again."""
    await call.instance.notifier.deliver(events)


main = function.entry_point()
