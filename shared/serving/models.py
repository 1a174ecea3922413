"""Which models this instance has in memory, and which one is live."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.errors import NoActiveModel, PackageRefused, PlatformUnavailable
from shared.logs import LOGGER
from shared.registry import Active, Registry
from shared.serving.loaded import LoadedModel
from shared.serving.loading import Loader
from shared.serving.memory import ModelMemory
from shared.serving.single_flight import SingleFlight

__all__ = ["LoadedModel", "Models"]

_VERSION_ID = re.compile(r"[a-z][a-z0-9-]*-v[1-9][0-9]*")
MAX_STALE_SECONDS: Final = 60.0
"""How old a pointer may serve while it is read again: not one from before a long sleep of the instance."""


@dataclass(frozen=True, slots=True)
class _Live:
    """A pointer as it was read, and the version that serves for it."""

    pointer: Active
    version_id: str
    read_at: float


class Models:
    """Loads models on demand, as many as `budget_bytes` holds, and follows the active pointers.

    A pointer is read again when it is older than `cache_seconds`: by one request, while the loaded model
    serves the others, however slow the platform is. Only where the pointer is much older, they wait for
    that one. A package that is refused is never served: the model that was live keeps serving, or else the
    one that was active before. For one event loop.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        cache_seconds: float,
        budget_bytes: int,
        monotonic: Callable[[], float],
        on_refused: Callable[[str, str], None],
    ) -> None:
        """`on_refused(version_id, why)` is told of every package that was refused."""
        self._registry = registry
        self._cache_seconds = cache_seconds
        self._monotonic = monotonic
        self._live: dict[str, _Live] = {}
        self.memory = ModelMemory(budget_bytes, self._live_versions)
        self._loader = Loader(
            registry,
            self.memory,
            refused_seconds=cache_seconds,
            monotonic=monotonic,
            on_refused=on_refused,
        )
        self._refreshes: SingleFlight[LoadedModel] = SingleFlight()

    async def get(self, model: str) -> LoadedModel:
        """The model by name (its active version) or by version id.

        Raises:
            NoActiveModel: nothing is active under this name.
            NotFound: no such version.
            PackageRefused: its bytes or its golden vectors don't hold, and no other may stand in.
        """
        if _VERSION_ID.fullmatch(model):
            return await self._loader.load(model)
        live = self._live.get(model)
        if live is not None and (self._is_younger(live, self._cache_seconds) or self._may_stand_in(model)):
            found = self.memory.find(live.version_id)
            if found is not None:
                return found
        return await self._refreshes.run(model, lambda: self._refresh(model))

    def _live_versions(self) -> set[str]:
        return {live.version_id for live in self._live.values()}

    async def _refresh(self, name: str) -> LoadedModel:
        """Look which version is live; one that has left memory is as if it had never been there."""
        now = self._monotonic()
        live = self._live.get(name)
        serving = None if live is None else self.memory.find(live.version_id)
        pointer = await self._pointer(name, live if serving is not None else None)
        if live is not None and serving is not None:
            if pointer.revision == live.pointer.revision:
                self._live[name] = _Live(pointer, live.version_id, now)
                return serving
            pointer, found = await self._follow(pointer, live.pointer, serving)
        else:
            found = await self._start(pointer)
        self._live[name] = _Live(pointer, found.version_id, now)
        return found

    def _may_stand_in(self, name: str) -> bool:
        """While another request is reading."""
        return self._refreshes.is_running(name) and self._is_younger(
            self._live[name], self._cache_seconds + MAX_STALE_SECONDS
        )

    def _is_younger(self, live: _Live, seconds: float) -> bool:
        return self._monotonic() - live.read_at < seconds

    async def _pointer(self, name: str, live: _Live | None) -> Active:
        try:
            pointer = await asyncio.to_thread(self._registry.active, name)
        except PlatformUnavailable:
            if live is None:
                raise
            LOGGER.warning("active pointer unreadable: the loaded model keeps serving")
            return live.pointer
        if pointer is None:
            raise NoActiveModel(
                f"No model is active for '{name}'. Train one with 'mlengine train' (POST /admin/train), "
                "then activate it with 'mlengine activate'."
            )
        return pointer

    async def _start(self, pointer: Active) -> LoadedModel:
        """The pointer's model, or the one before where it is refused."""
        try:
            return await self._verified(pointer.version_id)
        except PackageRefused as refusal:
            if pointer.previous is None:
                raise
            LOGGER.warning("the version before stands in", extra={"facts": {"why": refusal.detail}})
            return await self._loader.load(pointer.previous)

    async def _follow(
        self, pointer: Active, known: Active, serving: LoadedModel
    ) -> tuple[Active, LoadedModel]:
        """The pointer's model, or the one that is serving where it is refused.

        Where the platform fails, the serving one too, and the pointer is followed at the next look.
        """
        try:
            return pointer, await self._verified(pointer.version_id)
        except PackageRefused:
            followed = pointer
        except PlatformUnavailable as error:
            LOGGER.warning("active package unreadable", extra={"facts": {"why": error.detail}})
            followed = known
        self.memory.keep(serving)  # it may have gone, to make room
        return followed, serving

    async def _verified(self, version_id: str) -> LoadedModel:
        """Freshly, whatever is in memory."""
        self.memory.drop(version_id)
        return await self._loader.load(version_id)
