"""The replay's player: what is due happens at its time and in order, and the clock waits for it."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.catalogue import ROOT, Catalogue, read_catalogue
from infra.local import replay_player
from infra.local.dispatcher import Dispatcher
from infra.local.replay import ClockHand, Replay
from infra.local.replay_player import Player
from infra.local.replay_tape import Tape
from shared.config import load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from shared.platform.local.jobs import SubprocessJobs
from tests.cli.conftest import serving
from tests.conftest import ADMIN_KEY
from tests.contracts.workers import wait_for
from tests.packages import active

DAYS = [date(2008, 9, 15) + timedelta(days=day) for day in (0, 1, 2, 3, 4, 7, 8, 9)]
TAPE = Tape.of(DAYS)
FAST = 3_000.0
SYMBOLS = ["ABC", "ABD"]


@dataclass
class Setting:
    """A state folder with a clock, an engine that is asked, and functions that take events."""

    home: Path
    is_away: bool = False
    asked: list[tuple[datetime, str, list[str]]] = field(default_factory=list)
    taken: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    """Ids of events, the times that they say, and what the clock said when they were taken."""
    said: io.StringIO = field(default_factory=io.StringIO)
    work_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.hand = ClockHand(self.home)
        self.hand.begin(TAPE.mornings[0])
        settings = load_settings(mlengine_home=self.home, admin_api_key=ADMIN_KEY)
        self.jobs = SubprocessJobs(
            self.home / "jobs",
            root=ROOT,
            package="tests.functions.jobs",
            environment={"MLENGINE_HOME": str(self.home)},
            grace_seconds=1.0,
        )
        self.instance = Instance(settings, replace(connect(settings), jobs=self.jobs))
        whole = read_catalogue()
        chosen = {name: whole.schedules[name] for name in ("ingest", "retrain")}
        self.catalogue = Catalogue(functions=whole.functions, jobs=whole.jobs, schedules=chosen)

    def now(self) -> datetime:
        return self.hand.clock.now()

    async def answer(self, request: Request) -> Response:
        if self.is_away:
            return JSONResponse({"detail": "away"}, 503)
        if request.url.path == "/symbols":
            return JSONResponse({"symbols": SYMBOLS})
        body = await request.json()
        self.asked.append((self.now(), request.headers["x-request-id"], body["symbols"]))
        return JSONResponse({"results": []})

    def push(self, function: str, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        time.sleep(self.work_seconds)
        for event in json.loads(body):
            self.taken.append((event["id"], datetime.fromisoformat(event["time"]), self.now()))
        return 204, b""

    def player(self, url: str) -> Player:
        played = Replay(self.hand, TAPE, FAST)
        console = Console(file=self.said, width=200)
        return Player(self.instance, self.catalogue, played, url=url, api_key=ADMIN_KEY, console=console)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    one = Setting(tmp_path / "home")
    yield one
    one.jobs.close()


@pytest.fixture
def play(setting: Setting) -> Iterator[Callable[[], Player]]:
    """Starts a player, with all that it needs around it."""
    with ExitStack() as stack:
        route = Route("/{path:path}", setting.answer, methods=["GET", "POST"])
        url = stack.enter_context(serving(Starlette(routes=[route])))
        platform = setting.instance.platform
        dispatcher = Dispatcher(platform.events, setting.push, ADMIN_KEY, platform.wall)  # type: ignore[arg-type]  # a local platform's
        dispatcher.start(["fetch", "training", "audit"])
        stack.callback(dispatcher.stop)

        def play() -> Player:
            player = setting.player(url)
            player.start()
            stack.callback(player.stop)
            player.begin()
            return player

        yield play


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def has_ended(setting: Setting) -> bool:
    return "The sample has ended" in setting.said.getvalue()


def test_each_time_fires_once_in_order_while_the_clock_stands_at_it(
    setting: Setting, play: Callable[[], Player]
) -> None:
    setting.work_seconds = 0.02  # more than the clock would wait for
    active(setting.instance.registry)
    play()
    wait_for(lambda: has_ended(setting))
    fired = [one for one in setting.taken if one[0].startswith(("ingest", "retrain"))]
    assert [event_id for event_id, _, _ in fired] == [
        *(f"ingest-200809{day}T003000Z" for day in (16, 17, 18, 19, 20)),
        "retrain-20080921T020000Z",
        *(
            f"ingest-200809{day}T003000Z" for day in (23, 24, 27)
        ),  # of those after the tape's last, the latest
        "retrain-20080928T020000Z",
    ]
    assert all(at == now for _, at, now in fired)


def test_predictions_are_asked_for_each_morning_under_the_replays_name(
    setting: Setting, play: Callable[[], Player]
) -> None:
    active(setting.instance.registry)
    play()
    wait_for(lambda: has_ended(setting))
    mornings = TAPE.mornings[:-1]
    assert setting.asked == [(at, f"replay-{at:%Y%m%d}", SYMBOLS) for at in mornings]
    assert setting.now() == TAPE.end
    assert "for good" in setting.said.getvalue()
    assert "mlengine predictions" in setting.said.getvalue()


def test_the_clock_stands_until_a_model_is_active(setting: Setting, play: Callable[[], Player]) -> None:
    play()
    wait_for(lambda: "until a model is active" in setting.said.getvalue())
    assert setting.now() == TAPE.mornings[0]
    assert setting.asked == []
    active(setting.instance.registry)
    wait_for(lambda: has_ended(setting))


def test_the_next_player_goes_on_and_asks_for_no_morning_twice(
    setting: Setting, play: Callable[[], Player]
) -> None:
    active(setting.instance.registry)
    first = play()
    wait_for(lambda: len(setting.asked) >= 2)
    first.stop()
    stopped_at = setting.now()
    ClockHand(setting.home).begin(TAPE.mornings[0])
    assert setting.now() >= stopped_at
    play()
    wait_for(lambda: has_ended(setting))
    assert [at for at, _, _ in setting.asked] == list(TAPE.mornings[:-1])
    ids = [event_id for event_id, _, _ in setting.taken]
    assert len(ids) == len(set(ids))


def test_where_the_engine_is_away_the_clock_waits(
    setting: Setting, play: Callable[[], Player], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_player, "LEASE", timedelta(seconds=0.05))
    active(setting.instance.registry)
    setting.is_away = True
    play()
    time.sleep(0.3)
    assert setting.now() == TAPE.mornings[0]
    setting.is_away = False
    wait_for(lambda: has_ended(setting))
    assert len(setting.asked) == TAPE.sessions


def test_what_nobody_takes_holds_the_clock_up_once_and_not_for_ever(
    setting: Setting, play: Callable[[], Player], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_player, "PATIENCE_SECONDS", 0.3)
    active(setting.instance.registry)
    platform = setting.instance.platform
    platform.events.publish("scoring.requested", [stuck()])  # nobody delivers these here
    began = time.monotonic()
    play()
    wait_for(lambda: has_ended(setting))
    assert 0.3 < time.monotonic() - began < 18.0


def test_a_training_that_takes_longer_than_a_week_of_the_replay_does_not_pile_up(
    setting: Setting, play: Callable[[], Player]
) -> None:
    active(setting.instance.registry)
    setting.jobs.start("train", ["--run", "slow"], execution_id="slow")
    assert setting.jobs.running() == {"train"}
    play()
    wait_for(lambda: has_ended(setting))
    assert {event_id.partition("-")[0] for event_id, _, _ in setting.taken} == {"ingest"}
    ingest, retrain = setting.instance.platform.schedules.list()
    assert (ingest.last_fired_at is None, retrain.last_fired_at) == (False, None)
    setting.jobs.cancel("slow")
    wait_for(lambda: setting.jobs.running() == frozenset())


def stuck() -> Any:
    from shared.platform.ports import Event

    return Event("stuck", "//test", "scoring.requested", datetime.now(UTC), {"n": 1})
