"""Logins that are remembered: in the operating system's keyring where there is one, else in a file that only
its owner can read.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.cli.problem import wrong_usage

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE: Final = "mlengine"
_EARLY: Final = timedelta(seconds=30)
"""So long before an access token expires it is renewed: it shouldn't expire on its way."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in at an engine, and with what."""

    email: str
    access_token: str
    refresh_token: str
    expires_at: str

    @staticmethod
    def of(email: str, answer: Mapping[str, Any]) -> Login:
        """From what `/auth/login` or `/auth/refresh` answered just now."""
        expires_at = datetime.now(UTC) + timedelta(seconds=answer["expires_in"])
        return Login(email, answer["access_token"], answer["refresh_token"], expires_at.isoformat())

    @property
    def is_stale(self) -> bool:
        return datetime.fromisoformat(self.expires_at) - _EARLY <= datetime.now(UTC)

    def __repr__(self) -> str:
        return f"Login({self.email})"


class Credentials:
    """Logins by the engine's URL. Where two commands renew one at the same time, one waits for the other: a
    refresh token that is used twice ends the session.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        config = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")) / ".config"
        self._folder = Path(config).expanduser() / "mlengine"
        self._file = self._folder / "credentials.json"
        self._environment = environment

    def find(self, url: str) -> Login | None:
        ring = self._keyring()
        text = self._read().get(url) if ring is None else ring.get_password(SERVICE, url)
        if not text:
            return None
        try:
            return Login(**json.loads(text))
        except (ValueError, TypeError):  # another release wrote it: then it is no login here
            return None

    def keep(self, url: str, login: Login) -> None:
        ring, text = self._keyring(), json.dumps(asdict(login))
        if ring is None:
            self._write({**self._read(), url: text})
        else:
            ring.set_password(SERVICE, url, text)

    def forget(self, url: str) -> None:
        ring = self._keyring()
        if ring is None:
            self._write({name: text for name, text in self._read().items() if name != url})
        elif ring.get_password(SERVICE, url) is not None:
            ring.delete_password(SERVICE, url)

    @property
    def place(self) -> str:
        """Where they are, in words."""
        return str(self._file) if self._keyring() is None else "the keyring"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else renews a login meanwhile."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _keyring(self) -> KeyringBackend | None:
        """The keyring, where the package is installed and a real one is behind it."""
        if self._environment.get("MLENGINE_KEYRING") == "off":
            return None
        try:
            import keyring
            from keyring.backends.fail import Keyring as NoKeyring
        except ModuleNotFoundError:
            return None
        found = keyring.get_keyring()
        return None if isinstance(found, NoKeyring) or found.priority <= 0 else found

    def _read(self) -> dict[str, str]:
        """
        Raises:
            CliProblem: others can read the file.
        """
        try:
            if self._file.stat().st_mode & 0o077:
                raise wrong_usage(f"Others can read {self._file}: run 'chmod 600 {self._file}'.")
            found = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}

    def _write(self, logins: Mapping[str, str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(dict(logins)))
        fresh.replace(self._file)
