from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.logs import LOGGER, configure_logs, log_request


def written(level: str, facts: dict[str, object]) -> list[dict[str, object]]:
    lines = io.StringIO()
    configure_logs(level, lines)
    log_request(facts)
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_request_is_logged_as_any_other_line_is() -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    log_request({"status": 200})
    LOGGER.info("request", extra={"facts": {"status": 200}})
    short, long = (json.loads(line) for line in lines.getvalue().splitlines())
    assert {**short, "time": ""} == {**long, "time": ""}
    assert datetime.fromisoformat(short["time"]).tzinfo == UTC


def test_requests_are_not_logged_below_the_level() -> None:
    assert written("WARNING", {"status": 200}) == []


def test_what_is_not_json_is_logged_as_text() -> None:
    [line] = written("INFO", {"path": Path("/x"), "score": float("nan"), "odd": object})
    assert line["path"] == "/x"
    assert isinstance(line["odd"], str)


def test_a_log_that_cannot_be_written_fails_no_request() -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    lines.close()
    log_request({"status": 200})


@pytest.mark.parametrize(("level", "severity"), [(logging.WARN, "WARNING"), (logging.FATAL, "CRITICAL")])
def test_severities_are_those_of_cloud_logging(level: int, severity: str) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    LOGGER.log(level, "something")
    assert json.loads(lines.getvalue())["severity"] == severity


def test_retries_are_told_as_our_own_lines_are() -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    logging.getLogger("stamina").warning("stamina.retry_scheduled")
    assert json.loads(lines.getvalue())["message"] == "stamina.retry_scheduled"
