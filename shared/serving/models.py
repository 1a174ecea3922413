"""Which models this instance has in memory, and which one is live."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.errors import (
    EngineError,
    InvalidInput,
    NoActiveModel,
    NotFound,
    PackageRefused,
    PlatformUnavailable,
)
from shared.features import FeatureSet, feature_set
from shared.logs import LOGGER
from shared.registry import Active, Manifest, Registry, Scorer
from shared.tabular import Columns

_VERSION_ID = re.compile(r"[a-z][a-z0-9-]*-v[1-9][0-9]*")
MAX_LOADED = 8
MAX_STALE_SECONDS = 60.0
"""How old a pointer may serve while it is read again: not one from before a long sleep of the instance."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified package, ready to score. A market model has `features`, a tabular one `columns`."""

    version_id: str
    package_hash: str
    manifest: Manifest = field(repr=False)
    scorer: Scorer = field(repr=False)
    inputs: FeatureSet | Columns = field(repr=False)
    gates_passed: bool

    @property
    def features(self) -> FeatureSet:
        """
        Raises:
            InvalidInput: it is no market model.
        """
        if isinstance(self.inputs, Columns):
            raise InvalidInput(
                f"{self.version_id} doesn't take symbols: it is a tabular model. Give it rows "
                "(POST /predict with 'inputs')."
            )
        return self.inputs

    def require_market(self) -> None:
        """
        Raises:
            InvalidInput: as `features`.
        """
        _ = self.features

    @property
    def columns(self) -> Columns:
        """
        Raises:
            InvalidInput: it is no tabular model.
        """
        if not isinstance(self.inputs, Columns):
            raise InvalidInput(
                f"{self.version_id} doesn't take rows: it is a market model. Give it a symbol (GET /predict)."
            )
        return self.inputs


@dataclass(frozen=True, slots=True)
class _Live:
    pointer: Active
    model: LoadedModel
    read_at: float


class Models:
    """Loads models on demand and follows the active pointers.

    A pointer is read again when it is older than `cache_seconds`: by one request, while the loaded model
    serves the others, however slow the platform is. Only where the pointer is much older, they wait for
    that one. A package that is refused is never served: the model
    that was live keeps serving, or else the one that was active before.
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
        self._refused: dict[str, tuple[str, float]] = {}  # why, and when
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
        if live is not None and (self._is_younger(live, self._cache_seconds) or self._may_stand_in(live)):
            return live.model
        async with self._lock:
            found = self._live.get(model)
            if found is None or found is live:  # else another request has looked meanwhile
                found = await self._refresh(model, live)
            return found.model

    async def _load_alone(self, version_id: str) -> LoadedModel:
        async with self._lock:
            return await self._load(version_id)

    async def _refresh(self, name: str, live: _Live | None) -> _Live:
        now = self._monotonic()
        pointer = await self._pointer(name, live)
        if live is not None and pointer.revision == live.pointer.revision:
            live = _Live(pointer, live.model, now)
        else:
            live = await self._follow(pointer, live, now)
        self._live[name] = live
        return live

    def _may_stand_in(self, live: _Live) -> bool:
        """While another request is reading."""
        return self._lock.locked() and self._is_younger(live, self._cache_seconds + MAX_STALE_SECONDS)

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

    async def _follow(self, pointer: Active, live: _Live | None, now: float) -> _Live:
        """The pointer's model, freshly verified; on refusal the live one, or the one before.

        Where the platform fails the live one too, and the pointer is followed at the next look.
        """
        self._loaded.pop(pointer.version_id, None)
        try:
            return _Live(pointer, await self._load(pointer.version_id), now)
        except PackageRefused as refusal:
            if live is not None:
                return _Live(pointer, live.model, now)
            if pointer.previous is None:
                raise
            LOGGER.warning("the version before stands in", extra={"facts": {"why": refusal.detail}})
            return _Live(pointer, await self._load(pointer.previous), now)
        except PlatformUnavailable as error:
            if live is None:
                raise
            LOGGER.warning("active package unreadable", extra={"facts": {"why": error.detail}})
            return _Live(live.pointer, live.model, now)

    async def _load(self, version_id: str) -> LoadedModel:
        known = self._loaded.get(version_id)
        if known is not None:
            return known
        self._raise_if_refused_lately(version_id)
        try:
            model = await asyncio.to_thread(self._open, version_id)
        except PackageRefused as refusal:
            self._refused[version_id] = (refusal.detail, self._monotonic())
            await asyncio.to_thread(self._report, version_id, refusal.detail)
            raise
        self._loaded[version_id] = model
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)
        return model

    def _raise_if_refused_lately(self, version_id: str) -> None:
        """So that each call for a broken package isn't a download and an alert."""
        why, refused_at = self._refused.get(version_id, ("", float("-inf")))
        if self._monotonic() - refused_at < self._cache_seconds:
            raise PackageRefused(why)

    def _report(self, version_id: str, why: str) -> None:
        facts = {"model_id": version_id, "why": why}
        LOGGER.error("package refused", extra={"facts": facts})
        try:
            self._on_refused(version_id, why)
        except EngineError as error:
            LOGGER.error("alert not sent", extra={"facts": {**facts, "why": error.detail}})

    def _open(self, version_id: str) -> LoadedModel:
        package = self._registry.open_package(version_id)
        manifest = package.manifest
        inputs = Columns(manifest.columns) if manifest.columns else _features(version_id, manifest)
        return LoadedModel(
            version_id, package.hash, manifest, package.verified_scorer(), inputs, manifest.gates_passed
        )


def _features(version_id: str, manifest: Manifest) -> FeatureSet:
    """The features that the model was trained on.

    Raises:
        PackageRefused: this build computes others.
    """
    try:
        features = feature_set(manifest.feature_set)
    except NotFound as error:
        raise PackageRefused(f"{version_id} needs another build: {error.detail}") from error
    if features.hash != manifest.feature_set_hash:
        raise PackageRefused(
            f"{version_id} was trained on {manifest.feature_set} {manifest.feature_set_hash[:12]}, "
            f"this build computes {features.hash[:12]}: train a new version."
        )
    return features
