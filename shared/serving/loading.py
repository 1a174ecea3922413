"""Loads model packages: each once, however many ask for it, and none again that was refused a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from shared.errors import EngineError, PackageRefused
from shared.logs import LOGGER
from shared.registry import Package, Registry
from shared.registry.package import MODEL
from shared.serving.loaded import LoadedModel
from shared.serving.memory import ModelMemory, size_of
from shared.serving.single_flight import SingleFlight


class Loader:
    """Loads versions into memory. Loads of different versions don't wait for each other, unless for room."""

    def __init__(
        self,
        registry: Registry,
        memory: ModelMemory,
        *,
        refused_seconds: float,
        monotonic: Callable[[], float],
        on_refused: Callable[[str, str], None],
    ) -> None:
        """A refused package is left alone for `refused_seconds`; `on_refused(version_id, why)` is told."""
        self._registry = registry
        self._memory = memory
        self._refused_seconds = refused_seconds
        self._monotonic = monotonic
        self._on_refused = on_refused
        self._refused: dict[str, tuple[str, float]] = {}  # why, and when
        self._loads: SingleFlight[LoadedModel] = SingleFlight()

    async def load(self, version_id: str) -> LoadedModel:
        """The version from memory, or loaded and verified.

        Raises:
            NotFound: no such version.
            PackageRefused: its bytes or its golden vectors don't hold, or it takes too much memory.
        """
        known = self._memory.find(version_id)
        return known or await self._loads.run(version_id, lambda: self._load(version_id))

    async def _load(self, version_id: str) -> LoadedModel:
        self._raise_if_refused_lately(version_id)
        try:
            package, size_bytes = await asyncio.to_thread(self._fetch, version_id)
            async with self._memory.room_for(version_id, size_bytes):
                model = await asyncio.to_thread(LoadedModel.open, version_id, package, size_bytes)
        except PackageRefused as refusal:
            self._refused[version_id] = (refusal.detail, self._monotonic())
            await asyncio.to_thread(self._report, version_id, refusal.detail)
            raise
        self._memory.keep(model)
        return model

    def _fetch(self, version_id: str) -> tuple[Package, int]:
        """The package with its graph at hand, and about how much memory that will take."""
        package = self._registry.open_package(version_id)
        graph = package.file(MODEL)

        def read(name: str) -> bytes:
            return graph if name == MODEL else package.read(name)

        return replace(package, read=read), size_of(graph)

    def _raise_if_refused_lately(self, version_id: str) -> None:
        """So that each call for a broken package isn't a download and an alert."""
        why, refused_at = self._refused.get(version_id, ("", float("-inf")))
        if self._monotonic() - refused_at < self._refused_seconds:
            raise PackageRefused(why)

    def _report(self, version_id: str, why: str) -> None:
        facts = {"model_id": version_id, "why": why}
        LOGGER.error("package refused", extra={"facts": facts})
        try:
            self._on_refused(version_id, why)
        except EngineError as error:
            LOGGER.error("alert not sent", extra={"facts": {**facts, "why": error.detail}})
