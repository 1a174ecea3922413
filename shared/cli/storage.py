"""The engine's state itself, for commands that work on it where the settings say that it rests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.cli.problem import ExitCode, problem
from shared.cli.session import Session
from shared.cli.target import is_loopback

if TYPE_CHECKING:
    from shared.instance import Instance


def opened(session: Session, *, must_exist: bool = True) -> Instance:
    """The engine's parts on the platform that the settings name; for the twin on emulators, theirs.

    Raises:
        CliProblem: the state must exist, and its folder doesn't; or another engine may be meant.
    """
    from shared.config import PlatformName, load_settings
    from shared.instance import Instance
    from shared.platform.connect import connect
    from shared.platform.emulated import running_emulators

    installation = session.installation
    emulators = running_emulators(installation.home) or {}
    settings = load_settings(
        _env_file=installation.root / ".env", mlengine_home=installation.home, **emulators
    )
    url = installation.setting("MLENGINE_URL")
    if url and not is_loopback(url) and settings.platform is PlatformName.LOCAL:
        raise problem(
            "cli",
            "Which engine is meant?",
            f"MLENGINE_URL names {url}, and this works on the state itself, where the settings say that it "
            "rests: here, on this machine. For the engine in the cloud set PLATFORM=gcp, "
            "GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_REGION; for this machine's unset MLENGINE_URL.",
        )
    if must_exist and settings.platform is PlatformName.LOCAL and not installation.home.exists():
        raise problem(
            "cli",
            "Nothing is stored",
            f"There is no state folder {installation.home}: set MLENGINE_HOME to the one that is meant.",
            next_command="mlengine doctor",
        )
    return Instance(settings, connect(settings))


@contextmanager
def translated() -> Iterator[None]:
    """The engine's errors in the command's words."""
    from shared.errors import EngineError

    try:
        yield
    except OSError as error:
        raise problem(
            "cli",
            "The folder can't be used",
            f"{error.strerror}: {error.filename}",
            exit_code=ExitCode.FAILED,
        ) from error
    except EngineError as error:
        raise problem(
            error.slug, error.title, error.detail, exit_code=ExitCode.FAILED, next_command="mlengine doctor"
        ) from error
