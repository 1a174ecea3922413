"""Secrets from the environment, where a deployed function finds them, else from Secret Manager."""

from __future__ import annotations

import os
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import ConfigurationError, NotFound, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.names import is_secret_name, secret_variable

KEPT_SECONDS = 300.0
_CASTAGNOLI = 0x82F63B78  # the polynomial of CRC-32C, bits reversed


class SecretManager:
    """The Secrets port: `admin-api-key` is ADMIN_API_KEY in the environment, else the secret of that name.

    A value from Secret Manager is kept for five minutes: so long may a rotated secret still be in use.
    """

    def __init__(
        self,
        project: Project,
        rest: GoogleRest,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._rest = rest
        self._environment = environment
        self._clock = clock
        self._kept: dict[str, tuple[float, str]] = {}

    def get(self, name: str) -> str:
        if not is_secret_name(name):
            raise NotFound(f"There is no secret {name!r}.")
        given = self._environment.get(secret_variable(name), "").strip()
        if given:
            return given
        until, value = self._kept.get(name, (float("-inf"), ""))
        if self._clock() >= until:
            value = self._access(name)
            self._kept[name] = (self._clock() + KEPT_SECONDS, value)
        return value

    def _access(self, name: str) -> str:
        secret = f"projects/{self._project.id}/secrets/{name}"
        response = self._rest.call("GET", f"{self._project.secrets_url}/v1/{secret}/versions/latest:access")
        if response.status_code == 404:
            raise NotFound(f"There is no secret {name!r}: set {secret_variable(name)}, or make {secret}.")
        if response.status_code != 200:
            raise ConfigurationError(
                f"Secret Manager doesn't give {secret} ({response.status_code}): "
                "enable its latest version, or add one."
            )
        try:
            return _text(response.json()["payload"])
        except (ValueError, KeyError, TypeError):  # no cause: its words may hold some of the secret
            raise PlatformUnavailable(f"Secret Manager gave no text for {secret}.") from None


def _text(payload: Mapping[str, Any]) -> str:
    """
    Raises:
        ValueError: not what was sent, or not text.
    """
    data = b64decode(payload["data"], validate=True)
    if _crc32c(data) != int(payload["dataCrc32c"]):
        raise ValueError("the checksum differs")
    return data.decode().strip()


def _crc32c(data: bytes) -> int:
    """As in RFC 3720, appendix B.4. Bit by bit: a secret is short, and read once in five minutes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
