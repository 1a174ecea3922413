"""Which engine to speak to, and with which key: options, then the environment, then this installation."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from shared.cli.problem import wrong_usage

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout: its `.env` and its `.mlengine` are the installation's."""

KEY_FILE: Final = "secrets/admin-api-key"
"""Where the twin keeps its key. Not imported from `shared.access`: that would load all settings first."""


@dataclass(frozen=True, slots=True)
class Target:
    """A base URL without a trailing slash, and the key to present there, if there is one. `is_given` says
    that an option or the environment named it; else it is this machine's own, and a login goes before it.
    """

    url: str
    api_key: str | None
    is_given: bool = True

    @property
    def is_here(self) -> bool:
        return is_loopback(self.url)


class Installation:
    """What the environment and the checkout's `.env` say about the engine on this machine."""

    def __init__(self, environment: Mapping[str, str], root: Path = ROOT) -> None:
        self._environment = {name: value for name, value in environment.items() if value}
        self._file = _read_env_file(root / ".env")
        self.root = root

    @property
    def home(self) -> Path:
        """The state folder. A relative path in the environment starts here, one in `.env` at the checkout."""
        if "MLENGINE_HOME" in self._environment:
            return Path(self._environment["MLENGINE_HOME"]).absolute()
        unless_set = ".mlengine-replay" if self.setting("REPLAY") else ".mlengine"
        return self.root / self._file.get("MLENGINE_HOME", unless_set)

    @property
    def port(self) -> str:
        return self.setting("PORT") or "8080"

    @property
    def key_file(self) -> Path:
        return self.home / KEY_FILE

    def setting(self, name: str) -> str | None:
        return self._environment.get(name) or self._file.get(name)

    def target(self, url: str | None, api_key: str | None) -> Target:
        """The engine that the options ask for.

        This machine's own secrets, in `.env` and the state folder, are presented to it alone.

        Raises:
            CliProblem: the URL isn't one, or the key can't be sent.
        """
        base = _checked(url or self.setting("MLENGINE_URL") or f"http://127.0.0.1:{self.port}")
        named = ("MLENGINE_API_KEY", "ADMIN_API_KEY")
        given = _first(api_key, *(self._environment.get(name) for name in named))
        own = None
        if given is None and is_loopback(base):
            own = _first(*(self._file.get(name) for name in named), _content(self.key_file))
        return Target(base, _sendable(given or own), is_given=given is not None)


def _first(*texts: str | None) -> str | None:
    return next((text for text in texts if text), None)


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that isn't one
        is_good = False
    if not is_good:
        raise wrong_usage(f"The engine's URL must look like http://127.0.0.1:8080, found {url!r}.")
    return url.rstrip("/")


def _sendable(key: str | None) -> str | None:
    if key is not None and not (key.isascii() and key.isprintable()):
        raise wrong_usage("The API key holds characters that no key has: was it copied whole?")
    return key


def _content(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None


def _read_env_file(file: Path) -> Mapping[str, str]:
    if not file.exists():
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(file).items() if value}
