"""Many at once, and processes that are killed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import Conflict
from shared.registry import Promotion, Registry, Version
from tests.contracts.platforms import DOCUMENTS
from tests.contracts.racing import in_processes, kill_while_busy, race
from tests.emulators import Emulators
from tests.jobs.scored import PassedOn
from tests.registry.consistency import NAME, check_consistent, log_of, registered, versions_of
from tests.registry.packages import package, parts
from tests.registry.workers import (
    activate_for_ever,
    activate_some,
    open_registry,
    register_for_ever,
    register_some,
)

KILLS = {"local": 25, "gcp": 6}
"""How often a process is killed: each takes about a second to start where it needs Google's client."""


@pytest.fixture(params=sorted(DOCUMENTS))
def place(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> str:
    """Where the documents are; files and events are in the folder."""
    name: str = request.param
    if name != "local":
        emulators.describe(tmp_path, name, "documents")
    return name


@pytest.fixture
def registry(tmp_path: Path, place: str) -> Registry:
    return open_registry(tmp_path)


def test_100_racing_registrations_give_100_versions_without_gaps(registry: Registry) -> None:
    made = [package(number) for number in range(100)]
    results = race(100, lambda i: registry.register(made[i], created_by="tester"))
    found = {result.id: result.package_hash for result in results if isinstance(result, Version)}
    assert set(found) == {f"market-signal-v{n}" for n in range(1, 101)}
    assert {version.id: version.package_hash for version in versions_of(registry)} == found
    assert set(found.values()) == {one.hash for one in made}


def test_processes_registering_at_once_leave_no_gaps(tmp_path: Path, registry: Registry) -> None:
    in_processes(5, register_some, tmp_path, [parts(package(number)) for number in range(25)])
    assert [version.version for version in versions_of(registry)] == list(range(1, 26))


def test_50_racing_activations_all_succeed_one_after_the_other(registry: Registry) -> None:
    ids = registered(registry, 50)
    results = race(50, lambda i: registry.activate(ids[i], by="tester"))
    assert {result.version_id for result in results if isinstance(result, Promotion)} == set(ids)
    assert len(check_consistent(registry)) == 50


def test_racing_activations_of_one_version_are_one_change(registry: Registry) -> None:
    (version_id,) = registered(registry, 1)
    results = race(16, lambda i: registry.activate(version_id, by=f"{i}"))
    assert results == check_consistent(registry) * 16


def test_50_activations_in_10_processes_all_succeed(tmp_path: Path, registry: Registry) -> None:
    ids = registered(registry, 50)
    in_processes(10, activate_some, tmp_path, ids)
    assert sorted(entry.version_id for entry in check_consistent(registry)) == sorted(ids)


def test_a_process_killed_while_activating_leaves_no_half_change(
    tmp_path: Path, place: str, registry: Registry
) -> None:
    ids, rng = registered(registry, 5), random.Random(5)
    told: set[str] = set()
    for _ in range(KILLS[place]):
        told |= set(kill_while_busy(activate_for_ever, tmp_path, ids, after_seconds=rng.random() / 25))
        check_consistent(registry)
    assert told <= {entry.id for entry in log_of(registry)}


def test_a_process_killed_while_registering_leaves_no_half_version(
    tmp_path: Path, place: str, registry: Registry
) -> None:
    made, rng = [parts(package(number)) for number in range(50)], random.Random(6)
    told: set[str] = set()
    for _ in range(KILLS[place]):
        told |= set(kill_while_busy(register_for_ever, tmp_path, made, after_seconds=rng.random() / 25))
        versions = versions_of(registry)
        assert [version.version for version in versions] == list(range(1, len(versions) + 1))
        registry.open_package(versions[-1].id).files()
    assert told <= {version.id for version in versions}
    assert registry.register(package(), created_by="tester").version == len(versions) + 1


def test_racing_rollbacks_go_back_once(registry: Registry) -> None:
    for version_id in registered(registry, 10):
        registry.activate(version_id, by="tester")
    results = race(8, lambda i: registry.rollback(NAME, by=f"{i}"))
    done = [result for result in results if isinstance(result, Promotion)]
    assert len(done) >= 1
    assert all(isinstance(result, Promotion | Conflict) for result in results)
    assert len({entry.previous for entry in done}) == len(done)
    assert len(check_consistent(registry)) == 10 + len(done)


class _Meanwhile(PassedOn):
    """Does something when a package is read: between what was looked at and what is written."""

    act: Callable[[], object] | None = None

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        act, self.act = self.act, None
        if act is not None:
            act()
        return super().get(name, sha256=sha256)


@pytest.fixture
def meanwhile(registry: Registry) -> _Meanwhile:
    registry._blobs = blobs = _Meanwhile(registry._blobs)
    return blobs


def test_a_version_that_is_deleted_while_it_is_rolled_back_to_stays_so(
    registry: Registry, meanwhile: _Meanwhile
) -> None:
    first, second = registered(registry, 2)
    for one in (first, second):
        registry.activate(one, by="tester")
    meanwhile.act = lambda: registry.delete(first, by="ann")
    with pytest.raises(Conflict, match="ann has deleted it"):
        registry.rollback(NAME, by="tester")
    live = registry.active(NAME)
    assert (registry.get(first).is_deleted, live and live.version_id) == (True, second)


def test_a_version_that_is_deleted_while_it_is_activated_is_back(
    registry: Registry, meanwhile: _Meanwhile
) -> None:
    (only,) = registered(registry, 1)
    meanwhile.act = lambda: registry.delete(only, by="ann")
    registry.activate(only, by="tester")
    version = registry.get(only)
    assert (version.status, version.is_deleted) == ("production", False)
    deeds = [entry.deed for entry in registry.history(only).entries]
    assert deeds == ["activated", "deleted", "registered"]


def test_nothing_live_is_ever_deleted(registry: Registry) -> None:
    ids = registered(registry, 4)

    def act(index: int) -> object:
        one = ids[index // 2 % len(ids)]
        return registry.delete(one, by="a") if index % 2 else registry.activate(one, by="b")

    results = race(24, act)
    assert all(not isinstance(result, Exception) or isinstance(result, Conflict) for result in results)
    active = registry.active(NAME)
    assert active is not None
    assert not registry.get(active.version_id).is_deleted
    for one in ids:
        deeds = [entry.deed for entry in registry.history(one).entries]
        deletions = sum(deed == "deleted" for deed in deeds)
        assert deletions <= 1 + sum(deed == "activated" for deed in deeds)
