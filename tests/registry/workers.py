"""Registries on a state folder, and what other processes do with them: without tests, to start quickly."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Documents, Events, Now
from shared.registry import Package, Registry
from tests.contracts.platforms import DOCUMENTS
from tests.emulators import DESCRIPTION

TOPICS = {"model.registered": ("seen",), "model.activated": ("seen",)}

Parts = tuple[bytes, Mapping[str, bytes], str]
"""A package for other processes: its manifest, files and hash."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def documents_at(state: Path) -> Documents:
    """On the emulator that the folder tells of, or else in the folder."""
    return DOCUMENTS["gcp" if (state / DESCRIPTION).exists() else "local"](state)


def open_registry(state: Path, *, now: Now = utc_now, events: Events | None = None) -> Registry:
    return Registry(
        documents_at(state),
        FolderBlobs(state / "blobs"),
        events or SqliteEvents(state / "events.sqlite3", TOPICS),
        now,
        lambda: uuid.uuid4().hex,
    )


def opened(parts: Parts) -> Package:
    manifest, files, package_hash = parts
    return Package.open(manifest, files.__getitem__, expected_hash=package_hash)


def activate_some(index: int, state: Path, version_ids: Sequence[str]) -> None:
    """Activates its share of `version_ids`, of ten."""
    registry = open_registry(state)
    for version_id in version_ids[index::10]:
        registry.activate(version_id, by=f"process {index}")


def activate_for_ever(report: Connection, state: Path, version_ids: Sequence[str]) -> None:
    """Reports the id of each change that is durable."""
    registry = open_registry(state)
    for turn in itertools.count():
        if turn % 3 < 2:
            report.send(registry.activate(version_ids[turn % len(version_ids)], by="worker").id)
        else:
            report.send(registry.rollback("market-signal", by="worker").id)


def register_some(index: int, state: Path, parts: Sequence[Parts]) -> None:
    registry = open_registry(state)
    for one in parts[index::5]:
        registry.register(opened(one), created_by=f"process {index}", run_id=None)


def register_for_ever(report: Connection, state: Path, parts: Sequence[Parts]) -> None:
    """Reports the id of each version that is durable."""
    registry = open_registry(state)
    for one in itertools.cycle(parts):
        report.send(registry.register(opened(one), created_by="worker", run_id=None).id)


def ticking(start: datetime, steps: Sequence[float]) -> Callable[[], datetime]:
    """A clock that gives `start` moved by each of `steps` in seconds, then stays."""
    times = [datetime.fromtimestamp(start.timestamp() + step, UTC) for step in steps]
    return lambda: times.pop(0) if len(times) > 1 else times[0]
