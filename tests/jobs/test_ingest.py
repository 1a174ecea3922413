from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.config import Settings
from shared.instance import Instance
from shared.jobs.ingest import CHUNK_SYMBOLS, IngestJob, IngestOrder
from shared.jobs.task import Exit, Task
from shared.logs import configure_logs
from shared.market.desk import UPDATED_TOPIC
from shared.platform.connect import connect
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Event
from tests.contracts.workers import wait_for
from tests.jobs.scored import ROOT
from tests.market.made import as_answer, candles, checked
from tests.market.markets import Market, serving
from tests.market.scripted import Reply, ScriptedUpstream, as_json

PLATFORM = Task(is_by_hand=False, retries=3)
LAST = replace(PLATFORM, attempt=3)
NAMES = [f"S{number:02d}" for number in range(CHUNK_SYMBOLS + 6)]


@pytest.fixture(scope="module")
def _served() -> Iterator[Market]:
    with serving(Market()) as market:
        yield market


@pytest.fixture
def market(_served: Market) -> Market:
    _served.series = {name: candles(20, seed=n, symbol=name) for n, name in enumerate(NAMES)}
    _served.fault = _served.garbage = _served.meanwhile = None
    _served.asked = []
    return _served


@pytest.fixture
def instance(market: Market, tmp_path: Path) -> Instance:
    settings = Settings(
        mlengine_home=tmp_path / "home",
        market_data_url=market.url,
        market_calendar="24/7",
        upstream_attempts=1,
        upstream_concurrency=4,
    )
    platform = connect(settings)
    events = SqliteEvents(settings.mlengine_home / "heard.sqlite3", {UPDATED_TOPIC: ("probe",)})
    return Instance(settings, replace(platform, events=events))


def fresh(instance: Instance, **settings: Any) -> Instance:
    """Another process's instance on the same state: its upstream's client belongs to another loop."""
    return Instance(instance.settings.model_copy(update=settings), instance.platform)


def ingest(instance: Instance, order: IngestOrder = IngestOrder(), by: Task = PLATFORM) -> Exit:  # noqa: B008 - frozen
    return IngestJob(fresh(instance), by).work_on(order)


def stored(instance: Instance) -> tuple[str, ...]:
    return instance.candle_store.symbols("1d")


def heard(instance: Instance) -> list[Event]:
    events = instance.platform.events
    assert isinstance(events, SqliteEvents)
    return [delivery.event for delivery in events.claim("probe", 100, 600, instance.platform.now())]


def test_all_that_the_upstream_lists_is_stored_and_announced(instance: Instance) -> None:
    assert ingest(instance) is Exit.DONE
    assert stored(instance) == tuple(NAMES)
    announced = [event.data["added"] for event in heard(instance)]
    assert len(announced) == 2
    assert {name: count for added in announced for name, count in added.items()} == dict.fromkeys(NAMES, 20)


def test_again_nothing_is_added_or_announced(instance: Instance) -> None:
    ingest(instance)
    heard(instance)
    assert ingest(instance) is Exit.DONE
    assert heard(instance) == []


def test_tasks_share_the_symbols(instance: Instance, market: Market) -> None:
    for index in range(3):
        assert ingest(instance, by=replace(PLATFORM, index=index, count=3)) is Exit.DONE
        assert len(stored(instance)) == len([n for n in range(len(NAMES)) if n % 3 <= index])
    assert stored(instance) == tuple(NAMES)
    assert sorted(asked["symbol"] for asked in market.asked) == NAMES


def test_a_task_without_symbols_asks_for_none(instance: Instance, market: Market) -> None:
    order = IngestOrder(symbols=("S00",))
    assert ingest(instance, order, replace(PLATFORM, index=1, count=2)) is Exit.DONE
    assert market.asked == []


def test_only_what_is_stored_already_may_be_asked_for(instance: Instance, market: Market) -> None:
    instance.candle_store.ingest("S03", "1d", checked(candles(10, seed=3, symbol="S03")))
    assert ingest(instance, IngestOrder(stored=True)) is Exit.DONE
    assert {asked["symbol"] for asked in market.asked} == {"S03"}
    assert len(instance.candle_store.read("S03", "1d").candles) == 20


def test_a_symbol_that_fails_for_good_does_so_alone(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("INFO")
    order = IngestOrder(symbols=("S00", "NOPE", "a b", "S01"))
    assert ingest(instance, order) is Exit.DONE
    assert stored(instance) == ("S00", "S01")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["message"], last["succeeded"], last["failed"], last["added"]) == ("ingest ended", 2, 2, 40)
    assert set(last["errors"]) == {"NOPE", "a b"}
    assert ingest(instance, order, Task()) is Exit.BAD_REQUEST


def test_an_upstream_that_is_away_is_tried_again(
    instance: Instance, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))
    market.fault = 503
    order = IngestOrder(symbols=("S00", "S01"))
    assert ingest(instance, order) is Exit.TRY_AGAIN
    assert ingest(instance, order, LAST) is Exit.TRY_AGAIN
    market.fault = None
    assert ingest(instance, order) is Exit.DONE
    away = fresh(instance, market_data_url="http://127.0.0.1:9")
    assert IngestJob(away, PLATFORM).work_on(IngestOrder()) is Exit.TRY_AGAIN


def test_an_upstream_that_refuses_is_not_tried_again(instance: Instance, market: Market) -> None:
    market.fault = 403
    assert ingest(instance, IngestOrder(symbols=("S00",))) is Exit.DONE
    assert ingest(instance, IngestOrder(symbols=("S00",)), Task()) is Exit.OWN_FAULT


def test_what_was_stored_is_announced_though_it_is_stopped(instance: Instance, market: Market) -> None:
    def after_two() -> None:
        market.meanwhile = lambda: setattr(market, "meanwhile", lambda: os.kill(os.getpid(), signal.SIGTERM))

    market.meanwhile = after_two
    one_by_one = fresh(instance, upstream_concurrency=1)
    assert IngestJob(one_by_one, PLATFORM).work_on(IngestOrder()) is Exit.TRY_AGAIN
    (event,) = heard(instance)
    assert {"S00", "S01"} <= set(event.data["added"]) <= set(stored(instance)) < set(NAMES)


def test_a_window_is_asked_for(instance: Instance, market: Market) -> None:
    series = market.series["S00"]
    first, last = int(series.timestamp[5]), int(series.timestamp[9])
    assert ingest(instance, IngestOrder(symbols=("S00",), start=first, end=last)) is Exit.DONE
    assert instance.candle_store.read("S00", "1d").candles.timestamp.tolist() == list(series.timestamp[5:10])


class TestProcess:
    """The job as it is really started."""

    @pytest.fixture
    def start(self, instance: Instance) -> Iterator[Any]:
        running: list[subprocess.Popen[bytes]] = []

        def start(*arguments: str, upstream: str = "") -> subprocess.Popen[bytes]:
            environment = {
                "MLENGINE_HOME": str(instance.settings.mlengine_home),
                "MARKET_DATA_URL": upstream or instance.settings.market_data_url,
                "MARKET_CALENDAR": "24/7",
                "UPSTREAM_CONCURRENCY": "1",
                "UPSTREAM_TIMEOUT_SECONDS": "60",
                "CLOUD_RUN_JOB": "ingest",
            }
            command = [sys.executable, "-m", "shared.jobs.ingest", *arguments]
            running.append(
                subprocess.Popen(
                    command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
                )
            )
            return running[-1]

        yield start
        for process in running:
            process.kill()
            process.wait()

    def test_it_takes_names_and_times(self, start: Any, instance: Instance, market: Market) -> None:
        day = "2020-01-10"
        assert start("--symbols", "S00, S01", "--start", day, "--end", f"{day}T00:00:00Z").wait(60) == 0
        assert stored(instance) == ("S00", "S01")
        assert len(instance.candle_store.read("S00", "1d").candles) == 1

    def test_wrong_arguments_are_refused(self, start: Any) -> None:
        assert start("--symbols", "S00", "--stored").wait(60) == 2
        assert start("--start", "yesterday").wait(60) == 2

    def test_killed_it_goes_on_where_it_was(self, start: Any, instance: Instance) -> None:
        process = start()
        wait_for(lambda: len(stored(instance)) >= 3)
        process.kill()
        process.wait()
        assert start().wait(60) == 0
        assert stored(instance) == tuple(NAMES)
        counts = [len(instance.candle_store.read(name, "1d").candles) for name in NAMES]
        assert counts == [20] * len(NAMES)

    def test_sigterm_hands_back_within_seconds_though_the_upstream_hangs(
        self, start: Any, instance: Instance
    ) -> None:
        upstream = ScriptedUpstream()
        answer = as_json(as_answer(candles(20, symbol="S00")))
        upstream.script("/candles", [answer, Reply(hangs=True)])
        process = start("--symbols", "S00,S01", upstream=upstream.url)
        wait_for(lambda: stored(instance) == ("S00",) and upstream.attempts("/candles") == 2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(55) == 75
        assert time.monotonic() - began < 45
        upstream.close()
