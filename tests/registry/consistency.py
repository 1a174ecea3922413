"""Looks at all that a registry holds, and at what must be true of it at any time."""

from __future__ import annotations

from shared.registry import Promotion, Registry, Version
from tests.registry.packages import package

NAME = "market-signal"


def registered(registry: Registry, count: int, *, passes: bool = True) -> list[str]:
    made = [package(number, passes=passes) for number in range(count)]
    return [registry.register(one, created_by="tester", run_id="run").id for one in made]


def log_of(registry: Registry) -> list[Promotion]:
    """The whole log, oldest first."""
    page = registry.promotions(NAME)
    found = list(page.promotions)
    while page.cursor is not None:
        page = registry.promotions(NAME, cursor=page.cursor)
        found += page.promotions
    return found[::-1]


def versions_of(registry: Registry) -> list[Version]:
    """All versions, oldest first."""
    page = registry.list(NAME)
    found = list(page.versions)
    while page.cursor is not None:
        page = registry.list(NAME, cursor=page.cursor)
        found += page.versions
    return found[::-1]


def check_consistent(registry: Registry) -> list[Promotion]:
    """The invariants of what is live; gives the log."""
    active, log = registry.active(NAME), log_of(registry)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    assert len({entry.id for entry in log}) == len(log)
    live = None
    for entry in log:
        assert entry.previous == (None if entry.action == "reloaded" else live)
        live = entry.version_id
    in_production = [version.id for version in versions_of(registry) if version.status == "production"]
    if active is None:
        assert (log, in_production) == ([], [])
    else:
        assert active.last == log[-1]
        assert in_production == [active.version_id]
        once_live = {entry.version_id for entry in log} - {active.version_id}
        assert {v.id for v in versions_of(registry) if v.status == "archived"} == once_live
    return log
