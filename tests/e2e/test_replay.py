"""A real twin that plays history: predictions come, then outcomes; all is marked; a kill stops nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.catalogue import read_catalogue
from infra.local.replay import open_replay
from infra.local.replay_tape import FIRST_SESSION
from shared.config import load_settings
from shared.instance import Instance
from shared.platform.clock import CLOCK_HEADER, replay_time
from shared.platform.connect import connect
from shared.platform.local.schedules import DocumentSchedules
from tests.conftest import ADMIN_KEY
from tests.e2e.twin import ROOT, Twin, running_twin, wait_until
from tests.packages import active

FAST = "600"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The state of a replay that stands at its first session, with a live model and no training to come."""
    home = tmp_path / "home"
    home.mkdir()
    settings = load_settings(mlengine_home=home, replay=60, admin_api_key=ADMIN_KEY)
    open_replay(settings, home)
    instance = Instance(settings, connect(settings))
    active(instance.registry)
    assert isinstance(instance.platform.schedules, DocumentSchedules)
    instance.platform.schedules.set_up(read_catalogue().schedules)
    instance.platform.schedules.pause("retrain")
    return home


def clock(twin: Twin) -> datetime:
    """What the twin says of its time, where it says that it replays."""
    now = replay_time(twin.client.get("/health").headers.get(CLOCK_HEADER))
    assert now is not None
    return now


def predicted(twin: Twin) -> list[dict[str, Any]]:
    """The newest predictions of the replay, of its latest sessions first."""
    page = twin.get("/predictions/recent", limit=200)
    return [one for one in page["predictions"] if one["request_id"].startswith("replay-")]


def as_of(one: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(one["as_of"])


def test_predictions_come_of_the_latest_session_each_and_the_clock_survives_a_kill(home: Path) -> None:
    # Days pass in fractions of a second: by their usual retention predictions would expire within two.
    with running_twin(home, REPLAY=FAST, PREDICTION_RETENTION_DAYS="3650") as twin:
        twin.wait_for("/ready")
        twin.post("/fetch", {})
        fetched = stored_until(twin)
        wait_until(lambda: len(predicted(twin)) >= 12, "three sessions of four symbols are predicted")
        found = predicted(twin)
        made = [datetime.fromisoformat(one["made_at"]) for one in found]
        assert made == sorted(made, reverse=True)
        assert made[-1].date() >= FIRST_SESSION
        for one, at in zip(found, made, strict=True):  # nothing is seen before it has closed, and soon after
            assert timedelta(days=1) <= at - as_of(one) < timedelta(days=5)
            assert one["stale"] is False
        check_marks(twin)
        check_command_line(twin)
        path = f"/predictions/{found[-1]['prediction_id']}"
        settled = wait_until(lambda: twin.get(path)["outcome"], "the outcome of the first one is known")
        assert settled["label"] in ("up", "down")
        assert datetime.fromisoformat(settled["settled_at"]) > datetime.fromisoformat(settled["made_at"])
        wait_until(lambda: stored_until(twin) > fetched, "the schedule has ingested")
        assert datetime.fromisoformat(stored_until(twin)) < clock(twin)
        before = clock(twin)
        twin.kill()
        twin.start()
        twin.wait_for("/health")
        assert clock(twin) >= before
        wait_until(lambda: clock(twin) > before + timedelta(days=10), "the clock goes on")
        seen = [(one["request_id"], one["symbol"]) for one in predicted(twin)]
        assert len(seen) - len(set(seen)) <= 4  # of the one session that it was killed at
        assert twin.interrupt() == 0
        lines = (home / "logs" / "twin.jsonl").read_text().splitlines()
        assert all("replay_now" in json.loads(line) for line in lines)
    refused = Twin(home)
    refused.start()
    assert refused.wait_until_ended() == 1
    assert "holds the state of a replay" in refused.output


def stored_until(twin: Twin) -> str:
    """The stamp of the last candle stored of IBM."""
    return str(twin.get("/candles", symbol="IBM", start="2007-12-01")["candles"][-1]["timestamp"])


def check_marks(twin: Twin) -> None:
    """Every answer says that it is of a replay: good ones, refusals, pages."""
    for path in ("/health", "/predict?symbol=IBM", "/predict?symbol=NOPE", "/nowhere", "/docs", "/ready"):
        told = twin.client.get(path).headers.get(CLOCK_HEADER, "")
        assert told.startswith("replay; now=20"), path
    assert replay_time(twin.get("/health")["clock"]) is not None
    ready = twin.get("/ready")
    assert all(replay_time(one["clock"]) for one in (ready, *ready["functions"].values()))
    assert "plays history" in twin.client.get("/docs").text


def check_command_line(twin: Twin) -> None:
    """People read it on every command; what programs read is the answer alone."""
    environment = {"MLENGINE_HOME": str(twin.home), "MLENGINE_URL": twin.url, "ADMIN_API_KEY": ADMIN_KEY}
    command = [sys.executable, "-m", "shared.cli"]
    shown, as_json = (
        subprocess.run(
            [*command, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        for words in (["schedules"], ["predict", "IBM", "--json"])
    )
    assert "Replay: the engine plays history, and is at 20" in shown.stderr
    assert "ingest" in shown.stdout
    assert f"{datetime.now(UTC):%Y}-" not in shown.stdout
    assert (json.loads(as_json.stdout)["symbol"], as_json.stderr) == ("IBM", "")
