"""Killed between the raising of an alert and its delivery: none is lost, and none is told under two keys."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.raising import Severity
from shared.alerts.record import Kind, State
from shared.errors import PlatformUnavailable
from shared.platform.ports import Event
from tests.alerts.made import Ledger, an_alert, at, only, raised, recovered

STORY = [raised("e1", at(1)), raised("e2", at(2), an_alert(Severity.CRITICAL)), recovered("r", at(3))]
ROUTES = "*=log,slack"


class Killed(BaseException):
    """As a process that is killed: nothing in it catches this."""


class Failing:
    """Passes calls on, and fails at the `fatal`-th write: before it was done, or after."""

    def __init__(self, there: Any, method: str, is_fatal: Callable[[], bool], *, after: bool) -> None:
        self._there = there
        self._method = method
        self._is_fatal = is_fatal
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._there, name) if name != self._method else self._write

    def _write(self, *arguments: Any) -> Any:
        is_fatal = self._is_fatal()
        if is_fatal and not self._after:
            raise Killed
        result = getattr(self._there, self._method)(*arguments)
        if is_fatal:
            raise Killed
        return result


def told_of(ledger: Ledger) -> list[tuple[str, Kind]]:
    """What went out, each once: notify drops what it has had by its id."""
    return sorted({n.id: (n.channel, n.kind) for n in ledger.outgoing()}.values())


def deliver_until_handled(ledger: Ledger, events: Sequence[Event], hear: Callable[[Event], None]) -> None:
    """As Pub/Sub does: what wasn't acknowledged comes again."""
    for event in events:
        try:
            hear(event)
        except Killed:
            ledger.hear(event)


EXPECTED = sorted(
    (channel, kind) for channel in ("log", "slack") for kind in (Kind.NEW, Kind.ESCALATED, Kind.RESOLVED)
)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fatal", range(9))
def test_killed_at_any_write_nothing_is_lost_and_nothing_told_twice(
    tmp_path: Path, fatal: int, after: bool
) -> None:
    ledger = Ledger(tmp_path, ROUTES)
    writes = iter(range(1_000))

    def is_fatal() -> bool:
        return next(writes) == fatal

    documents = Failing(ledger.documents, "commit", is_fatal, after=after)
    events = Failing(ledger.events, "publish", is_fatal, after=after)
    deliver_until_handled(ledger, STORY, ledger.opened(documents, events).hear)
    alert = only(ledger.alerts)
    assert (alert.count, alert.state, alert.severity) == (2, State.RESOLVED, Severity.CRITICAL)
    assert told_of(ledger) == EXPECTED
    assert next(writes) > fatal, "it was killed there"


def test_while_nobody_publishes_the_event_is_not_acknowledged(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, ROUTES)

    class Away:
        def publish(self, topic: str, events: Sequence[Event]) -> None:
            raise PlatformUnavailable("away")

    for _ in range(3):
        with pytest.raises(PlatformUnavailable):
            ledger.opened(ledger.documents, Away()).hear(STORY[0])
    assert ledger.outgoing() == []
    ledger.hear(STORY[0])
    assert told_of(ledger) == [("log", Kind.NEW), ("slack", Kind.NEW)]
    assert only(ledger.alerts).count == 1


def hear_and_report(report: Connection, home: Path) -> None:
    """Handle many alerts, each of a cause of its own, and say before and after each."""
    ledger = Ledger(home, ROUTES)
    for number in range(10_000):
        report.send(("taken", number))
        ledger.hear(raised(f"e{number}", at(1), an_alert(cause=f"cause {number}")))
        report.send(("handled", number))


@pytest.mark.parametrize("number", [3, 11])
def test_a_process_that_is_killed_loses_none(tmp_path: Path, number: int) -> None:
    ledger = Ledger(tmp_path, ROUTES)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=hear_and_report, args=(theirs, tmp_path), daemon=True)
    process.start()
    theirs.close()
    last = ("", 0)
    while last != ("taken", number):
        last = ours.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while True:
        try:
            last = ours.recv()
        except EOFError:
            break
    taken = last[1]
    for again in range(max(0, taken - 2), taken + 1):  # and one or two that had been handled
        ledger.hear(raised(f"e{again}", at(1), an_alert(cause=f"cause {again}")))
    told = {n.id: n for n in ledger.outgoing()}.values()
    assert {n.alert.cause for n in told} == {f"cause {n}" for n in range(taken + 1)}
    assert len(told) == 2 * (taken + 1)
    assert [alert.count for alert in ledger.alerts] == [1] * (taken + 1)
