from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.catalogue import read_catalogue
from infra.local.scheduler import Scheduler
from shared.platform.local.schedules import DocumentSchedules
from shared.platform.ports import Event, JobState
from shared.training.desk import scheduled_run_id
from shared.training.options import TrainingRequest
from tests.functions.engine import KEY, Engine, ok, problem
from tests.market.made import candles
from tests.market.markets import Market

CATALOGUE = read_catalogue().schedules


def schedules_of(engine: Engine) -> DocumentSchedules:
    found = engine.instance.platform.schedules
    assert isinstance(found, DocumentSchedules)
    return found


@pytest.fixture
def scheduled(engine: Engine) -> Engine:
    """An engine with the catalogue's schedules."""
    schedules_of(engine).set_up(CATALOGUE)
    return engine


def post(engine: Engine, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["schedules"].post(f"/admin/schedules/{path}", headers=KEY))
    return answer


def listed(engine: Engine) -> dict[str, dict[str, Any]]:
    answer = ok(engine["schedules"].get("/admin/schedules", headers=KEY))
    return {schedule["name"]: schedule for schedule in answer["schedules"]}


def runs(engine: Engine) -> list[str]:
    page = engine.instance.training_desk.list(limit=100, cursor=None)
    return [run.run_id for run in page.runs]


def test_the_catalogues_schedules_are_listed(scheduled: Engine) -> None:
    found = listed(scheduled)
    assert list(found) == sorted(CATALOGUE)
    for name, schedule in CATALOGUE.items():
        told = found[name]
        next_at = datetime.fromisoformat(told.pop("next_fire_at"))
        assert next_at > datetime.now(UTC)
        assert told == {"name": name, **schedule.model_dump(), "paused": False, "last_fired_at": None}


def test_what_the_retraining_asks_for_is_a_training_request(engine: Engine) -> None:
    request = TrainingRequest.from_data(CATALOGUE["retrain"].data["request"], engine.instance.problems)
    assert (request.problem, request.activate) == ("market_signal", False)


def test_where_nothing_is_set_up_nothing_is_listed(engine: Engine) -> None:
    assert listed(engine) == {}


def test_one_is_paused_and_resumed(scheduled: Engine) -> None:
    paused = post(scheduled, "retrain/pause")
    assert (paused["paused"], paused["next_fire_at"]) == (True, None)
    assert listed(scheduled)["retrain"] == paused
    assert listed(scheduled)["ingest"]["paused"] is False
    resumed = post(scheduled, "retrain/resume")
    assert resumed["paused"] is False
    assert resumed["next_fire_at"] is not None


def test_a_retraining_by_hand_starts_a_run_of_its_own_each_time(scheduled: Engine) -> None:
    post(scheduled, "retrain/pause")
    assert post(scheduled, "retrain/run")["last_fired_at"] is not None
    post(scheduled, "retrain/run")
    scheduled.deliver("training")
    found = runs(scheduled)
    assert len(found) == 2
    assert all(run_id.startswith("scheduled-retrain-") for run_id in found)
    run = ok(scheduled["training"].get(f"/admin/train/status/{found[0]}", headers=KEY))
    assert run["request"] == {"problem": "market_signal"}


def test_the_weekly_retraining_is_one_run_however_often_its_event_comes(scheduled: Engine) -> None:
    now = datetime(2100, 1, 3, 2, 0, 5, tzinfo=UTC)
    platform = scheduled.instance.platform
    later = DocumentSchedules(platform.documents, scheduled.events, lambda: now, platform.new_id)
    Scheduler(later, lambda: now).turn()
    (delivery,) = scheduled.events.claim("training", 10, 0, platform.now())
    scheduled.events.publish("training.requested", [delivery.event] * 2)
    while scheduled.deliver("training"):
        pass
    assert runs(scheduled) == ["scheduled-retrain-21000103T020000Z"]
    assert scheduled.jobs.status(runs(scheduled)[0]).state is not JobState.UNKNOWN
    assert scheduled.events.depths()["training"].pending == 0
    assert scheduled.dead_letters("training") == []


def test_a_message_of_cloud_scheduler_names_its_run_by_its_own_id(engine: Engine) -> None:
    event = Event("8731402935", "//pubsub", "training.requested", datetime.now(UTC), {"request": {}})
    engine.events.publish("training.requested", [event])
    engine.deliver("training")
    assert runs(engine) == ["scheduled-8731402935"]


def test_any_event_id_becomes_a_run_id_and_no_two_the_same() -> None:
    ids = ["a", "A", "-", ".", "a/b", "a%2Fb", "é", "", "x" * 118, "x" * 119, "x" * 120, "a\n", "\0"]
    made = [scheduled_run_id(id_) for id_ in ids]
    assert len(set(made)) == len(ids)
    assert all(len(run_id) <= 128 and run_id.isascii() and run_id.isprintable() for run_id in made)
    assert not any("/" in run_id or "%" in run_id for run_id in made)


def test_the_scheduled_ingest_takes_what_is_stored_and_nothing_else(
    scheduled: Engine, market: Market
) -> None:
    ok(scheduled["fetch"].post("/fetch", json={"symbols": ["ABC"]}, headers=KEY))
    market.series["ABC"] = candles(230)
    market.asked = []
    post(scheduled, "ingest/run")
    scheduled.deliver("fetch")
    assert scheduled.events.depths()["fetch"].pending == 0
    assert scheduled.instance.market_desk.stored_symbols() == ("ABC",)
    entry = scheduled.instance.candle_store.entry("ABC", "1d")
    assert entry is not None
    assert entry.rows == 230


def test_a_scheduled_ingest_before_anything_is_stored_asks_for_nothing(
    scheduled: Engine, market: Market
) -> None:
    post(scheduled, "ingest/run")
    scheduled.deliver("fetch")
    assert scheduled.events.depths()["fetch"].pending == 0
    assert scheduled.dead_letters("fetch") == []
    assert scheduled.instance.market_desk.stored_symbols() == ()
    assert market.asked == []


@pytest.mark.parametrize("act", ["pause", "resume", "run"])
def test_an_unknown_schedule_isnt_found(scheduled: Engine, act: str) -> None:
    for name in ("nope", "Retrain", "%2e%2e", "a%20b"):
        response = scheduled["schedules"].post(f"/admin/schedules/{name}/{act}", headers=KEY)
        found = problem(response, 404, "not-found")
        assert "there are: drift, ingest" in found["detail"]


def test_only_an_administrator_changes_them(start: Callable[..., Engine]) -> None:
    engine = start(env="production")
    schedules_of(engine).set_up(CATALOGUE)
    for method, path in (
        ("GET", ""),
        ("POST", "/retrain/pause"),
        ("POST", "/retrain/resume"),
        ("POST", "/retrain/run"),
    ):
        problem(engine["schedules"].request(method, f"/admin/schedules{path}"), 401, "unauthenticated")
    assert engine.events.depths()["training"].pending == 0
    assert listed(engine)["retrain"]["paused"] is False
