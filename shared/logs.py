"""Structured logs: one JSON object a line, with the field names Cloud Logging understands."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from pydantic_core import to_json

LOGGER = logging.getLogger("mlengine")

_SEVERITIES = {"WARN": "WARNING", "FATAL": "CRITICAL"}


class JsonFormatter(logging.Formatter):
    """`LOGGER.info("what happened", extra={"facts": {...}})` -> one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "severity": _SEVERITIES.get(record.levelname, record.levelname),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["stack_trace"] = self.formatException(record.exc_info)
        return to_json(line, serialize_unknown=True).decode()


def configure_logs(level: str, stream: TextIO | None = None) -> None:
    """Send this process's log lines to `stream` (standard output by default). The last call counts."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level)
    LOGGER.propagate = False
