"""A stand-in for Secret Manager, which has no emulator: answers `access` with what a file holds.

`python -m infra.emulators.secrets PORT FILE` serves 127.0.0.1:PORT, the same for every project. FILE is
a JSON object of secrets by name, readable by its owner alone, and read at each call; null stands for a
secret whose latest version is disabled.
"""

from __future__ import annotations

import json
import os
import re
import sys
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import google_crc32c

from infra.emulators.json_server import JsonServer, send_json
from infra.emulators.processes import Emulator, free_port
from shared.errors import ConfigurationError

_ACCESS = re.compile(r"/v1/(projects/[^/]+/secrets/([A-Za-z0-9_-]{1,255}))/versions/latest:access")
_STATUS = {HTTPStatus.BAD_REQUEST: "FAILED_PRECONDITION", HTTPStatus.NOT_FOUND: "NOT_FOUND"}


def secrets_standin(logs: Path, values: Path, port: int | None = None) -> Emulator:
    """Serves the secrets in the file `values`: see `write_values`."""
    port = port or free_port()
    command = [sys.executable, "-m", "infra.emulators.secrets", str(port), str(values.absolute())]
    return Emulator("Secret Manager stand-in", command, port, logs / "secrets.log")


def write_values(file: Path, values: Mapping[str, str | None]) -> None:
    """Put the secrets into the stand-in's file, in one step, for its owner's eyes only."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(values))
    fresh.replace(file)


def read_values(file: Path) -> Mapping[str, str | None]:
    """
    Raises:
        ConfigurationError: others can read the file.
    """
    if file.stat().st_mode & 0o077:
        raise ConfigurationError(f"Others can read the secrets in {file}: run 'chmod 600 {file}'.")
    values: Mapping[str, str | None] = json.loads(file.read_text())
    return values


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    wbufsize = -1
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def __init__(self, file: Path, *arguments: Any) -> None:
        self._file = file
        super().__init__(*arguments)

    def do_GET(self) -> None:
        asked = _ACCESS.fullmatch(urlsplit(self.path).path)
        if asked is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such method here.")
            return
        secret, name = asked.groups()
        values = read_values(self._file)
        if name not in values:
            self._refuse(HTTPStatus.NOT_FOUND, f"Secret [{secret}] not found or has no versions.")
        elif (value := values[name]) is None:
            message = f"Secret Version [{secret}/versions/1] is in DISABLED state."
            self._refuse(HTTPStatus.BAD_REQUEST, message)
        else:
            data = value.encode()
            payload = {"data": b64encode(data).decode(), "dataCrc32c": str(google_crc32c.value(data))}
            send_json(self, HTTPStatus.OK, {"name": f"{secret}/versions/1", "payload": payload})

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        send_json(self, status, {"error": {"code": status, "message": message, "status": _STATUS[status]}})


def serve(port: int, file: Path) -> None:
    """Serves until the process ends.

    Raises:
        ConfigurationError: others can read the file.
    """
    read_values(file)
    with JsonServer(("127.0.0.1", port), partial(_Handler, file)) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
