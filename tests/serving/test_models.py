from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared.config import load_settings
from shared.errors import NoActiveModel, NotFound, PackageRefused, PlatformUnavailable
from shared.instance import Instance
from shared.platform.connect import connect
from shared.platform.ports import Event
from shared.serving.models import LoadedModel
from tests.packages import active, market_package, mend, registered, spoil
from tests.serving.setting import CACHE_SECONDS, NAME, Setting


@pytest.fixture
def setting(home: Path) -> Setting:
    return Setting(home)


@pytest.fixture
def empty(tmp_path: Path) -> Setting:
    return Setting(tmp_path / "home")


def test_the_active_version_is_loaded_and_verified(setting: Setting) -> None:
    found = setting.get()
    assert (found.version_id, found.package_hash) == ("market-signal-v1", market_package().hash)
    assert found.gates_passed is True
    assert found.features.hash == found.manifest.feature_set_hash


def test_a_new_version_takes_over_within_the_cache_time_and_not_before(setting: Setting) -> None:
    assert setting.get().version_id == "market-signal-v1"
    setting.activate_second()
    setting.clock.seconds += CACHE_SECONDS - 0.001
    assert setting.get().version_id == "market-signal-v1"
    setting.clock.seconds += 0.001
    assert setting.get().version_id == "market-signal-v2"


def test_a_pointer_that_has_not_moved_costs_one_read_and_no_loading(setting: Setting) -> None:
    setting.get()
    setting.blobs.read.clear()
    before = setting.documents.reads
    for _ in range(10):
        setting.get()
    assert setting.documents.reads == before
    setting.later()
    assert setting.documents.reads == before + 1
    assert setting.blobs.read == []


def together(setting: Setting, count: int = 4) -> list[str]:
    """What each of so many callers at the same moment is served by."""

    async def ask() -> list[LoadedModel]:
        return await asyncio.gather(*(setting.models.get(NAME) for _ in range(count)))

    return [model.version_id for model in setting.run(ask())]


def test_a_rollback_is_followed(setting: Setting) -> None:
    setting.activate_second()
    assert setting.get().version_id == "market-signal-v2"
    setting.registry.rollback(NAME, by="test")
    assert setting.later().version_id == "market-signal-v1"


def test_callers_at_the_same_moment_share_one_load(setting: Setting) -> None:
    setting.blobs.read.clear()

    async def together() -> list[LoadedModel]:
        names = [NAME, "market-signal-v1"] * 10
        return await asyncio.gather(*(setting.models.get(name) for name in names))

    found = setting.run(together())
    assert len({id(model) for model in found}) == 1
    assert setting.blobs.read.count("model.onnx") == 1


def test_while_one_caller_loads_another_version_the_loaded_one_serves_the_rest(setting: Setting) -> None:
    setting.get()
    setting.activate_second()
    setting.clock.seconds += CACHE_SECONDS
    assert together(setting, 3) == ["market-signal-v2", "market-signal-v1", "market-signal-v1"]
    assert setting.get().version_id == "market-signal-v2"


def test_after_a_long_sleep_nobody_is_served_by_what_was_live_before(setting: Setting) -> None:
    setting.get()
    setting.activate_second()
    setting.clock.seconds += 3_600
    reads = setting.documents.reads
    assert together(setting) == ["market-signal-v2"] * 4
    assert setting.documents.reads - reads <= 2  # the pointer, and the version that it names


def test_after_a_long_sleep_all_wait_once_for_a_platform_that_hangs(setting: Setting) -> None:
    setting.get()
    setting.clock.seconds += 3_600
    asked: list[float] = []

    def hang() -> None:
        asked.append(setting.clock.seconds)
        setting.clock.seconds += 2 * CACHE_SECONDS

    setting.documents.when_asked = hang
    setting.documents.is_down = True
    assert together(setting) == ["market-signal-v1"] * 4
    assert len(asked) == 1


def test_a_refused_version_leaves_the_one_before_serving_and_says_so_once(setting: Setting) -> None:
    setting.get()
    setting.activate_second()
    spoil(setting.home, market_package(1), "model.onnx")
    for _ in range(3):
        assert setting.later().version_id == "market-signal-v1"
    ((version, why),) = setting.alerts
    assert version == "market-signal-v2"
    assert "model.onnx" in why


@pytest.mark.parametrize("name", ["model.onnx", "examples.json"])
def test_whatever_serving_reads_is_checked(setting: Setting, name: str) -> None:
    spoil(setting.home, market_package(), name)
    with pytest.raises(PackageRefused, match=name.replace(".", r"\.")):
        setting.get()


def test_a_manifest_that_was_changed_is_refused(setting: Setting) -> None:
    spoil(setting.home, market_package(), "manifest.json")
    with pytest.raises(PackageRefused):
        setting.get()


def test_a_refused_version_is_taken_when_it_is_mended_and_reloaded(setting: Setting) -> None:
    setting.get()
    setting.activate_second()
    spoil(setting.home, market_package(1), "model.onnx")
    setting.later()
    mend(setting.home, market_package(1), "model.onnx")
    assert setting.later().version_id == "market-signal-v1"
    setting.registry.touch(NAME, by="test")
    assert setting.later().version_id == "market-signal-v2"


def test_a_reload_verifies_the_package_anew(setting: Setting) -> None:
    before = setting.get()
    setting.blobs.read.clear()
    setting.registry.touch(NAME, by="test")
    assert setting.later() is not before
    assert setting.blobs.read.count("model.onnx") == 1


def test_at_a_start_on_a_refused_version_the_one_before_stands_in(setting: Setting) -> None:
    setting.activate_second()
    spoil(setting.home, market_package(1), "model.onnx")
    assert setting.get().version_id == "market-signal-v1"
    assert setting.later().version_id == "market-signal-v1"
    assert setting.refused == ["market-signal-v2"]


def test_at_a_start_with_nothing_sound_nothing_is_served(setting: Setting) -> None:
    spoil(setting.home, market_package(), "model.onnx")
    with pytest.raises(PackageRefused):
        setting.get()


def test_a_refused_version_is_not_read_again_for_each_call(setting: Setting) -> None:
    spoil(setting.home, market_package(), "model.onnx")
    for model in (NAME, NAME, "market-signal-v1", NAME):
        with pytest.raises(PackageRefused, match=r"model\.onnx"):
            setting.get(model)
    assert setting.blobs.read.count("model.onnx") == 1
    assert setting.refused == ["market-signal-v1"]
    with pytest.raises(PackageRefused):
        setting.later()
    assert len(setting.alerts) == 2


def test_a_version_of_other_features_is_refused(setting: Setting) -> None:
    setting.get()
    active(setting.registry, 1, feature_set_hash="0" * 64)
    assert setting.later().version_id == "market-signal-v1"
    active(setting.registry, 2, feature_set="unheard-of")
    assert setting.later().version_id == "market-signal-v1"
    (_, other), (_, unknown) = setting.alerts
    assert "000000000000" in other
    assert "train a new version" in other
    assert "unheard-of" in unknown


def test_an_alert_that_cannot_be_sent_does_not_stop_serving(setting: Setting) -> None:
    def dead(version: str, why: str) -> None:
        raise PlatformUnavailable("no events today")

    setting.restart(dead)
    setting.get()
    setting.activate_second()
    spoil(setting.home, market_package(1), "model.onnx")
    assert setting.later().version_id == "market-signal-v1"


def test_a_pointer_that_cannot_be_read_leaves_the_model_serving(setting: Setting) -> None:
    setting.get()
    setting.activate_second()
    setting.documents.is_down = True
    assert setting.later().version_id == "market-signal-v1"
    setting.documents.is_down = False
    assert setting.later().version_id == "market-signal-v2"
    assert setting.alerts == []


def test_a_package_that_cannot_be_read_leaves_the_model_serving_until_it_can(setting: Setting) -> None:
    setting.get()
    setting.activate_second()
    setting.blobs.is_down = True
    assert setting.later().version_id == "market-signal-v1"
    setting.blobs.is_down = False
    assert setting.later().version_id == "market-signal-v2"
    assert setting.alerts == []


def test_at_a_start_a_platform_that_is_away_is_said_to_be(setting: Setting) -> None:
    setting.documents.is_down = True
    with pytest.raises(PlatformUnavailable):
        setting.get()
    setting.documents.is_down, setting.blobs.is_down = False, True
    with pytest.raises(PlatformUnavailable):
        setting.get()
    setting.blobs.is_down = False
    assert setting.get().version_id == "market-signal-v1"


def test_versions_are_served_by_id_whatever_is_live(setting: Setting) -> None:
    registered(setting.registry, 2, gates_passed=False)
    found = setting.get("market-signal-v3")
    assert (found.version_id, found.gates_passed) == ("market-signal-v3", False)
    assert setting.get().version_id == "market-signal-v1"


@pytest.mark.parametrize("name", [NAME, "heart-disease", "no such model", "../x"])
def test_without_an_active_version_it_says_how_to_get_one(empty: Setting, name: str) -> None:
    with pytest.raises(NoActiveModel, match=r"mlengine train.*mlengine activate"):
        empty.get(name)


def test_unknown_versions_are_not_found(setting: Setting) -> None:
    with pytest.raises(NotFound):
        setting.get("market-signal-v7")


def test_a_deleted_version_is_refused_with_who_deleted_it_and_the_way_back(setting: Setting) -> None:
    setting.registry.delete("market-signal-v2", by="ann@example.com")
    with pytest.raises(NotFound, match=r"market-signal-v2 was deleted by ann@example\.com .* brings it back"):
        setting.get("market-signal-v2")
    assert "model.onnx" not in setting.blobs.read
    setting.registry.activate("market-signal-v2", by="test", reason="after all")
    assert setting.get("market-signal-v2").version_id == "market-signal-v2"


def test_an_instance_that_holds_a_version_forgets_it_when_it_is_deleted(setting: Setting) -> None:
    setting.get("market-signal-v2")
    setting.registry.delete("market-signal-v2", by="test")
    setting.clock.seconds += CACHE_SECONDS

    async def ask() -> list[LoadedModel | BaseException]:
        asked = (setting.models.get("market-signal-v2") for _ in range(4))
        return await asyncio.gather(*asked, return_exceptions=True)

    first = setting.run(ask())
    assert isinstance(first[0], NotFound)  # the others may have been served while it looked
    assert all(isinstance(found, NotFound) for found in setting.run(ask()))
    assert "market-signal-v2" not in setting.models.memory.versions


def test_whether_a_version_was_deleted_costs_one_read_a_cache_time(setting: Setting) -> None:
    setting.get("market-signal-v2")
    setting.blobs.read.clear()
    reads = setting.documents.reads
    for _ in range(10):
        setting.get("market-signal-v2")
    assert setting.documents.reads == reads
    setting.clock.seconds += CACHE_SECONDS
    for _ in range(10):
        setting.get("market-signal-v2")
    assert (setting.documents.reads, setting.blobs.read) == (reads + 1, [])


def test_a_version_that_cannot_be_looked_up_serves_on_where_it_is_loaded(setting: Setting) -> None:
    setting.get("market-signal-v1")
    setting.clock.seconds += CACHE_SECONDS
    setting.documents.is_down = True
    assert setting.get("market-signal-v1").version_id == "market-signal-v1"

    def come_back() -> None:
        setting.documents.is_down = next(is_down)

    is_down = iter([True, False, False])
    setting.documents.when_asked = come_back
    with pytest.raises(PlatformUnavailable):  # not loaded, whoever may have deleted it
        setting.get("market-signal-v2")


@pytest.mark.parametrize("is_loaded", [True, False])
def test_a_deleted_version_stands_in_for_no_refused_one(setting: Setting, *, is_loaded: bool) -> None:
    setting.get()
    setting.activate_second()
    spoil(setting.home, market_package(1), "model.onnx")
    assert setting.later().version_id == "market-signal-v1"
    setting.registry.delete("market-signal-v1", by="test")
    if not is_loaded:
        setting.restart()
    with pytest.raises(PackageRefused, match=r"model\.onnx"):
        setting.later()


@pytest.mark.parametrize("version", ["market-signal-v0", "market-signal-v02", "-v1", "../x-v1"])
def test_what_has_the_form_of_a_version_is_never_taken_for_a_name(setting: Setting, version: str) -> None:
    with pytest.raises(NotFound):
        setting.get(version)


class Broken:
    """Events that can't be published."""

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        raise PlatformUnavailable("no events today")


def test_an_instance_serves_on_when_its_alert_cannot_be_sent(home: Path) -> None:
    settings = load_settings(mlengine_home=home, model_cache_seconds=0)
    instance = Instance(settings, replace(connect(settings), events=Broken()))
    instance.registry.activate("market-signal-v2", by="test")
    spoil(home, market_package(1), "model.onnx")
    assert asyncio.run(instance.models.get(NAME)).version_id == "market-signal-v1"
