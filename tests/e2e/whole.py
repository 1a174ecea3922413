"""What must hold of a state folder whenever one looks, whoever was killed before."""

from __future__ import annotations

from pathlib import Path

from shared.config import load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from shared.registry import Promotion, Version
from shared.registry.versions import COUNTERS, Status
from tests.e2e.twin import MODEL


def open_state(home: Path) -> Instance:
    """The engine's own view of a state folder, from another process than the twin's."""
    settings = load_settings(mlengine_home=home)
    return Instance(settings, connect(settings))


def versions_of(state: Instance) -> list[Version]:
    """All versions, oldest first."""
    found: list[Version] = []
    cursor = None
    while True:
        page = state.registry.list(MODEL, cursor=cursor)
        found += page.versions
        cursor = page.cursor
        if cursor is None:
            return found[::-1]


def promotions_of(state: Instance) -> list[Promotion]:
    """The whole log, oldest first."""
    found: list[Promotion] = []
    cursor = None
    while True:
        page = state.registry.promotions(MODEL, cursor=cursor)
        found += page.promotions
        cursor = page.cursor
        if cursor is None:
            return found[::-1]


def check_versions(state: Instance) -> None:
    """No gap, no version without its package, and every byte of it as it was registered."""
    versions = versions_of(state)
    counter = state.platform.documents.get(COUNTERS, MODEL)
    assert [version.version for version in versions] == list(range(1, len(versions) + 1))
    assert counter is not None
    assert counter.data["last"] == len(versions)
    for version in versions:
        package = state.registry.open_package(version.id)
        assert set(package.files()) == {"manifest.json", *package.manifest.files}
        package.verified_scorer()


def check_one_is_live(state: Instance) -> None:
    """One live version, by the pointer, by the statuses and by the end of an unbroken log."""
    active = state.registry.active(MODEL)
    log = promotions_of(state)
    assert active is not None
    live = [version.id for version in versions_of(state) if version.status is Status.PRODUCTION]
    assert live == [active.version_id]
    assert log[-1] == active.last
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    assert [entry.previous for entry in log[1:]] == [entry.version_id for entry in log[:-1]]
