from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import (
    Conflict,
    GatesNotPassed,
    InvalidInput,
    NoActiveModel,
    NotFound,
    PackageRefused,
    PlatformUnavailable,
)
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Event
from shared.registry import Registry
from tests.registry.consistency import NAME, check_consistent, registered
from tests.registry.packages import examples, onnx_model, package
from tests.registry.workers import TOPICS, open_registry, ticking

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return open_registry(tmp_path)


def seen_events(state: Path) -> list[Event]:
    events = SqliteEvents(state / "events.sqlite3", TOPICS)
    deliveries = events.claim("seen", 1000, 60.0, START)
    events.ack([delivery.id for delivery in deliveries])
    return [delivery.event for delivery in deliveries]


def stored_file(state: Path, name: str, package_hash: str) -> Path:
    (file,) = (state / "blobs" / "models" / NAME / package_hash / f"{name}@").iterdir()
    return file


def test_a_registered_package_is_a_version(tmp_path: Path) -> None:
    registry = open_registry(tmp_path, now=lambda: START)
    made = package(suspected_leak=True)
    version = registry.register(made, created_by="tester", run_id="run-1")
    assert version == registry.get("market-signal-v1")
    assert version.package_hash == made.hash
    assert (version.name, version.version, version.status) == (NAME, 1, "candidate")
    assert (version.gates_passed, version.failed_gates, version.suspected_leak) == (True, (), True)
    assert (version.problem, version.algorithm) == ("market_signal", "logistic_regression")
    assert (version.created_at, version.created_by, version.run_id) == (START, "tester", "run-1")


def test_a_version_whose_gates_failed_is_rejected(registry: Registry) -> None:
    version = registry.register(package(passes=False), created_by="tester")
    assert (version.status, version.gates_passed, version.failed_gates) == ("rejected", False, ("log_loss",))
    assert version.run_id is None


def test_what_was_registered_is_opened(registry: Registry) -> None:
    made = package()
    version = registry.register(made, created_by="tester")
    opened = registry.open_package(version.id)
    assert opened.files() == made.files()
    opened.verified_scorer()
    for name, content in made.files().items():
        assert registry.file(version.id, name) == content


def test_an_equal_package_is_another_version_of_the_same_files(registry: Registry) -> None:
    first, second = (registry.register(package(), created_by="tester") for _ in range(2))
    assert (first.id, second.id) == ("market-signal-v1", "market-signal-v2")
    assert first.package_hash == second.package_hash


@pytest.mark.parametrize("ask", ["get", "open_package", "describe"])
@pytest.mark.parametrize("id", ["market-signal-v2", "", "a/b", "../x", "market-signal"])
def test_an_unknown_version_isnt_found(registry: Registry, ask: str, id: str) -> None:
    registered(registry, 1)
    with pytest.raises(NotFound):
        getattr(registry, ask)(id)


def test_an_unknown_file_isnt_found(registry: Registry) -> None:
    (version_id,) = registered(registry, 1)
    for name in ("model.pkl", "../secret", ""):
        with pytest.raises(NotFound, match=r"model\.onnx"):
            registry.file(version_id, name)


@pytest.mark.parametrize("name", ["a-v1", "market-v22"])
def test_a_name_like_a_versions_is_refused(tmp_path: Path, registry: Registry, name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        registry.register(package(name=name), created_by="tester")
    assert not (tmp_path / "blobs").exists()


def test_versions_are_listed_newest_first_by_pages(registry: Registry) -> None:
    ids = registered(registry, 3)
    registry.register(package(name="other"), created_by="tester")
    page = registry.list(NAME, limit=2)
    rest = registry.list(NAME, limit=2, cursor=page.cursor)
    assert [version.id for version in (*page.versions, *rest.versions)] == ids[::-1]
    assert rest.cursor is None
    assert [version.id for version in registry.list().versions] == ["other-v1", *ids[::-1]]
    assert registry.list("unknown").versions == []


def test_a_version_is_described_by_its_id_or_when_live_by_its_models_name(registry: Registry) -> None:
    first, second = registered(registry, 2)
    registry.activate(first, by="tester")
    assert registry.describe(second)[0].id == second
    version, manifest = registry.describe(NAME)
    assert (version.id, manifest.name) == (first, NAME)
    assert registry.active_ids([NAME, NAME, "other"]) == {first}


def test_nothing_is_active_at_first(registry: Registry) -> None:
    registered(registry, 1)
    assert registry.active(NAME) is None
    assert registry.live_at(NAME, START) is None
    for ask in (registry.rollback, registry.touch):
        with pytest.raises(NoActiveModel, match=NAME):
            ask(NAME, by="tester")
    assert registry.touch_all(by="tester") == []


def test_an_activated_version_is_live(tmp_path: Path) -> None:
    registry = open_registry(tmp_path, now=lambda: START)
    first, second = registered(registry, 2)
    registry.activate(first, by="ann", reason="first")
    promotion = registry.activate(second, by="bob", reason="better")
    active = registry.active(NAME)
    assert active is not None
    assert (active.version_id, active.previous, active.gates_passed) == (second, first, True)
    assert active.package_hash == registry.get(second).package_hash
    assert active.last == promotion
    assert (promotion.action, promotion.version_id, promotion.previous) == ("activated", second, first)
    assert (promotion.by, promotion.reason, promotion.at, promotion.seq) == ("bob", "better", START, 2)
    assert [entry.version_id for entry in check_consistent(registry)] == [first, second]


def test_activating_what_is_live_changes_nothing(tmp_path: Path, registry: Registry) -> None:
    (version_id,) = registered(registry, 1)
    promotion = registry.activate(version_id, by="ann")
    before = registry.active(NAME)
    seen_events(tmp_path)
    assert registry.activate(version_id, by="bob") == promotion
    assert registry.active(NAME) == before
    assert check_consistent(registry) == [promotion]
    assert seen_events(tmp_path) == []


def test_failed_gates_keep_a_version_from_going_live(registry: Registry) -> None:
    (failed,) = registered(registry, 1, passes=False)
    with pytest.raises(GatesNotPassed, match="log_loss"):
        registry.activate(failed, by="tester")
    assert check_consistent(registry) == []


def test_failed_gates_may_be_overlooked_only_where_nothing_is_live(registry: Registry) -> None:
    first, second = registered(registry, 2, passes=False)
    promotion = registry.activate(first, by="bootstrap", allow_failed_gates=True)
    assert not promotion.gates_passed
    with pytest.raises(GatesNotPassed):
        registry.activate(second, by="bootstrap", allow_failed_gates=True)
    assert check_consistent(registry) == [promotion]


def test_an_unknown_version_cant_be_activated(registry: Registry) -> None:
    with pytest.raises(NotFound, match="market-signal-v9"):
        registry.activate("market-signal-v9", by="tester")


def tampered(registry: Registry, state: Path, version_id: str, how: str) -> None:
    file = stored_file(
        state, "manifest.json" if how == "manifest" else "model.onnx", registry.get(version_id).package_hash
    )
    if how == "gone":
        file.unlink()
    elif how == "sealed again":  # the store's own checksum fits the other bytes
        other = onnx_model(2.0)
        file.unlink()
        file.with_name(f"{hashlib.sha256(other).hexdigest()}.onnx").write_bytes(other)
    else:
        file.write_bytes(file.read_bytes() + b" ")


@pytest.mark.parametrize("how", ["changed", "gone", "sealed again", "manifest"])
def test_a_tampered_package_never_goes_live_and_the_live_one_stays(
    tmp_path: Path, registry: Registry, how: str
) -> None:
    first, second = registered(registry, 2)
    promotion = registry.activate(first, by="tester")
    tampered(registry, tmp_path, second, how)
    with pytest.raises(PackageRefused):
        registry.activate(second, by="tester")
    assert check_consistent(registry) == [promotion]


def test_a_model_that_answers_otherwise_than_it_did_never_goes_live(registry: Registry) -> None:
    (first,) = registered(registry, 1)
    registry.activate(first, by="tester")
    second = registry.register(package(golden=examples(2.0)), created_by="tester")
    with pytest.raises(PackageRefused, match="Golden row"):
        registry.activate(second.id, by="tester")
    assert len(check_consistent(registry)) == 1


def test_a_rollback_refuses_a_tampered_package(tmp_path: Path, registry: Registry) -> None:
    first, second = registered(registry, 2)
    for version_id in (first, second):
        registry.activate(version_id, by="tester")
    tampered(registry, tmp_path, first, "changed")
    with pytest.raises(PackageRefused):
        registry.rollback(NAME, by="tester")
    assert registry.active_ids([NAME]) == {second}
    check_consistent(registry)


def test_a_package_isnt_registered_over_bytes_that_went_bad(tmp_path: Path, registry: Registry) -> None:
    (first,) = registered(registry, 1)
    tampered(registry, tmp_path, first, "changed")
    with pytest.raises(PackageRefused):
        registry.register(package(), created_by="tester")
    assert [version.id for version in registry.list().versions] == [first]


def test_a_rollback_goes_back_step_by_step(registry: Registry) -> None:
    first, second, third = registered(registry, 3)
    for version_id in (first, second, first, third):
        registry.activate(version_id, by="tester")
    back = [registry.rollback(NAME, by="tester", reason="worse").version_id for _ in range(3)]
    assert back == [first, second, first]
    with pytest.raises(Conflict, match="none before it"):
        registry.rollback(NAME, by="tester")
    log = check_consistent(registry)
    assert [entry.action for entry in log] == ["activated"] * 4 + ["rolled_back"] * 3
    assert log[4].previous == third


def test_a_touch_lets_everybody_read_again(tmp_path: Path, registry: Registry) -> None:
    (version_id,) = registered(registry, 1)
    registry.activate(version_id, by="tester")
    before = registry.active(NAME)
    seen_events(tmp_path)
    assert registry.touch_all(by="operator", reason="reload") == [version_id]
    after = registry.active(NAME)
    assert before is not None
    assert after is not None
    assert after.revision != before.revision
    assert replace(after, last=before.last, revision=before.revision) == before
    assert (after.last.action, after.last.by, after.last.previous) == ("reloaded", "operator", None)
    check_consistent(registry)
    assert [event.data["action"] for event in seen_events(tmp_path)] == ["reloaded"]


def test_the_log_is_read_newest_first_by_pages(registry: Registry) -> None:
    first, second = registered(registry, 2)
    for version_id in (first, second, first):
        registry.activate(version_id, by="tester")
    page = registry.promotions(NAME, limit=2)
    rest = registry.promotions(NAME, limit=2, cursor=page.cursor)
    assert [entry.seq for entry in (*page.promotions, *rest.promotions)] == [3, 2, 1]
    assert registry.promotions("other").promotions == []


def test_what_was_live_at_any_time_is_known_though_clocks_jump(tmp_path: Path) -> None:
    steps = [0.0, 0.0, 10.0, 5.0, 20.0, 20.0, 0.5]
    registry = open_registry(tmp_path, now=ticking(START, steps))
    first, second = registered(registry, 2)  # takes two of the times
    for version_id in (first, second, first, second, first):
        registry.activate(version_id, by="tester")
    log = check_consistent(registry)
    assert [(entry.at - START).total_seconds() for entry in log] == [10.0, 10.0, 20.0, 20.0, 20.0]
    assert registry.live_at(NAME, START + timedelta(seconds=9.999999)) is None
    assert registry.live_at(NAME, START + timedelta(seconds=10)) == log[1]
    assert registry.live_at(NAME, START + timedelta(seconds=19)) == log[1]
    assert registry.live_at(NAME, START + timedelta(days=1)) == log[4]
    assert registry.live_at("other", START + timedelta(days=1)) is None


def test_changes_are_told(tmp_path: Path, registry: Registry) -> None:
    (version_id,) = registered(registry, 1)
    promotion = registry.activate(version_id, by="tester", reason="why")
    made, activated = seen_events(tmp_path)
    assert (made.type, made.id, made.data["package_hash"]) == (
        "model.registered",
        version_id,
        registry.get(version_id).package_hash,
    )
    assert (activated.type, activated.id, activated.time) == ("model.activated", promotion.id, promotion.at)
    assert (activated.data["version_id"], activated.data["reason"]) == (version_id, "why")


class Unreachable:
    """A bus that is down."""

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        raise PlatformUnavailable("the bus is down")


def test_a_bus_that_is_down_undoes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = open_registry(tmp_path, events=Unreachable())
    (version_id,) = registered(registry, 1)
    registry.activate(version_id, by="tester")
    assert registry.active_ids([NAME]) == {version_id}
    assert caplog.messages == ["event not sent", "event not sent"]


def test_the_pointer_is_one_small_document(tmp_path: Path, registry: Registry) -> None:
    first, second = registered(registry, 2)
    for turn in range(60):
        registry.activate((first, second)[turn % 2], by="tester")
    documents = SqliteDocuments(tmp_path / "documents.sqlite3")
    assert [document.id for document in documents.query("active-models").documents] == [NAME]
    active = registry.active(NAME)
    assert active is not None
    assert len(active.history) == 50
