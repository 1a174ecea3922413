from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.instance import Instance
from shared.platform.ports import Event, JobState
from shared.platform.topics import DEAD_LETTER_REASON
from shared.training.run_records import RunStatus
from shared.training.runs import Runs
from tests.functions.engine import KEY, Engine, ok, pointers, problem

REQUEST = {"problem": "market_signal", "symbols": ["ABC"], "cv_folds": 3}


def post(engine: Engine, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["training"].post(path, json=body, headers=KEY), status)
    return answer


def get(engine: Engine, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["training"].get(path, headers=KEY))
    return answer


def asked_for(engine: Engine) -> str:
    """The id of a run that was asked for."""
    run_id: str = post(engine, "/admin/train", REQUEST, 202)["run_id"]
    return run_id


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited 20 s in vain"
        time.sleep(0.01)


def started(engine: Engine) -> list[str]:
    """What each job process has noted: its process id and its arguments."""
    file = engine.home / "started"
    return file.read_text().splitlines() if file.exists() else []


def kill_attempt(engine: Engine, attempt: int) -> None:
    wait_until(lambda: len(started(engine)) > attempt)
    os.kill(int(started(engine)[attempt].split()[0]), signal.SIGKILL)


def runs(engine: Engine) -> Runs:
    return Runs(engine.instance.platform.documents, engine.instance.platform.now)


def test_a_request_is_queued_and_answered_at_once(engine: Engine) -> None:
    answer = post(engine, "/admin/train", REQUEST, 202)
    assert answer["status"] == "queued"
    assert answer["request"] == {**REQUEST, "activate": False}
    assert (answer["started_at"], answer["finished_at"], answer["error"]) == (None, None, None)
    assert get(engine, f"/admin/train/status/{answer['run_id']}") == answer
    assert started(engine) == []
    assert engine.events.depths()["training"].pending == 1


def test_the_job_starts_once_however_often_the_event_comes(engine: Engine) -> None:
    run_id = asked_for(engine)
    (delivery,) = engine.events.claim("training", 1, 0, engine.instance.platform.now())
    engine.events.publish("training.requested", [delivery.event, delivery.event])
    wait_until(lambda: engine.deliver("training") == 0)
    wait_until(lambda: started(engine))
    assert engine.jobs.status(run_id).state is JobState.RUNNING
    engine.jobs.close()
    assert [line.split()[1:] for line in started(engine)] == [["--run", run_id]]
    assert engine.dead_letters("training") == []


def test_a_run_whose_process_vanished_has_failed(engine: Engine) -> None:
    run_id = asked_for(engine)
    engine.deliver("training")
    wait_until(lambda: started(engine))
    runs(engine).start(run_id, "worker")
    assert get(engine, f"/admin/train/status/{run_id}")["status"] == "running"
    for attempt in range(4):
        kill_attempt(engine, attempt)
    wait_until(lambda: get(engine, f"/admin/train/status/{run_id}")["status"] != "running")
    ended = get(engine, f"/admin/train/status/{run_id}")
    assert ended["status"] == "failed"
    assert "signal 9" in ended["error"]
    assert get(engine, "/admin/train/status")["runs"] == [ended]


def test_a_running_run_is_stopped_on_request(engine: Engine) -> None:
    run_id = asked_for(engine)
    engine.deliver("training")
    wait_until(lambda: started(engine))
    runs(engine).start(run_id, "worker")
    assert post(engine, f"/admin/train/{run_id}/cancel")["cancel_requested"] is True
    wait_until(lambda: get(engine, f"/admin/train/status/{run_id}")["status"] == "cancelled")
    assert engine.jobs.status(run_id).state is JobState.CANCELLED


def test_a_cancelled_run_never_starts(engine: Engine) -> None:
    run_id = asked_for(engine)
    assert post(engine, f"/admin/train/{run_id}/cancel")["status"] == "cancelled"
    assert engine.deliver("training") == 1
    assert engine.events.depths()["training"].pending == 0
    assert engine.jobs.status(run_id).state is JobState.UNKNOWN
    assert post(engine, f"/admin/train/{run_id}/cancel")["status"] == "cancelled"


def test_a_queued_run_waits_for_its_event_however_long_that_takes(engine: Engine) -> None:
    run_id = asked_for(engine)
    platform = engine.instance.platform
    later = replace(platform, now=lambda: datetime.now(UTC) + timedelta(hours=1))
    desk = Instance(engine.settings, later).training_desk
    assert desk.status(run_id).status is RunStatus.QUEUED
    engine.deliver("training")
    assert engine.jobs.status(run_id).state is JobState.RUNNING


def test_runs_are_listed_newest_first_page_by_page(engine: Engine) -> None:
    ids = [asked_for(engine) for _ in range(3)]
    first = get(engine, "/admin/train/status?limit=2")
    rest = engine["training"].get(
        "/admin/train/status", params={"limit": 2, "cursor": first["cursor"]}, headers=KEY
    )
    assert [run["run_id"] for run in (*first["runs"], *ok(rest)["runs"])] == ids[::-1]


def test_unknown_runs_are_not_found(engine: Engine) -> None:
    problem(engine["training"].get("/admin/train/status/nope", headers=KEY), 404, "not-found")
    problem(engine["training"].post("/admin/train/nope/cancel", headers=KEY), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"problem": "market_signals"}, "/problem"),
        ({"cv_folds": 1}, "/cv_folds"),
        ({"test_size": 0.9}, "/test_size"),
        ({"lookback": "all"}, "/lookback"),
        ({"lookback": -1}, "/lookback"),
        ({"candidates": ["catboost"]}, "/candidates/0"),
        ({"symbols": ["A", "A"]}, "/symbols/1"),
        ({"problem": "heart_disease", "symbols": ["A"]}, "/symbols"),
        ({"problem": "heart_disease", "candidates": ["hist_gradient_boosting"]}, "/candidates/0"),
        ({"cv_repeats": 2}, "/cv_repeats"),
        ({"symbols": []}, "/symbols"),
        ({"horizon": 0}, "/horizon"),
        ({"gpu": True}, "/gpu"),
    ],
)
def test_a_wrong_request_is_pointed_at_and_starts_nothing(
    engine: Engine, body: dict[str, Any], pointer: str
) -> None:
    response = engine["training"].post("/admin/train", json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == [pointer]
    assert get(engine, "/admin/train/status")["runs"] == []
    assert engine.events.depths()["training"].pending == 0


@pytest.mark.parametrize("data", [{}, {"run_id": "r1"}, {"run_id": "a/b", "request": {}}, {"run_id": 1}])
def test_an_event_that_is_no_request_is_refused_with_the_reason(engine: Engine, data: Any) -> None:
    event = Event("e1", "//test", "training.requested", datetime.now(UTC), data)
    engine.events.publish("training.requested", [event])
    for _ in range(2):
        engine.deliver("training")
    (dead,) = engine.dead_letters("training")
    assert dead.attributes[DEAD_LETTER_REASON].startswith("422: ")
    assert started(engine) == []


def test_only_an_administrator_trains(engine: Engine) -> None:
    for method, path in (
        ("POST", "/admin/train"),
        ("GET", "/admin/train/status"),
        ("GET", "/admin/train/status/x"),
        ("POST", "/admin/train/x/cancel"),
    ):
        problem(engine["training"].request(method, path), 401, "unauthenticated")
    assert engine.events.depths()["training"].pending == 0
