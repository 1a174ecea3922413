"""Python, the locked packages, the settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Final

from shared.cli.doctor.finding import Finding, Surroundings, fail, ok, warn
from shared.cli.main import OLDEST_PYTHON

LOCK_FILE: Final = "infra/requirements/twin.txt"

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)\s*(?:;\s*(.+?))?\s*\\?$", re.MULTILINE)
_SHOWN: Final = 5


def python(_: Surroundings) -> Iterable[Finding]:
    """A Python that is new enough, in an environment of its own."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST_PYTHON:
        yield fail("python", f"{version}, 3.11 or newer is needed", "make PYTHON=/path/to/python3.11 up")
    elif sys.prefix == sys.base_prefix:
        yield warn("python", f"{version}, not in a virtual environment", "make up")
    else:
        yield ok("python", f"{version} in {sys.prefix}")


def packages(surroundings: Surroundings) -> Iterable[Finding]:
    """Every locked package is installed in the locked version."""
    lock = surroundings.installation.root / LOCK_FILE
    if not lock.exists():
        yield warn("packages", f"{lock} is missing: versions can't be compared", "git checkout -- infra")
        return
    locked = dict(pins(lock.read_text()))
    wrong = [words for name, version in locked.items() if (words := _difference(name, version))]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        yield fail("packages", ", ".join(wrong[:_SHOWN]) + more, f"touch {LOCK_FILE} && make up")
    else:
        yield ok("packages", f"all {len(locked)} as locked")


def pins(text: str) -> Iterator[tuple[str, str]]:
    """(name, version) of what a lock file wants on this machine."""
    for name, version, marker in _PIN.findall(text):
        if not marker or _applies(marker):
            yield name, version


def _applies(marker: str) -> bool:
    from packaging.markers import Marker

    return Marker(marker).evaluate()


def _difference(name: str, version: str) -> str:
    """What is wrong with one package, or nothing."""
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    return "" if found == version else f"{name} is {found} instead of {version}"


def settings(surroundings: Surroundings) -> Iterable[Finding]:
    """The environment and `.env` hold settings that the engine takes."""
    from shared.config import load_settings
    from shared.errors import ConfigurationError
    from shared.platform.connect import connect

    file = surroundings.installation.root / ".env"
    try:
        connect(load_settings(_env_file=file))
    except ConfigurationError as error:
        yield fail("settings", error.detail, f"Correct them in the environment or in {file}.")
    else:
        yield ok(
            "settings", f"from {'the environment and ' + str(file) if file.exists() else 'the environment'}"
        )


INSTALLATION_CHECKS: Final[tuple[Callable[[Surroundings], Iterable[Finding]], ...]] = (
    python,
    packages,
    settings,
)
