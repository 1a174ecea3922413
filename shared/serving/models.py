"""Which models this instance has in memory, and which one is live."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import EngineError, NoActiveModel, PackageRefused, PlatformUnavailable
from shared.features import FeatureSet, feature_set
from shared.logs import LOGGER
from shared.registry import Active, Manifest, Registry, Scorer

_VERSION_ID = re.compile(r"[a-z][a-z0-9-]*-v[1-9][0-9]*")
MAX_LOADED = 8


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified package, ready to score."""

    version_id: str
    package_hash: str
    manifest: Manifest
    scorer: Scorer
    features: FeatureSet
    gates_passed: bool


@dataclass(frozen=True, slots=True)
class _Live:
    pointer: Active
    model: LoadedModel
    read_at: float


class Models:
    """Loads models on demand and follows the active pointers.

    A pointer is read again when it is older than `cache_seconds`. A package that is refused is never
    served: the model that was live keeps serving, or else the one that was active before.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        cache_seconds: float,
        monotonic: Callable[[], float],
        on_refused: Callable[[str, str], None],
    ) -> None:
        """`on_refused(version_id, why)` is told of every package that was refused."""
        self._registry = registry
        self._cache_seconds = cache_seconds
        self._monotonic = monotonic
        self._on_refused = on_refused
        self._live: dict[str, _Live] = {}
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = asyncio.Lock()

    async def get(self, model: str) -> LoadedModel:
        """The model by name (its active version) or by version id.

        Raises:
            NoActiveModel: nothing is active under this name.
            NotFound: no such version.
            PackageRefused: its bytes or its golden vectors don't hold, and no other may stand in.
        """
        if _VERSION_ID.fullmatch(model):
            return self._loaded.get(model) or await self._load_alone(model)
        live = self._live.get(model)
        if live is not None and self._monotonic() - live.read_at < self._cache_seconds:
            return live.model
        async with self._lock:
            return (await self._refresh(model)).model

    async def _load_alone(self, version_id: str) -> LoadedModel:
        async with self._lock:
            return await self._load(version_id)

    async def _refresh(self, name: str) -> _Live:
        live = self._live.get(name)
        now = self._monotonic()
        if live is not None and now - live.read_at < self._cache_seconds:
            return live
        pointer = await self._pointer(name, live)
        if live is None or pointer.revision != live.pointer.revision:
            live = _Live(pointer, await self._follow(pointer, live), now)
        else:
            live = _Live(pointer, live.model, now)
        self._live[name] = live
        return live

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

    async def _follow(self, pointer: Active, live: _Live | None) -> LoadedModel:
        """The pointer's model, freshly verified; on refusal the live one, or the one before."""
        self._loaded.pop(pointer.version_id, None)
        try:
            return await self._load(pointer.version_id)
        except PackageRefused as refusal:
            if live is not None:
                return live.model
            if pointer.previous is None:
                raise
            LOGGER.warning("the version before stands in", extra={"facts": {"why": refusal.detail}})
            return await self._load(pointer.previous)

    async def _load(self, version_id: str) -> LoadedModel:
        known = self._loaded.get(version_id)
        if known is not None:
            return known
        try:
            model = await asyncio.to_thread(self._open, version_id)
        except PackageRefused as refusal:
            self._report(version_id, refusal)
            raise
        self._loaded[version_id] = model
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)
        return model

    def _report(self, version_id: str, refusal: EngineError) -> None:
        LOGGER.error("package refused", extra={"facts": {"model_id": version_id, "why": refusal.detail}})
        self._on_refused(version_id, refusal.detail)

    def _open(self, version_id: str) -> LoadedModel:
        package = self._registry.open_package(version_id)
        manifest = package.manifest
        features = feature_set(manifest.feature_set)
        if features.hash != manifest.feature_set_hash:
            raise PackageRefused(
                f"{version_id} was trained on {manifest.feature_set} {manifest.feature_set_hash[:12]}, "
                f"this build computes {features.hash[:12]}: train a new version."
            )
        return LoadedModel(
            version_id, package.hash, manifest, package.verified_scorer(), features, manifest.gates_passed
        )
