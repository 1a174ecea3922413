"""What the stand-ins that answer JSON from the standard library's server share."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class JsonServer(ThreadingHTTPServer):
    """A thread a connection, and room for as many callers as tests let race."""

    request_queue_size = 256
    daemon_threads = True


def send_json(handler: BaseHTTPRequestHandler, status: HTTPStatus, answer: Any) -> None:
    content = json.dumps(answer).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json; charset=UTF-8")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
