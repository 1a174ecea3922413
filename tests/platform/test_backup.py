from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import load_settings
from shared.errors import Conflict, InvalidInput, NotFound
from shared.instance import Instance
from shared.platform.backup import Contents, backup, compare, read_manifest, restore
from shared.platform.collections import SCHEMA_FIELD
from shared.platform.connect import connect
from shared.platform.migration import every
from shared.platform.ports import Platform, Put
from shared.platform.versioned import VersionedDocuments
from tests.contracts.workers import wait_for
from tests.market.made import candles, checked
from tests.packages import active, registered
from tests.registry.consistency import check_consistent


def quiet(_what: str, _done: int, _of: int) -> None:
    pass


def opened(home: Path) -> Instance:
    chosen = load_settings(mlengine_home=home)
    return Instance(chosen, connect(chosen))


@pytest.fixture
def engine(tmp_path: Path) -> Instance:
    """With a live model, another one, candles and predictions."""
    made = opened(tmp_path / "home")
    active(made.registry)
    registered(made.registry, seed=1)
    made.candle_store.ingest("ABC", "1d", checked(candles(300)))
    rows = [Put("predictions", f"p{i}", {"n": i, "x": [0.1, None]}) for i in range(1200)]
    for first in range(0, len(rows), 400):
        made.platform.documents.commit(rows[first : first + 400])
    return made


def everything(platform: Platform) -> dict[str, object]:
    """All documents and blobs, as their callers see them."""
    names = ("active-models", "promotions", "model-versions", "model-counters", "candles", "candle_tails")
    found: dict[str, object] = {
        f"{name}/{d.id}": d.data for name in (*names, "predictions") for d in every(platform.documents, name)
    }
    return found | {info.name: platform.blobs.get(info.name) for info in platform.blobs.list("")}


def test_what_was_saved_is_restored_item_by_item(engine: Instance, tmp_path: Path) -> None:
    saved = backup(engine.platform, tmp_path / "backup", quiet)
    other = opened(tmp_path / "other")
    assert restore(other.platform, tmp_path / "backup", quiet) == saved
    assert everything(other.platform) == everything(engine.platform)
    assert saved.documents["predictions"] == 1200
    assert saved.blobs == len(list(engine.platform.blobs.list("")))
    assert other.registry.active("market-signal") is not None


def test_a_restore_that_was_broken_off_is_gone_on_with(engine: Instance, tmp_path: Path) -> None:
    saved = backup(engine.platform, tmp_path / "backup", quiet)
    rng = random.Random(5)
    for attempt in range(10):
        other = opened(tmp_path / f"other-{attempt}")
        left = rng.randrange(1, 60)

        def stop(_what: str, _done: int, _of: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            restore(other.platform, tmp_path / "backup", stop)
        assert restore(other.platform, tmp_path / "backup", quiet) == saved
        assert everything(other.platform) == everything(engine.platform)


def test_a_backup_that_was_broken_off_is_none_and_can_be_gone_on_with(
    engine: Instance, tmp_path: Path
) -> None:
    def stop(what: str, done: int, _of: int) -> None:
        if what == "blobs" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(engine.platform, tmp_path / "backup", stop)
    with pytest.raises(NotFound, match=r"manifest\.json is missing.*mlengine backup"):
        restore(opened(tmp_path / "other").platform, tmp_path / "backup", quiet)
    backup(engine.platform, tmp_path / "backup", quiet)
    compare(engine.platform, tmp_path / "backup", quiet)


def test_nothing_is_restored_over_something_else(engine: Instance, tmp_path: Path) -> None:
    backup(engine.platform, tmp_path / "backup", quiet)
    other = opened(tmp_path / "other")
    other.platform.documents.commit([Put("predictions", "p7", {"n": "another"})])
    with pytest.raises(Conflict, match=r"predictions/p7.*empty"):
        restore(other.platform, tmp_path / "backup", quiet)
    assert list(other.platform.blobs.list("")) == []
    assert other.registry.active("market-signal") is None


def test_a_backup_folder_is_written_once(engine: Instance, tmp_path: Path) -> None:
    backup(engine.platform, tmp_path / "backup", quiet)
    with pytest.raises(Conflict, match="another folder"):
        backup(engine.platform, tmp_path / "backup", quiet)


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (lambda folder: (folder / "documents" / "runs.jsonl").write_text("{}\n"), InvalidInput, "runs.jsonl"),
        (lambda folder: (folder / "manifest.json").write_text("{"), InvalidInput, "JSON"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 9}'), InvalidInput, "format 9"),
    ],
    ids=["documents", "not JSON", "another format"],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    engine: Instance,
    tmp_path: Path,
    damage: Callable[[Path], object],
    error: type[Exception],
    words: str,
) -> None:
    backup(engine.platform, tmp_path / "backup", quiet)
    damage(tmp_path / "backup")
    other = opened(tmp_path / "other")
    with pytest.raises(error, match=words):
        restore(other.platform, tmp_path / "backup", quiet)
    assert everything(other.platform) == {}


@pytest.mark.parametrize("kind", ["document", "missing document", "blob"])
def test_the_comparison_sees_a_single_difference(engine: Instance, tmp_path: Path, kind: str) -> None:
    backup(engine.platform, tmp_path / "backup", quiet)
    name = next(iter(engine.platform.blobs.list(""))).name
    documents = engine.platform.documents
    match kind:
        case "document":
            documents.commit([Put("predictions", "p3", {"n": 3, "x": [0.1, 0.0]})])
        case "missing document":
            documents.commit([Put("predictions", "p1", {})])
        case "blob":
            engine.platform.blobs.delete(name)
            engine.platform.blobs.put(name, b"another")
    with pytest.raises(Conflict, match=name if kind == "blob" else "predictions/p"):
        compare(engine.platform, tmp_path / "backup", quiet)


def test_a_backup_of_an_older_schema_is_brought_up_to_date(engine: Instance, tmp_path: Path) -> None:
    backup(engine.platform, tmp_path / "backup", quiet)
    manifest = read_manifest(tmp_path / "backup")
    manifest["collections"]["runs"]["schema"] = 99
    (tmp_path / "backup" / "manifest.json").write_text(json.dumps(manifest))
    other = opened(tmp_path / "other")
    restore(other.platform, tmp_path / "backup", quiet)  # it has no runs: nothing to bring up to date
    stored = other.platform.documents
    assert isinstance(stored, VersionedDocuments)
    raw = stored.stored.get("predictions", "p1")
    assert raw is not None
    assert raw.data[SCHEMA_FIELD] == 1


def test_a_backup_while_models_are_activated_has_a_registry_that_agrees_with_itself(
    engine: Instance, tmp_path: Path
) -> None:
    versions = [version.id for version in engine.registry.list().versions]
    stopping = threading.Event()
    activated = 0

    def activate() -> None:
        nonlocal activated
        while not stopping.wait(0.05):
            engine.registry.activate(versions[activated % 2], by="test", reason="", allow_failed_gates=True)
            activated += 1

    thread = threading.Thread(target=activate)
    thread.start()
    contents: list[Contents] = []
    try:
        wait_for(lambda: activated > 0)
        contents += [backup(engine.platform, tmp_path / f"backup-{attempt}", quiet) for attempt in range(6)]
    finally:
        stopping.set()
        thread.join()
    assert activated > 1
    assert contents[-1].documents["promotions"] > contents[0].documents["promotions"]
    for attempt in range(6):
        other = opened(tmp_path / f"other-{attempt}")
        restore(other.platform, tmp_path / f"backup-{attempt}", quiet)
        check_consistent(other.registry)
