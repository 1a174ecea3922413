from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from shared.errors import AlreadyExists, NotFound, RevisionConflict
from shared.platform.cas import ATTEMPTS, LONGEST_SECONDS, retry_conflicts, update
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Data, Put


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite3")


def test_update_makes_a_document_where_there_is_none(documents: SqliteDocuments) -> None:
    made = update(documents, "things", "a", lambda data: {"found": data})
    assert made == documents.get("things", "a")
    assert made is not None
    assert made.data == {"found": None}


def test_update_changes_what_is_there(documents: SqliteDocuments) -> None:
    documents.commit([Put("things", "a", {"n": 1})])
    changed = update(documents, "things", "a", lambda data: {"n": (data or {})["n"] + 1})
    assert changed == documents.get("things", "a")
    assert changed is not None
    assert changed.data == {"n": 2}


def test_update_leaves_it_where_there_is_nothing_to_change(documents: SqliteDocuments) -> None:
    assert update(documents, "things", "a", lambda _: None) is None
    (revision,) = documents.commit([Put("things", "a", {})])
    left = update(documents, "things", "a", lambda _: None)
    assert left is not None
    assert left.revision == revision


def test_update_decides_again_when_somebody_was_quicker(documents: SqliteDocuments) -> None:
    seen: list[Data | None] = []

    def change(data: Data | None) -> Data:
        seen.append(data)
        if len(seen) <= 2:
            documents.commit([Put("things", "a", {"n": len(seen)})])
        return {"n": 10}

    pauses: list[float] = []
    update(documents, "things", "a", change, sleep=pauses.append, jitter=lambda: 0.5)
    assert seen == [None, {"n": 1}, {"n": 2}]
    assert pauses == [0.002, 0.004]


@pytest.mark.parametrize("error", [RevisionConflict, AlreadyExists])
def test_patience_ends(error: type[RevisionConflict | AlreadyExists]) -> None:
    pauses: list[float] = []

    def attempt() -> NoReturn:
        raise error("again")

    with pytest.raises(error, match="again"):
        retry_conflicts(attempt, sleep=pauses.append, jitter=lambda: 1.0)
    assert len(pauses) == ATTEMPTS - 1
    assert max(pauses) == LONGEST_SECONDS
    assert sum(pauses) < 10


def test_other_errors_are_not_retried() -> None:
    calls: list[int] = []

    def attempt() -> NoReturn:
        calls.append(1)
        raise NotFound("gone")

    with pytest.raises(NotFound):
        retry_conflicts(attempt, sleep=lambda _: None)
    assert len(calls) == 1
