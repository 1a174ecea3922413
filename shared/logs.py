"""Structured logs: one JSON object a line, with the field names Cloud Logging understands."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from pydantic_core import to_json

LOGGER = logging.getLogger("mlengine")

_SEVERITIES = {"WARN": "WARNING", "FATAL": "CRITICAL"}


class JsonFormatter(logging.Formatter):
    """`LOGGER.info("what happened", extra={"facts": {...}})` -> one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {**getattr(record, "facts", {})}
        if record.exc_info:
            facts["stack_trace"] = self.formatException(record.exc_info)
        return _line(record.levelname, record.created, record.getMessage(), facts)


def configure_logs(level: str, stream: TextIO | None = None) -> None:
    """Send this process's log lines to `stream` (standard output by default), those of retries among them.

    The last call counts.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    for logger in (LOGGER, logging.getLogger("stamina")):
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log_request(facts: Mapping[str, Any]) -> None:
    """What `LOGGER.info("request", ...)` writes, without a record: that costs as much as the line itself."""
    if LOGGER.isEnabledFor(logging.INFO):
        line = _line("INFO", time.time(), "request", facts)
        for handler in LOGGER.handlers:
            if isinstance(handler, logging.StreamHandler):
                _write(handler, line)


def _line(level: str, seconds: float, message: str, facts: Mapping[str, Any]) -> str:
    fields = {
        "severity": _SEVERITIES.get(level, level),
        "time": datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds"),
        "message": message,
        **facts,
    }
    return to_json(fields, serialize_unknown=True).decode()


def _write(handler: logging.StreamHandler[TextIO], line: str) -> None:
    handler.acquire()
    try:
        handler.stream.write(line + handler.terminator)
        handler.flush()
    except (OSError, ValueError):  # full, or closed: a line that can't be written fails no request
        return
    finally:
        handler.release()
