from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from shared.errors import ConfigurationError, Conflict, PlatformUnavailable
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.sqlite import Database
from shared.platform.ports import Filter, Order, Put
from tests.contracts.racing import race

SCHEMA = "CREATE TABLE numbers (n INTEGER NOT NULL)"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "deep" / "down" / "a.sqlite3", schema=SCHEMA, version=1)


def numbers(database: Database) -> list[int]:
    with database.read() as connection:
        return [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]


def add(database: Database, n: int) -> None:
    with database.write() as connection:
        connection.execute("INSERT INTO numbers VALUES (?)", (n,))


def test_a_database_is_made_whole_whoever_is_first(tmp_path: Path) -> None:
    made = [Database(tmp_path / "a.sqlite3", schema=SCHEMA, version=1) for _ in range(16)]
    assert race(16, lambda i: add(made[i], i)) == [None] * 16
    assert numbers(made[0]) == list(range(16))
    assert {path.name for path in tmp_path.iterdir()} == {"a.sqlite3", "a.sqlite3-wal", "a.sqlite3-shm"}


def test_what_a_transaction_reads_stays_true_until_it_commits(tmp_path: Path) -> None:
    made = [Database(tmp_path / "a.sqlite3", schema=SCHEMA, version=1) for _ in range(16)]

    def add_next(index: int) -> None:
        with made[index].write() as connection:
            count = connection.execute("SELECT count(*) FROM numbers").fetchone()[0]
            connection.execute("INSERT INTO numbers VALUES (?)", (count,))

    assert race(16, add_next) == [None] * 16
    assert numbers(made[0]) == list(range(16))


def test_commits_wait_for_the_disk_in_a_write_ahead_log(database: Database) -> None:
    with database.write() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_only_what_asks_not_to_wait_doesnt(database: Database) -> None:
    with database.write(durable=False) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
    with database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def as_text(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE numbers ADD COLUMN text TEXT")
    connection.execute("UPDATE numbers SET text = 'number ' || n")


def without_one(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM numbers WHERE n = 1")


def test_an_older_file_is_upgraded_once_step_by_step_whoever_opens_it(
    database: Database, tmp_path: Path
) -> None:
    add(database, 1)
    add(database, 2)
    path = tmp_path / "deep" / "down" / "a.sqlite3"
    newer = [Database(path, schema="", version=3, upgrades={1: as_text, 2: without_one}) for _ in range(16)]
    assert race(16, lambda index: numbers(newer[index])) == [[2]] * 16
    with newer[0].read() as connection:
        assert connection.execute("SELECT * FROM numbers").fetchall() == [(2, "number 2")]


def test_an_upgrade_that_fails_changes_nothing(database: Database, tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM unknown")

    add(database, 1)
    path = tmp_path / "deep" / "down" / "a.sqlite3"
    with pytest.raises(PlatformUnavailable, match="no such table: unknown"):
        numbers(Database(path, schema="", version=3, upgrades={1: without_one, 2: fail}))
    with pytest.raises(ConfigurationError, match="schema version 2, this program needs 3"):
        numbers(Database(path, schema="", version=3, upgrades={1: without_one}))
    assert numbers(database) == [1]


@pytest.mark.parametrize("error", [Conflict("no"), KeyboardInterrupt(), ValueError()])
def test_an_exception_undoes_the_transaction(database: Database, error: BaseException) -> None:
    def add_and_fail() -> None:
        with database.write() as connection:
            connection.execute("INSERT INTO numbers VALUES (1)")
            raise error

    with pytest.raises(type(error)):
        add_and_fail()
    add(database, 2)
    assert numbers(database) == [2]


def test_sqlites_own_errors_become_ours_with_the_cause(database: Database) -> None:
    with (
        pytest.raises(PlatformUnavailable, match="no such table: unknown") as caught,
        database.read() as connection,
    ):
        connection.execute("SELECT * FROM unknown")
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert numbers(database) == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(PlatformUnavailable, match=str(file)):
        numbers(Database(file, schema=SCHEMA, version=1))


def test_a_place_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PlatformUnavailable, match="file"):
        numbers(Database(tmp_path / "file" / "a.sqlite3", schema=SCHEMA, version=1))


def test_connections_are_used_again(database: Database) -> None:
    with database.read() as first:
        pass
    with database.read() as second:
        assert second is first


def test_a_closed_database_opens_again(database: Database) -> None:
    add(database, 1)
    database.close()
    assert numbers(database) == [1]


def test_a_forked_child_uses_connections_of_its_own(database: Database) -> None:
    add(database, 1)
    with database.read() as parents:
        pass
    process_id = os.fork()
    if process_id == 0:
        with database.read() as own:
            pass
        add(database, 2)
        os._exit(int(own is parents))
    assert os.waitpid(process_id, 0)[1] == 0
    add(database, 3)
    assert numbers(database) == [1, 2, 3]


@pytest.mark.parametrize(
    ("where", "order_by"),
    [
        ([], [Order("at", descending=True)]),
        ([Filter("symbol", "==", "S7")], [Order("at", descending=True)]),
        ([Filter("model", "==", "m1"), Filter("symbol", "==", "S7")], [Order("at", descending=True)]),
        (
            [Filter("symbol", "==", "S7"), Filter("at", "<=", "0500")],
            [Order("at", descending=True), Order("n")],
        ),
    ],
)
def test_a_query_seeks_instead_of_sorting(tmp_path: Path, where: list[Filter], order_by: list[Order]) -> None:
    documents = SqliteDocuments(tmp_path / "documents.sqlite3")
    for first in range(0, 1000, 500):
        numbers = range(first, first + 500)
        data = {n: {"at": f"{n:04}", "n": n, "symbol": f"S{n % 10}", "model": f"m{n % 3}"} for n in numbers}
        documents.commit([Put("predictions", f"{n * 7919 % 1009}", body) for n, body in data.items()])
    page = documents.query("predictions", where=where, order_by=order_by, limit=3)
    steps: list[str] = []
    with sqlite3.connect(tmp_path / "documents.sqlite3") as connection:
        for cursor in (None, page.cursor):
            steps += plan_of(connection, where, order_by, cursor)
    assert page.cursor is not None
    assert not [step for step in steps if "TEMP B-TREE" in step]
    assert all("USING INDEX by_" in step for step in steps)
    assert "SEARCH" in steps[-1]


def plan_of(
    connection: sqlite3.Connection, where: list[Filter], order_by: list[Order], cursor: str | None
) -> list[str]:
    from shared.platform.local.queries import plan

    planned = plan("predictions", where, order_by, cursor)
    rows = connection.execute("EXPLAIN QUERY PLAN " + planned.sql, (*planned.values, 3))
    return [row[3] for row in rows]
