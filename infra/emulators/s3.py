"""S3 on one machine: moto's server, with what it leaves out and the engine relies on.

`python -m infra.emulators.s3 PORT` serves 127.0.0.1:PORT and keeps everything in memory. Added here: a
conditional write is one step, also among racing ones, and a body that doesn't fit its checksum is refused.
"""

from __future__ import annotations

import hashlib
import io
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from infra.emulators.processes import Emulator, free_port
from shared.errors import ConfigurationError

_Wsgi: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]

_CREATE_SECONDS = 10.0
_BAD_DIGEST = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>BadDigest</Code>'
    b"<Message>The SHA256 you specified did not match the calculated checksum.</Message></Error>"
)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "emulator",
    "AWS_SECRET_ACCESS_KEY": "emulator",
    "AWS_REGION": "us-east-1",
}
"""What boto3 needs beside AWS_ENDPOINT_URL to talk to it."""


def s3_emulator(logs: Path, port: int | None = None) -> Emulator:
    port = port or free_port()
    command = [sys.executable, "-m", "infra.emulators.s3", str(port)]
    return Emulator("S3 emulator", command, port, logs / "s3.log")


def create_bucket(url: str, name: str) -> None:
    """Make the bucket at the emulator of that url; nothing happens when it is there.

    Raises:
        ConfigurationError: the emulator doesn't make it.
    """
    answer = httpx.put(f"{url}/{name}", timeout=_CREATE_SECONDS, trust_env=False)
    if answer.status_code != HTTPStatus.OK:
        raise ConfigurationError(f"The S3 emulator makes no bucket {name!r}: {answer.status_code}.")


class _OneAtATime:
    """Hands requests to moto one after the other, each with its body complete."""

    def __init__(self, app: _Wsgi) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        told = environ.get("HTTP_X_AMZ_CHECKSUM_SHA256")
        if told is not None and told != b64encode(hashlib.sha256(body).digest()).decode():
            start_response("400 Bad Request", [("Content-Type", "application/xml")])
            return [_BAD_DIGEST]
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            return list(self._app(environ, start_response))


def serve(port: int) -> None:
    """Serves until the process ends."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    app = _OneAtATime(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
