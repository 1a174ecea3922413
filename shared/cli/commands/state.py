"""`backup`, `restore` and `migrate`: they work on the state itself, where the settings say it rests."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.cli.problem import ExitCode, problem
from shared.cli.session import Session, command
from shared.cli.storage import opened, translated
from shared.errors import CallerError

PANEL: Final = "State"

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The backup's folder.")]


def register(app: typer.Typer) -> None:
    command(app, "backup", PANEL)(backup)
    command(app, "restore", PANEL)(restore)
    command(app, "migrate", PANEL)(migrate)


def backup(session: Session, folder: Folder) -> None:
    """Save all documents and blobs of the engine into a folder; the engine may run meanwhile."""
    from shared.cli.views.state import saved
    from shared.platform import backup

    with _told(), _reporting(session) as report:
        contents = backup.backup(opened(session).platform, folder, report)
    session.output.show({"folder": str(folder.absolute()), **contents.json()}, saved)
    session.output.suggest(f"mlengine restore {folder}")


def restore(session: Session, folder: Folder) -> None:
    """Put a backup into an empty engine, and compare it item by item."""
    from shared.cli.views.state import restored
    from shared.platform import backup

    with _told(), _stopped(session), _reporting(session) as report:
        contents = backup.restore(opened(session, must_exist=False).platform, folder, report)
    session.output.show({"folder": str(folder.absolute()), **contents.json()}, restored)


def migrate(session: Session) -> None:
    """Bring stored documents of older versions into the present shape; the engine may run meanwhile."""
    from shared.cli.views.state import migrated
    from shared.platform.migration import Migrated, migrate
    from shared.platform.versioned import VersionedDocuments

    done: list[Migrated] = []
    with translated():
        documents = opened(session).platform.documents
        if isinstance(documents, VersionedDocuments):
            migrate(documents, done.append)
    fields = Migrated.__slots__
    session.output.show(
        {"collections": [{name: getattr(one, name) for name in fields} for one in done]}, migrated
    )


@contextmanager
def _told() -> Iterator[None]:
    """As `translated`; the doctor isn't asked about a folder that the caller should have chosen otherwise."""
    with translated():
        try:
            yield
        except CallerError as error:
            raise problem(error.slug, error.title, error.detail) from error


@contextmanager
def _reporting(session: Session) -> Iterator[Callable[[str, int, int], None]]:
    with session.output.progress() as progress:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, message="")
            progress.update(tasks[what], completed=done, total=of or None)

        yield report


@contextmanager
def _stopped(session: Session) -> Iterator[None]:
    """Hold the state folder's lock, so that no twin works on what is being restored."""
    home = session.installation.home
    home.mkdir(parents=True, exist_ok=True)
    with (home / "twin.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise problem(
                "cli",
                "A twin is running",
                f"A twin runs on {home}: stop it (Ctrl-C), or set MLENGINE_HOME to an empty folder.",
                exit_code=ExitCode.FAILED,
                next_command="mlengine doctor",
            ) from error
        yield
