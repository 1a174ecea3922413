"""/admin/schedules: shows the schedules, pauses and resumes them, and fires them by hand."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.errors import NotFound
from shared.platform.ports import ScheduleState
from shared.schema import Answer
from shared.web import Call, Function

function = Function("schedules")


class ScheduleAnswer(Answer):
    """A schedule: `cron` in `timezone` publishes `data` on `topic`. A paused one has no next time."""

    name: str
    purpose: str
    cron: str
    timezone: str
    topic: str
    data: Mapping[str, Any]
    paused: bool
    last_fired_at: str | None
    next_fire_at: str | None


class ScheduleList(Answer):
    """By name."""

    schedules: list[ScheduleAnswer]


def answer(state: ScheduleState) -> ScheduleAnswer:
    return ScheduleAnswer(
        name=state.name,
        purpose=state.purpose,
        cron=state.cron,
        timezone=state.timezone,
        topic=state.topic,
        data=state.data,
        paused=state.paused,
        last_fired_at=text(state.last_fired_at),
        next_fire_at=text(state.next_fire_at),
    )


def text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


@function.get("/admin/schedules")
async def schedules(call: Call) -> ScheduleList:
    """All schedules, and when each fires next."""
    found = await asyncio.to_thread(call.instance.platform.schedules.list)
    return ScheduleList(schedules=[answer(state) for state in found])


@function.post("/admin/schedules/{name}/pause")
async def pause(call: Call, name: str) -> ScheduleAnswer:
    """No more firing until it is resumed."""
    return await changed(call, call.instance.platform.schedules.pause, name)


@function.post("/admin/schedules/{name}/resume")
async def resume(call: Call, name: str) -> ScheduleAnswer:
    """Fire at its times again. Those that passed meanwhile aren't made up for."""
    return await changed(call, call.instance.platform.schedules.resume, name)


@function.post("/admin/schedules/{name}/run")
async def run(call: Call, name: str) -> ScheduleAnswer:
    """Publish its event now, also when it is paused."""
    return await changed(call, call.instance.platform.schedules.fire, name)


async def changed(call: Call, change: Callable[[str], None], name: str) -> ScheduleAnswer:
    """Change the schedule; gives it as it then is."""
    call.facts["schedule"] = name
    await asyncio.to_thread(change, name)
    for state in await asyncio.to_thread(call.instance.platform.schedules.list):
        if state.name == name:
            call.change.after = {"paused": state.paused}
            return answer(state)
    raise NotFound(f"The schedule {name!r} was taken away meanwhile.")


main = function.entry_point()
