"""SQLite as the local adapters use it: WAL, durable commits, one writer, safe from threads and forks."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from shared.errors import ConfigurationError, EngineError, PlatformUnavailable
from shared.platform.local.files import sync_folder

BUSY_TIMEOUT_SECONDS = 20.0

Upgrade: TypeAlias = Callable[[sqlite3.Connection], None]
"""Brings a file to the next schema version, inside a transaction."""

_inherited: list[list[sqlite3.Connection]] = []
"""Connections that came through a fork. SQLite forbids to use or to close them in the child."""


class Database:
    """One database file, made whole with its schema on first use.

    Connections are pooled: as many stay open as were in use at once.
    """

    def __init__(
        self, path: Path, *, schema: str, version: int, upgrades: Mapping[int, Upgrade] = {}
    ) -> None:
        """`upgrades` are by the version that they start from."""
        self._path = path.absolute()
        self._schema = schema
        self._version = version
        self._upgrades = upgrades
        self._reset()

    def _reset(self) -> None:
        self._process_id = os.getpid()
        self._free: list[sqlite3.Connection] = []
        self._writing = threading.Lock()  # in-process writers queue here: SQLite's own wait is a sleep

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for single statements that change nothing."""
        try:
            connection = self._take()
            try:
                yield connection
            except EngineError:
                self._free.append(connection)
                raise
            except BaseException:
                connection.close()
                raise
            self._free.append(connection)
        except sqlite3.Error as error:
            raise PlatformUnavailable(f"The local database {self._path} failed: {error}.") from error

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection inside a transaction, undone by an exception.

        On leaving it survives the end of this process, and if `durable` a power cut.
        """
        with self.read() as connection, self._writing:
            if not durable:
                connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            finally:
                if not durable:
                    connection.execute("PRAGMA synchronous=FULL")

    def connection(self) -> sqlite3.Connection:
        """A connection of the caller's own."""
        with self.read():
            return self._open()

    def close(self) -> None:
        """Close what is idle. The next call opens again."""
        while self._free:
            self._free.pop().close()

    def _take(self) -> sqlite3.Connection:
        if self._process_id != os.getpid():
            _inherited.append(self._free)
            self._reset()
        try:
            return self._free.pop()
        except IndexError:
            return self._open()

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            self._create()
        connection = self._connect(self._path)
        try:
            if _version(connection) != self._version:
                self._upgrade(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        """All steps, or none; whoever comes second finds it done."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            while (found := _version(connection)) != self._version:
                self._upgrade_from(found)(connection)
                connection.execute(f"PRAGMA user_version={found + 1}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _upgrade_from(self, version: int) -> Upgrade:
        if version not in self._upgrades:
            raise ConfigurationError(
                f"{self._path} has schema version {version}, this program needs {self._version}: "
                "use the program that made it, or set MLENGINE_HOME to another folder."
            )
        return self._upgrades[version]

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _create(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._path.parent, prefix=".new-") as folder:
                self._link(Path(folder) / self._path.name)
            sync_folder(self._path.parent)
        except OSError as error:
            raise PlatformUnavailable(f"The local database {self._path} can't be made: {error}.") from error

    def _link(self, fresh: Path) -> None:
        fresh.touch(mode=0o600)
        with closing(self._connect(fresh)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"BEGIN; {self._schema}; PRAGMA user_version={self._version}; COMMIT;")
        with suppress(FileExistsError):  # somebody else made it first
            os.link(fresh, self._path)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
