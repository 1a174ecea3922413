from __future__ import annotations

import ast
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from shared.config import load_settings
from shared.errors import ConfigurationError
from shared.instance import Instance
from shared.platform import collections, migration
from shared.platform.collections import COLLECTIONS, SCHEMA_FIELD, Collection
from shared.platform.connect import connect
from shared.platform.local.documents import SqliteDocuments
from shared.platform.migration import Migrated, migrate
from shared.platform.ports import Create, Data, Put
from shared.platform.versioned import VersionedDocuments

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).with_name("documents")


def renamed(data: Data) -> Data:
    """A migration as one would write it: `colour` becomes `color`."""
    rest = {name: value for name, value in data.items() if name != "colour"}
    return {**rest, "color": data["colour"]}


def numbered(data: Data) -> Data:
    return {**data, "size": int(data["size"])}


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection whose documents have changed their shape twice."""
    known = {"things": Collection("things", migrations=(renamed, numbered))}
    for module in (collections, migration):
        monkeypatch.setattr(module, "COLLECTIONS", MappingProxyType(known))


@pytest.fixture
def stored(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite3")


NEW = {"color": "red", "size": 3}
OF_EVERY_SCHEMA: list[dict[str, Any]] = [
    {"colour": "red", "size": "3"},
    {"colour": "red", "size": "3", SCHEMA_FIELD: 1},
    {"color": "red", "size": "3", SCHEMA_FIELD: 2},
    {"color": "red", "size": 3, SCHEMA_FIELD: 3},
]


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("old", OF_EVERY_SCHEMA)
def test_a_document_of_any_schema_is_read_in_the_present_shape(
    stored: SqliteDocuments, old: dict[str, Any]
) -> None:
    stored.commit([Create("things", "a", old)])
    documents = VersionedDocuments(stored)
    found = documents.get("things", "a")
    assert found is not None
    assert found.data == NEW
    assert [document.data for document in documents.query("things").documents] == [NEW]


@pytest.mark.usefixtures("things")
def test_what_is_written_carries_its_schema_and_what_is_read_does_not(stored: SqliteDocuments) -> None:
    documents = VersionedDocuments(stored)
    documents.commit([Put("things", "a", NEW), Put("others", "b", {"x": 1})])
    raw = stored.get("things", "a")
    other = stored.get("others", "b")
    assert raw is not None
    assert other is not None
    assert raw.data == {**NEW, SCHEMA_FIELD: 3}
    assert other.data == {"x": 1}


@pytest.mark.usefixtures("things")
def test_a_document_of_a_newer_version_is_refused_in_words(stored: SqliteDocuments) -> None:
    stored.commit([Create("things", "a", {**NEW, SCHEMA_FIELD: 4})])
    with pytest.raises(ConfigurationError, match=r"things has schema 4.*up to 3.*newer"):
        VersionedDocuments(stored).get("things", "a")


@pytest.mark.usefixtures("things")
def test_migrating_rewrites_what_is_outdated_once(stored: SqliteDocuments) -> None:
    stored.commit([Create("things", f"{i}", old) for i, old in enumerate(OF_EVERY_SCHEMA)])
    told: list[Migrated] = []
    for _ in range(2):
        migrate(VersionedDocuments(stored), told.append)
    assert told == [Migrated("things", 3, 4, 3, 0), Migrated("things", 3, 4, 0, 0)]
    assert [d.data for d in stored.query("things").documents] == [{**NEW, SCHEMA_FIELD: 3}] * 4


@pytest.mark.usefixtures("things")
def test_migrating_leaves_what_others_write_meanwhile(stored: SqliteDocuments) -> None:
    """Another writer is quicker between the reading and the writing of each document."""
    stored.commit([Create("things", f"{i}", OF_EVERY_SCHEMA[0]) for i in range(3)])
    theirs = {"color": "green", "size": 9}

    class Contested(SqliteDocuments):
        def commit(self, writes: Any) -> Any:
            VersionedDocuments(stored).commit([Put("things", write.id, theirs) for write in writes])
            return super().commit(writes)

    told: list[Migrated] = []
    contested = Contested(Path(stored._database._path))
    migrate(VersionedDocuments(contested), told.append)
    assert told == [Migrated("things", 3, 3, 0, 3)]
    assert [d.data for d in stored.query("things").documents] == [{**theirs, SCHEMA_FIELD: 3}] * 3


WRITES = {"Create", "Replace", "Put", "Delete"}


def named_in(file: Path) -> set[str]:
    """The collections that a module writes to: the constants that its writes begin with."""
    tree = ast.parse(file.read_text())
    constants: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant):
            constants[target.id] = str(node.value.value)
    return {
        constants[node.args[0].id]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in WRITES
        and node.args
        and isinstance(node.args[0], ast.Name)
        and node.args[0].id in constants
    }


def test_every_collection_that_is_written_is_in_the_list() -> None:
    written = set().union(*(named_in(file) for file in (ROOT / "shared").rglob("*.py")))
    assert written <= set(COLLECTIONS)
    assert {"predictions", "promotions", "runs", "candles"} <= written, "the search has gone blind"


@pytest.fixture(params=sorted(folder.name for folder in RECORDED.iterdir()))
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Instance:
    """An engine on documents that a released version wrote."""
    chosen = load_settings(mlengine_home=tmp_path)
    instance = Instance(chosen, connect(chosen))
    documents = instance.platform.documents
    assert isinstance(documents, VersionedDocuments)
    for file in (RECORDED / request.param).glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        documents.stored.commit([Create(file.stem, row["id"], row["data"]) for row in rows])
    return instance


def test_documents_of_every_release_are_read_by_those_who_use_them(recorded: Instance) -> None:
    active = recorded.registry.active("market-signal")
    [version] = recorded.registry.list().versions
    promotions = recorded.registry.promotions("market-signal").promotions
    [run] = recorded.training_desk.runs.list().runs
    entries = list(recorded.candle_store.entries("1d"))
    predictions = recorded.audit.recent(symbol=None, model_id=None, limit=10, cursor=None).documents
    assert active is not None
    assert active.version_id == version.id == "market-signal-v1"
    assert [promotion.action for promotion in promotions] == ["reloaded", "activated"]
    assert run.status.has_ended
    assert entries
    tails = [recorded.candle_store.tail(entry.symbol, "1d") for entry in entries]
    assert any(tail is not None and len(tail.candles) for tail in tails)
    assert all(isinstance(one.data["features"], list) for one in predictions)
    assert len(predictions) == 2


def test_every_collection_says_what_it_holds() -> None:
    assert all(one.holds for one in COLLECTIONS.values())
