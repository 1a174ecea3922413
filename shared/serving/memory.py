"""The models in memory: as many as a budget holds, the least recently used going first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

from shared.errors import PackageRefused
from shared.serving.loaded import LoadedModel

OWN_BYTES: Final = 1_000_000
"""What a model takes beside its graph: session, manifest, columns."""

TREES_FACTOR: Final = 17
"""How many bytes of memory a byte of `model.onnx` becomes where it holds trees. Measured with onnxruntime
1.31 as growth of the resident set: 16.1 for 200 trees of LightGBM, 11.9 to 12.9 for forests of 18 and 59 MB.
"""

WEIGHTS_FACTOR: Final = 4
"""The same where it holds weights: 3.1 for a network of 21 MB."""

_TREES: Final = b"TreeEnsemble"
"""Is in the names of all operators of trees, which lie unbroken in the file."""


def size_of(graph: bytes) -> int:
    """About how many bytes the model of this `model.onnx` takes once loaded; rather more than less."""
    return OWN_BYTES + len(graph) * (TREES_FACTOR if _TREES in graph else WEIGHTS_FACTOR)


class ModelMemory:
    """Holds models by version, within `budget_bytes`, what is being loaded included.

    Live models stay longest: others go first, and among both the least recently used. What is put out is
    forgotten here; a request that is being answered keeps its model until it is done. For one event loop.
    """

    def __init__(self, budget_bytes: int, live: Callable[[], Collection[str]]) -> None:
        """`live` gives the versions that are served by their model's name."""
        self._budget_bytes = budget_bytes
        self._live = live
        self._held: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading: dict[str, int] = {}
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def used_bytes(self) -> int:
        return sum(one.size_bytes for one in self._held.values()) + sum(self._loading.values())

    @property
    def versions(self) -> list[str]:
        """Those that are held, the least recently used first."""
        return list(self._held)

    def find(self, version_id: str) -> LoadedModel | None:
        """The model, which counts as used now; None where it isn't here."""
        found = self._held.get(version_id)
        if found is None:
            return None
        self._held.move_to_end(version_id)
        return found

    def drop(self, version_id: str) -> None:
        self._held.pop(version_id, None)
        self._wake()

    def keep(self, model: LoadedModel) -> None:
        """Hold a model, others going where there is no room; it may go itself where all is being loaded."""
        self._held[model.version_id] = model
        self._held.move_to_end(model.version_id)
        self._make_room(0)

    @asynccontextmanager
    async def room_for(self, version_id: str, size_bytes: int) -> AsyncIterator[None]:
        """Room to load a model in; waits where other loads have it all. What is loaded is kept after.

        Raises:
            PackageRefused: it takes more than there is in all.
        """
        if size_bytes > self._budget_bytes:
            raise PackageRefused(
                f"{version_id} takes about {_mb(size_bytes)} MB in memory, MODEL_MEMORY_MB allows "
                f"{_mb(self._budget_bytes)}: raise it, and with it the function's memory."
            )
        while not self._make_room(size_bytes):
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting
        self._loading[version_id] = size_bytes
        try:
            yield
        finally:
            del self._loading[version_id]
            self._wake()

    def _make_room(self, size_bytes: int) -> bool:
        live = self._live()
        going = [one for one in self._held if one not in live] + [one for one in self._held if one in live]
        for version_id in going:
            if self.used_bytes + size_bytes <= self._budget_bytes:
                break
            del self._held[version_id]
        return self.used_bytes + size_bytes <= self._budget_bytes

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f}"
