"""Which models this instance has in memory, and which one is live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.errors import NoActiveModel, NotFound, PackageRefused, PlatformUnavailable
from shared.logs import LOGGER
from shared.registry import Active, Registry
from shared.registry.versions import is_version_id
from shared.serving.loaded import LoadedModel
from shared.serving.loading import Loader
from shared.serving.memory import ModelMemory
from shared.serving.single_flight import SingleFlight

__all__ = ["LoadedModel", "Models"]

MAX_STALE_SECONDS: Final = 60.0
"""How old what is known may serve while it is looked up again: not from before an instance's long sleep."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a name or a version's id meant when it was looked up: the version that serves for it, and for a
    name its pointer.
    """

    version_id: str
    pointer: Active | None
    read_at: float


class Models:
    """Loads models on demand, as many as `budget_bytes` holds, and follows the active pointers.

    What is live under a name, and whether a version was deleted, is looked up again when that is older than
    `cache_seconds`: by one request, while the loaded model serves the others, however slow the platform is.
    Only where it is much older, they wait for that one. A package that is refused is never served: the model
    that was live keeps serving, or else the one that was active before. For one event loop.
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
        self._known: dict[str, _Known] = {}
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
            NotFound: no such version, or it was deleted.
            PackageRefused: its bytes or its golden vectors don't hold, and no other may stand in.
        """
        known = self._known.get(model)
        if known is not None and (self._is_younger(known, self._cache_seconds) or self._may_stand_in(model)):
            found = self.memory.find(known.version_id)
            if found is not None:
                return found
        look_up = self._version if is_version_id(model) else self._refresh
        return await self._refreshes.run(model, lambda: look_up(model))

    def _live_versions(self) -> set[str]:
        return {known.version_id for known in self._known.values() if known.pointer is not None}

    async def _version(self, version_id: str) -> LoadedModel:
        """Look whether the version is there still."""
        now = self._monotonic()
        found = self.memory.find(version_id)
        await self._require_kept(version_id, is_loaded=found is not None)
        found = found or await self._loader.load(version_id)
        self._known[version_id] = _Known(version_id, None, now)
        return found

    async def _refresh(self, name: str) -> LoadedModel:
        """Look which version is live; one that has left memory is as if it had never been there."""
        now = self._monotonic()
        known = self._known.get(name)
        serving = None if known is None else self.memory.find(known.version_id)
        last = None if known is None or serving is None else known.pointer
        pointer = await self._pointer(name, last)
        if last is None or serving is None:
            found = await self._start(pointer)
        elif pointer.revision != last.revision:
            pointer, found = await self._follow(pointer, last, serving)
        else:
            found = await self._go_on(pointer, serving)
        self._known[name] = _Known(found.version_id, pointer, now)
        return found

    def _may_stand_in(self, model: str) -> bool:
        """While another request looks it up."""
        return self._refreshes.is_running(model) and self._is_younger(
            self._known[model], self._cache_seconds + MAX_STALE_SECONDS
        )

    def _is_younger(self, known: _Known, seconds: float) -> bool:
        return self._monotonic() - known.read_at < seconds

    async def _require_kept(self, version_id: str, *, is_loaded: bool) -> None:
        """Forget the version here where it was deleted.

        Raises:
            NotFound: no such version, or it was deleted.
            PlatformUnavailable: nobody knows; what `is_loaded` serves on.
        """
        try:
            version = await asyncio.to_thread(self._registry.get, version_id)
        except PlatformUnavailable:
            if not is_loaded:
                raise
            LOGGER.warning("version unreadable: the loaded model keeps serving")
            return
        if version.is_deleted:
            self.memory.drop(version_id)
        version.require_kept()

    async def _pointer(self, name: str, last: Active | None) -> Active:
        """As it is now; `last`, whose model is loaded, where that can't be read."""
        try:
            pointer = await asyncio.to_thread(self._registry.active, name)
        except PlatformUnavailable:
            if last is None:
                raise
            LOGGER.warning("active pointer unreadable: the loaded model keeps serving")
            return last
        if pointer is None:
            raise NoActiveModel(
                f"No model is active for '{name}'. Train one with 'mlengine train' (POST /admin/train), "
                "then activate it with 'mlengine activate'."
            )
        return pointer

    async def _start(self, pointer: Active) -> LoadedModel:
        """The pointer's model, or where it is refused the one before, unless that was deleted."""
        try:
            return await self._verified(pointer.version_id)
        except PackageRefused as refusal:
            if pointer.previous is None:
                raise
            LOGGER.warning("the version before stands in", extra={"facts": {"why": refusal.detail}})
            try:
                return await self._version(pointer.previous)
            except NotFound:
                raise refusal from None

    async def _go_on(self, pointer: Active, serving: LoadedModel) -> LoadedModel:
        """With the model that serves for a pointer which hasn't moved; one that stands in may be deleted."""
        if serving.version_id != pointer.version_id:
            try:
                await self._require_kept(serving.version_id, is_loaded=True)
            except NotFound:
                return await self._start(pointer)
        return serving

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
