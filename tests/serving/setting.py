"""Models over a real registry, on a platform that can be made to fail or to wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from shared.config import load_settings
from shared.errors import PlatformUnavailable
from shared.platform.connect import connect
from shared.platform.ports import Blobs, Document, Documents
from shared.registry import Registry
from shared.serving.models import LoadedModel, Models

CACHE_SECONDS = 5.0
BUDGET_BYTES = 200_000_000
NAME = "market-signal"

T = TypeVar("T")


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class CountingBlobs:
    """Counts what is read, and fails or waits when told to."""

    def __init__(self, inner: Blobs) -> None:
        self._inner = inner
        self.read: list[str] = []
        self.is_down = False
        self.gates: dict[str, threading.Event] = {}
        """What is read only when its gate is open: by the package's hash."""

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        if self.is_down:
            raise PlatformUnavailable("the blobs are down")
        for package_hash, gate in self.gates.items():
            if package_hash in name and name.endswith("examples.json"):
                assert gate.wait(10)
        self.read.append(name.rpartition("/")[2])
        return self._inner.get(name, sha256=sha256)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FailingDocuments:
    """Fails when told to."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner
        self.is_down = False
        self.reads = 0
        self.when_asked: Callable[[], None] = lambda: None

    def get(self, collection: str, id: str) -> Document | None:
        self.when_asked()
        if self.is_down:
            raise PlatformUnavailable("the documents are down")
        self.reads += 1
        return self._inner.get(collection, id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Setting:
    """Models over a real registry whose platform can be made to fail."""

    def __init__(self, home: Path) -> None:
        platform = connect(load_settings(mlengine_home=home))
        self.home = home
        self.clock = Clock()
        self.alerts: list[tuple[str, str]] = []
        self.documents = FailingDocuments(platform.documents)
        self.blobs = CountingBlobs(platform.blobs)
        self.registry = Registry(self.documents, self.blobs, platform.events, platform.now, platform.new_id)
        self._runner = asyncio.Runner()
        self.restart()

    def restart(
        self,
        on_refused: Callable[[str, str], None] | None = None,
        *,
        budget_bytes: int = BUDGET_BYTES,
    ) -> None:
        """A process that has nothing in memory."""
        self.models = Models(
            self.registry,
            cache_seconds=CACHE_SECONDS,
            budget_bytes=budget_bytes,
            monotonic=self.clock,
            on_refused=on_refused or (lambda version, why: self.alerts.append((version, why))),
        )
        self.blobs.read.clear()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def get(self, model: str = NAME) -> LoadedModel:
        return self.run(self.models.get(model))

    def later(self) -> LoadedModel:
        """What is served when the pointer is due to be read again."""
        self.clock.seconds += CACHE_SECONDS
        return self.get()

    def activate_second(self) -> None:
        self.registry.activate("market-signal-v2", by="test")
        self.blobs.read.clear()

    @property
    def refused(self) -> list[str]:
        return [version for version, _ in self.alerts]
