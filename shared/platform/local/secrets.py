"""Secrets from the environment, else from files that only their owner can read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from shared.errors import ConfigurationError, NotFound, PlatformUnavailable
from shared.platform.local.files import sync_folder, write_durably
from shared.platform.names import is_secret_name, require_secret_name, secret_variable


class LocalSecrets:
    """The Secrets port: `admin-api-key` is ADMIN_API_KEY in the environment, else the file of that name."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._folder = folder.absolute()
        self._environment = environment

    def get(self, name: str) -> str:
        value = self._find(name) if is_secret_name(name) else None
        if value is None:
            raise NotFound(
                f"There is no secret {name!r}: set {secret_variable(name)}, "
                f"or put it into the file {self._folder / name} (mode 0600)."
            )
        return value

    def ensure(self, name: str, make: Callable[[], str]) -> str:
        """The secret; where there is none, what `make` gives is kept. One value for all who race.

        Raises:
            InvalidInput: not a name.
        """
        require_secret_name(name)
        if self._find(name) is None:
            self._create(name, make())
        return self.get(name)

    def _find(self, name: str) -> str | None:
        value = self._environment.get(secret_variable(name), "").strip()
        if value:
            return value
        file = self._folder / name
        try:
            if file.stat().st_mode & 0o077:
                raise ConfigurationError(f"Others can read the secret {file}: run 'chmod 600 {file}'.")
            return file.read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlatformUnavailable(f"The secret {file} can't be read: {error}.") from error

    def _create(self, name: str, value: str) -> None:
        fresh = self._folder / f".{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(fresh, value.encode())
            with suppress(FileExistsError):  # somebody else was first
                os.link(fresh, self._folder / name)
            fresh.unlink()
            sync_folder(self._folder)
        except OSError as error:
            raise PlatformUnavailable(f"The secret {name!r} can't be kept: {error}.") from error
