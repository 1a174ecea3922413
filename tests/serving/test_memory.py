"""Many models in one process: each is loaded once, as many as the budget holds; the least used go first."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from shared.errors import NotFound, PackageRefused
from shared.registry.package import MODEL
from shared.serving.memory import OWN_BYTES, TREES_FACTOR, WEIGHTS_FACTOR, size_of
from shared.serving.models import LoadedModel
from tests.packages import active, market_package, mend, registered, spoil
from tests.serving.setting import CACHE_SECONDS, NAME, Setting
from tests.tabular_packages import NAME as HEART
from tests.tabular_packages import active_tabular, tabular_package, tabular_rows

SIZE = size_of(tabular_package().file(MODEL))


def heart(number: int) -> str:
    return f"{HEART}-v{number}"


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """Six versions of heart-disease, of which the last is live."""
    made = Setting(tmp_path / "home")
    for seed in range(6):
        active_tabular(made.registry, seed)
    made.restart()
    return made


def room_for(setting: Setting, count: int) -> Setting:
    """A new process with room for so many of these models."""
    setting.restart(budget_bytes=count * SIZE + SIZE // 2)
    return setting


def together(setting: Setting, *names: str) -> list[LoadedModel]:
    async def ask() -> list[LoadedModel]:
        return await asyncio.gather(*(setting.models.get(name) for name in names))

    return setting.run(ask())


def test_a_hundred_first_requests_load_once(setting: Setting) -> None:
    found = together(setting, *[HEART, heart(6)] * 50)
    assert len({id(model) for model in found}) == 1
    assert setting.blobs.read.count("model.onnx") == 1


def test_what_is_loaded_is_kept_within_the_budget(setting: Setting) -> None:
    room_for(setting, 2)
    for number in (1, 2, 3, 4, 5):
        setting.get(heart(number))
        assert setting.models.memory.used_bytes <= 2 * SIZE + SIZE // 2
    assert setting.models.memory.versions == [heart(4), heart(5)]


def test_the_least_recently_used_goes_first(setting: Setting) -> None:
    room_for(setting, 3)
    for number in (1, 2, 3, 1, 4):
        setting.get(heart(number))
    assert setting.models.memory.versions == [heart(3), heart(1), heart(4)]
    setting.blobs.read.clear()
    setting.get(heart(1))
    assert setting.blobs.read == []
    setting.get(heart(2))
    assert setting.blobs.read.count("model.onnx") == 1
    assert setting.models.memory.versions == [heart(4), heart(1), heart(2)]


def test_what_is_live_stays_longest(setting: Setting) -> None:
    room_for(setting, 2)
    setting.get(HEART)
    for number in (1, 2, 3):
        setting.get(heart(number))
    assert setting.models.memory.versions == [heart(6), heart(3)]


def test_where_there_is_room_for_one_the_live_one_goes_and_comes_back(setting: Setting) -> None:
    room_for(setting, 1)
    assert setting.get(HEART).version_id == heart(6)
    setting.get(heart(1))
    assert setting.models.memory.versions == [heart(1)]
    assert setting.get(HEART).version_id == heart(6)
    assert setting.models.memory.versions == [heart(6)]


def test_a_model_that_has_gone_still_answers_who_has_it(setting: Setting) -> None:
    room_for(setting, 1)
    x = tabular_rows(5)
    model = setting.get(heart(1))
    before = model.scorer.score(x)
    setting.get(heart(2))
    assert setting.models.memory.versions == [heart(2)]
    assert np.array_equal(model.scorer.score(x), before)


def test_a_model_that_is_too_large_is_refused_and_the_one_before_serves(setting: Setting) -> None:
    setting.restart(budget_bytes=SIZE // 2)
    with pytest.raises(PackageRefused, match="MODEL_MEMORY_MB"):
        setting.get(heart(1))
    assert setting.refused == [heart(1)]
    setting.restart(budget_bytes=SIZE + SIZE // 2)
    assert setting.get(HEART).version_id == heart(6)
    small = setting.models.memory
    small._budget_bytes = SIZE // 2
    active_tabular(setting.registry, 7)
    setting.clock.seconds += CACHE_SECONDS
    assert setting.get(HEART).version_id == heart(6)
    assert "MODEL_MEMORY_MB" in setting.alerts[-1][1]


def test_a_refused_package_does_not_poison(setting: Setting) -> None:
    spoil(setting.home, tabular_package(1), "model.onnx")
    with pytest.raises(PackageRefused):
        setting.get(heart(2))
    assert [setting.get(heart(number)).version_id for number in (1, 3)] == [heart(1), heart(3)]
    assert setting.models.memory.used_bytes == pytest.approx(2 * SIZE, rel=0.2)
    mend(setting.home, tabular_package(1), "model.onnx")
    setting.clock.seconds += CACHE_SECONDS
    assert setting.get(heart(2)).version_id == heart(2)


def test_loads_of_different_versions_do_not_wait_for_each_other(setting: Setting) -> None:
    gate = setting.blobs.gates[tabular_package(0).hash] = threading.Event()
    setting.get(heart(3))

    async def ask() -> None:
        slow = asyncio.create_task(setting.models.get(heart(1)))
        await asyncio.sleep(0)
        assert (await setting.models.get(heart(2))).version_id == heart(2)
        assert (await setting.models.get(heart(3))).version_id == heart(3)
        assert (await setting.models.get(HEART)).version_id == heart(6)
        assert not slow.done()
        gate.set()
        assert (await slow).version_id == heart(1)

    setting.run(ask())


def test_loads_that_do_not_fit_beside_each_other_wait_for_room(setting: Setting) -> None:
    room_for(setting, 1)
    gate = setting.blobs.gates[tabular_package(0).hash] = threading.Event()
    most = 0

    async def ask() -> None:
        nonlocal most
        first = asyncio.create_task(setting.models.get(heart(1)))
        while not setting.models.memory.used_bytes:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(setting.models.get(heart(number))) for number in (2, 3)]
        while not setting.models.memory._waiting:
            await asyncio.sleep(0.001)
        most = setting.models.memory.used_bytes
        gate.set()
        found = await asyncio.gather(first, *others)
        assert [model.version_id for model in found] == [heart(1), heart(2), heart(3)]

    setting.run(ask())
    assert most <= SIZE + SIZE // 2
    assert setting.models.memory.used_bytes <= SIZE + SIZE // 2
    assert len(setting.models.memory.versions) == 1


def test_who_stops_waiting_does_not_stop_the_load_for_the_others(setting: Setting) -> None:
    gate = setting.blobs.gates[tabular_package(0).hash] = threading.Event()

    async def ask() -> LoadedModel:
        gone, stays = (asyncio.create_task(setting.models.get(heart(1))) for _ in range(2))
        await asyncio.sleep(0.01)
        gone.cancel()
        gate.set()
        return await stays

    assert setting.run(ask()).version_id == heart(1)
    assert setting.blobs.read.count("model.onnx") == 1


def test_an_unknown_version_is_not_found_by_all_who_ask(setting: Setting) -> None:
    async def ask() -> list[LoadedModel | BaseException]:
        return await asyncio.gather(
            *(setting.models.get(heart(77)) for _ in range(5)), return_exceptions=True
        )

    assert {type(one) for one in setting.run(ask())} == {NotFound}
    assert setting.alerts == []


def test_market_and_tabular_models_share_the_memory(setting: Setting) -> None:
    active(setting.registry)
    registered(setting.registry, 1)
    for name in (NAME, HEART, f"{NAME}-v2"):
        setting.get(name)
    assert setting.models.memory.versions == [f"{NAME}-v1", heart(6), f"{NAME}-v2"]


def test_trees_count_for_more_than_weights() -> None:
    graph = market_package().file(MODEL)
    assert size_of(graph) == OWN_BYTES + WEIGHTS_FACTOR * len(graph)
    trees = b"...TreeEnsembleClassifier..."
    assert size_of(trees) == OWN_BYTES + TREES_FACTOR * len(trees)
