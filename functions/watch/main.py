"""POST /admin/watch: lets every monitor look, rings and resolves; topic watch.requested asks for the same."""

import asyncio
from collections.abc import Sequence
from typing import Any

from shared.monitoring.failures import key_of
from shared.monitoring.watching import MonitorReport, WatchReport
from shared.platform.ports import Event
from shared.schema import Answer, Body
from shared.web import Call, Function
from shared.web.decoding import read_data

function = Function("watch", needs=["documents"])


class Requested(Body):
    """What the event says: nothing, as every monitor looks."""


class ReadingAnswer(Answer):
    """One cause that is watched. `level` is clear, over, unknown, or edge: begins no alert, ends none."""

    type: str
    cause: str
    level: str
    severity: str
    body: str
    facts: dict[str, Any]


class MonitorAnswer(Answer):
    """What became of a monitor. `rung`, `resolved` and `held` are keys of alerts: told of, ended, and kept
    without being told of again. `error` says why it couldn't look; then alerts stay as they are.
    """

    monitor: str
    level: str
    readings: list[ReadingAnswer]
    rung: list[str]
    resolved: list[str]
    held: list[str]
    error: str | None


class WatchAnswer(Answer):
    """One look of all monitors."""

    run_id: str
    at: str
    monitors: list[MonitorAnswer]


def answer(report: WatchReport) -> WatchAnswer:
    return WatchAnswer(
        run_id=report.run_id, at=report.at, monitors=[_monitor(one) for one in report.monitors]
    )


def _monitor(report: MonitorReport) -> MonitorAnswer:
    names = ("type", "cause", "level", "severity", "body", "facts")
    return MonitorAnswer(
        monitor=report.monitor,
        level=report.level,
        readings=[ReadingAnswer(**{name: getattr(one, name) for name in names}) for one in report.readings],
        rung=list(report.decision.rung),
        resolved=list(report.decision.resolved),
        held=list(report.decision.held),
        error=report.error,
    )


async def _run(call: Call, run_id: str) -> WatchReport:
    report = await asyncio.to_thread(call.instance.watcher.run, run_id, call.instance.platform.now())
    rung = [key for one in report.monitors for key in one.decision.rung]
    resolved = [key for one in report.monitors for key in one.decision.resolved]
    call.facts.update(run_id=run_id, rung=rung, resolved=resolved, failed_monitors=list(report.failed))
    return report


@function.post("/admin/watch")
async def watch(call: Call) -> WatchAnswer:
    """Let every monitor look now."""
    return answer(await _run(call, call.instance.platform.new_id()))


@function.events
async def watch_requested(events: Sequence[Event], call: Call) -> None:
    """One look for each event; the same event is the same look."""
    for event in events:
        read_data(Requested, event.data)
        await _run(call, key_of("watch", event))


main = function.entry_point()
