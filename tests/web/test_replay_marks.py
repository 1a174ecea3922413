"""In a replay every answer and every log line says so; elsewhere none does."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from infra.local.replay import ClockHand
from shared.config import load_settings
from shared.errors import UpstreamUnavailable
from shared.instance import Instance, use_instance
from shared.logs import LOGGER, configure_logs
from shared.platform.clock import CLOCK_HEADER
from shared.platform.connect import connect
from shared.web import Call, Function
from shared.web.documentation import page
from tests.asgi import AsgiClient

FIRST = datetime(2008, 9, 15, 13, 5, tzinfo=UTC)
TOLD = "replay; now=2008-09-15T13:05:00Z"


@pytest.fixture
def client() -> Iterator[AsgiClient]:
    function = Function("echo", needs=["documents"])

    @function.get("/predictions/{prediction_id}")
    async def down(call: Call, prediction_id: str) -> None:
        raise UpstreamUnavailable(f"no {prediction_id}")

    app = Starlette(routes=[Route("/{path:path}", function.entry_point())])
    with AsgiClient(app) as client:
        yield client


@pytest.fixture
def replay(tmp_path: Path) -> ClockHand:
    """This process's instance plays history."""
    hand = ClockHand(tmp_path)
    hand.begin(FIRST)
    settings = load_settings(mlengine_home=tmp_path)
    use_instance(Instance(settings, connect(settings)))
    return hand


PATHS = ["/health", "/ready", "/nowhere", "/predictions/p1", "/health?x=1"]


@pytest.mark.usefixtures("replay")
@pytest.mark.parametrize("path", PATHS)
def test_each_answer_of_a_replay_is_marked(path: str, client: AsgiClient) -> None:
    assert client.get(path).headers[CLOCK_HEADER] == TOLD


@pytest.mark.usefixtures("instance")
@pytest.mark.parametrize("path", PATHS)
def test_elsewhere_no_answer_is(path: str, client: AsgiClient) -> None:
    answer = client.get(path)
    assert CLOCK_HEADER not in answer.headers
    assert "clock" not in answer.json()


@pytest.mark.usefixtures("replay")
def test_probes_tell_the_clock_in_their_bodies(client: AsgiClient) -> None:
    assert client.get("/health").json() == {"status": "ok", "function": "echo", "clock": TOLD}
    assert client.get("/ready").json() == {"ready": True, "function": "echo", "missing": {}, "clock": TOLD}


def test_a_clock_that_cannot_be_read_spoils_no_answer(replay: ClockHand, client: AsgiClient) -> None:
    replay.clock.file.write_text("{")
    answer = client.get("/health")
    assert (answer.status_code, answer.headers[CLOCK_HEADER]) == (200, "replay; now=unknown")


@pytest.mark.usefixtures("replay")
def test_each_log_line_of_a_replay_has_both_times(client: AsgiClient) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines, replay_now=lambda: FIRST)
    client.get("/health")
    LOGGER.info("something", extra={"facts": {"n": 1}})
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert len(logged) == 2
    assert [line["replay_now"] for line in logged] == ["2008-09-15T13:05:00+00:00"] * 2
    assert all(line["time"] > "2025" for line in logged)


def test_a_log_line_is_written_also_where_the_clock_cannot_be_read(replay: ClockHand) -> None:
    lines = io.StringIO()
    replay.clock.file.unlink()
    configure_logs("INFO", lines, replay_now=replay.clock.now)
    LOGGER.info("something")
    line = json.loads(lines.getvalue())
    assert (line["message"], "can't be read" in line["replay_now"]) == ("something", True)


def test_elsewhere_log_lines_have_one_time() -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    LOGGER.info("something")
    assert "replay_now" not in json.loads(lines.getvalue())


def test_the_documentation_says_so_on_top() -> None:
    assert b"plays history" not in page().body
    assert b"plays history (replay; now=2008-09-15T13:05:00Z)" in page(TOLD).body
