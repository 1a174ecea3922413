"""Structured logs: one JSON object a line, with the field names Cloud Logging understands."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from pydantic_core import to_json

from shared.errors import EngineError

LOGGER = logging.getLogger("mlengine")

_SEVERITIES = {"WARN": "WARNING", "FATAL": "CRITICAL"}


class JsonFormatter(logging.Formatter):
    """`LOGGER.info("what happened", extra={"facts": {...}})` -> one line of JSON.

    Its `time` is the machine's, always. In a replay `replay_now` stands beside it.
    """

    def __init__(self, replay_now: Callable[[], datetime] | None = None) -> None:
        super().__init__()
        self._replay_now = replay_now

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {**getattr(record, "facts", {})}
        if record.exc_info:
            facts["stack_trace"] = self.formatException(record.exc_info)
        return self.line(record.levelname, record.created, record.getMessage(), facts)

    def line(self, level: str, seconds: float, message: str, facts: Mapping[str, Any]) -> str:
        fields = {
            "severity": _SEVERITIES.get(level, level),
            "time": datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds"),
            "message": message,
            **({} if self._replay_now is None else {"replay_now": _told(self._replay_now)}),
            **facts,
        }
        return to_json(fields, serialize_unknown=True).decode()


def configure_logs(
    level: str, stream: TextIO | None = None, *, replay_now: Callable[[], datetime] | None = None
) -> None:
    """Send this process's log lines to `stream` (standard output by default), those of retries among them.

    In a replay each line tells its clock, `replay_now`, too. The last call counts.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(replay_now))
    for logger in (LOGGER, logging.getLogger("stamina")):
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log_request(facts: Mapping[str, Any]) -> None:
    """What `LOGGER.info("request", ...)` writes, without a record: that costs as much as the line itself."""
    if LOGGER.isEnabledFor(logging.INFO):
        for handler in LOGGER.handlers:
            if isinstance(handler, logging.StreamHandler) and isinstance(handler.formatter, JsonFormatter):
                _write(handler, handler.formatter.line("INFO", time.time(), "request", facts))


def _told(replay_now: Callable[[], datetime]) -> str:
    """A line that can't tell the replay's time says why, and is written all the same."""
    try:
        return replay_now().isoformat(timespec="seconds")
    except EngineError as error:
        return error.detail


def _write(handler: logging.StreamHandler[TextIO], line: str) -> None:
    handler.acquire()
    try:
        handler.stream.write(line + handler.terminator)
        handler.flush()
    except (OSError, ValueError):  # full, or closed: a line that can't be written fails no request
        return
    finally:
        handler.release()
