"""The state folder: room, rights, what its file system can do, the databases, the key, the candles."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from shared.cli.doctor.finding import Finding, Surroundings, fail, ok, warn
from shared.cli.views.text import span

NEEDED_BYTES: Final = 200_000_000
COMFORTABLE_BYTES: Final = 1_000_000_000
OLD_CANDLES_SECONDS: Final = 7 * 86_400.0

_ELSEWHERE: Final = "MLENGINE_HOME=/a/folder/on/a/local/disk make up"


def state_folder(surroundings: Surroundings) -> Iterable[Finding]:
    """Files can be made there, and it holds what the engine builds on: links, renames, locks, fsync."""
    home = surroundings.installation.home
    folder = existing(home)
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as scratch:
            lacking = list(_lacking(Path(scratch)))
    except OSError as error:
        mend = f"chmod u+rwx {folder}"
        yield fail("state folder", f"{folder} can't be written to: {error.strerror}", mend)
        return
    if lacking:
        yield fail("state folder", f"the file system of {folder} lacks {', '.join(lacking)}", _ELSEWHERE)
    else:
        yield ok("state folder", str(home) if home.exists() else f"{home}, made at the first start")


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that there is."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _lacking(scratch: Path) -> Iterator[str]:
    """What this file system can't do."""
    trials: tuple[tuple[str, Callable[[Path], None]], ...] = (
        ("hard links", _link),
        ("exclusive renames", _rename),
        ("fsync of folders", _sync),
        ("locks", _lock),
    )
    for name, trial in trials:
        folder = scratch / name.replace(" ", "-")
        folder.mkdir()
        try:
            trial(folder)
        except OSError:
            yield name


def _link(folder: Path) -> None:
    (folder / "one").touch()
    os.link(folder / "one", folder / "two")


def _rename(folder: Path) -> None:
    """A folder must not be renamed over one that holds something."""
    (folder / "full").mkdir()
    (folder / "full" / "file").touch()
    (folder / "fresh").mkdir()
    try:
        (folder / "fresh").rename(folder / "full")
    except OSError:
        return
    raise OSError("a full folder was replaced")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> None:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def disk(surroundings: Surroundings) -> Iterable[Finding]:
    """There is room for candles, models and logs."""
    folder = existing(surroundings.installation.home)
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if free < NEEDED_BYTES:
        yield fail("disk", f"{found}, {NEEDED_BYTES / 1e9:.1f} GB are needed", _ELSEWHERE)
    elif free < COMFORTABLE_BYTES:
        yield warn("disk", f"{found}, which is little", _ELSEWHERE)
    else:
        yield ok("disk", found)


def databases(surroundings: Surroundings) -> Iterable[Finding]:
    """The SQLite files are whole. They are opened for reading only."""
    files = sorted(surroundings.installation.home.glob("*.sqlite3"))
    damages = {file: damage for file in files if (damage := _damage(file))}
    for file, damage in damages.items():
        mend = f"Stop the twin, then put back a copy of {file}, or: sqlite3 {file} .recover"
        yield fail("databases", f"{file} is damaged: {damage}", mend)
    if not damages:
        names = ", ".join(file.name for file in files)
        yield ok("databases", f"whole: {names}" if files else "none yet, made at the first start")


def _damage(file: Path) -> str:
    try:
        with closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        ) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if found == "ok" else found


def admin_key(surroundings: Surroundings) -> Iterable[Finding]:
    """There is a key, and nobody else reads it."""
    installation = surroundings.installation
    file = installation.key_file
    if installation.setting("ADMIN_API_KEY"):
        yield ok("admin key", "ADMIN_API_KEY is set")
    elif not file.exists():
        yield ok("admin key", "none yet, made at the first start")
    elif file.stat().st_mode & 0o077:
        yield fail("admin key", f"others can read {file}", f"chmod 600 {file}")
    else:
        yield ok("admin key", str(file))


def candles(surroundings: Surroundings) -> Iterable[Finding]:
    """Candles were ingested, and lately where the upstream is a real one."""
    stored = (surroundings.installation.home / "blobs" / "candles").rglob("*")
    latest = max((file.stat().st_mtime for file in stored), default=None)
    if latest is None:
        yield warn("candles", "none were ever ingested", "mlengine ingest")
        return
    age = time.time() - latest
    found = f"last stored {span(age)} ago"
    if age > OLD_CANDLES_SECONDS and surroundings.installation.setting("MARKET_DATA_URL"):
        yield warn("candles", found, "mlengine ingest")
    else:
        yield ok("candles", found)


STATE_CHECKS: Final[tuple[Callable[[Surroundings], Iterable[Finding]], ...]] = (
    state_folder,
    disk,
    databases,
    admin_key,
    candles,
)
