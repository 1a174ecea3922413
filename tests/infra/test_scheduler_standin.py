"""The stand-in for Cloud Scheduler, and the adapter where it is in trouble."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.emulators.processes import Emulator, free_port, running
from infra.emulators.scheduler import scheduler_standin, set_up
from infra.emulators.topology import provision
from shared.config import PlatformName, load_settings
from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.gcp.schedules import CloudSchedules, parent
from tests.contracts.workers import wait_for
from tests.emulators import Emulators, fresh_project
from tests.infra.firing import START, Plan

TOPICS = {"ticks": ("counter",)}
MINUTE = timedelta(minutes=1)


class Setting:
    """A stand-in of its own on a folder, beside the session's Pub/Sub."""

    def __init__(self, stack: ExitStack, folder: Path, pubsub: str) -> None:
        self._stack = stack
        self._folder = folder
        self._port = free_port()
        self._pubsub = pubsub
        self.emulator = self.start()
        settings = load_settings(
            platform=PlatformName.EMULATORS,
            google_cloud_project=fresh_project(),
            pubsub_emulator_host=pubsub,
            scheduler_emulator_host=self.emulator.host,
            platform_timeout_seconds=5.0,
        )
        self.project = Project.of(settings)
        self.schedules = CloudSchedules(self.project)

    def start(self) -> Emulator:
        made = scheduler_standin(
            self._folder, self._port, folder=self._folder / "jobs", pubsub_host=self._pubsub
        )
        return self._stack.enter_context(running(made))

    def turn(self, now: datetime) -> None:
        answer = self.call("POST", "/clock", {"now": now.isoformat()})
        assert answer.status_code == 200, answer.text

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        url = f"http://{self.emulator.host}{path}"
        return httpx.request(method, url, json=body, timeout=20, trust_env=False)

    def jobs(self, path: str = "") -> str:
        return f"/v1/{parent(self.project)}/jobs{path}"

    def pulled(self) -> list[dict[str, Any]]:
        """The messages that are there now, as they are."""
        root = f"{self.project.pubsub_url}/v1/projects/{self.project.id}/subscriptions/counter"
        body = {"maxMessages": 100, "returnImmediately": True}
        answer = httpx.post(f"{root}:pull", json=body, timeout=20, trust_env=False).json()
        found = answer.get("receivedMessages", [])
        if found:
            acks = {"ackIds": [one["ackId"] for one in found]}
            httpx.post(f"{root}:acknowledge", json=acks, timeout=20, trust_env=False)
        return [one["message"] for one in found]


@pytest.fixture
def setting(emulators: Emulators, tmp_path: Path) -> Iterator[Setting]:
    with ExitStack() as stack:
        made = Setting(stack, tmp_path, emulators.pubsub)
        provision(made.project, TOPICS, None)
        yield made


def test_a_message_is_the_data_alone(setting: Setting) -> None:
    set_up(setting.project, {"tick": Plan(data={"é": 1})})
    setting.schedules.fire("tick")
    (message,) = setting.pulled()
    assert message.keys() & {"attributes", "orderingKey"} == set()
    assert message["data"] == "eyJcdTAwZTkiOiAxfQ=="


def test_it_fires_by_itself_as_time_goes_by(setting: Setting) -> None:
    setting.turn(START - timedelta(seconds=50))
    set_up(setting.project, {"tick": Plan()})
    setting.turn(START - timedelta(seconds=0.3))
    found: list[Any] = []

    def heard() -> bool:
        found.extend(setting.pulled())
        return bool(found)

    wait_for(heard)
    last = setting.schedules.list()[0].last_fired_at
    assert last is not None
    assert timedelta() <= last - START < timedelta(seconds=50)


def test_jobs_outlive_a_kill_and_a_time_that_passed_meanwhile_is_made_up_for(setting: Setting) -> None:
    set_up(setting.project, {"tick": Plan(cron="0 12 * * *"), "quiet": Plan()})
    setting.turn(START - MINUTE)
    set_up(setting.project, {"tick": Plan(cron="5 12 * * *"), "quiet": Plan()})
    setting.schedules.pause("quiet")
    setting.pulled()
    before = setting.call("GET", setting.jobs()).json()
    setting.emulator.kill()
    setting.emulator = setting.start()
    setting.turn(START - MINUTE)
    assert setting.call("GET", setting.jobs()).json() == before
    setting.turn(START + 6 * MINUTE)
    assert len(setting.pulled()) == 1


def test_a_fire_that_cant_be_published_fails_and_a_time_that_cant_is_tried_again(setting: Setting) -> None:
    set_up(setting.project, {"tick": Plan(topic="missing")})
    setting.turn(START)
    set_up(setting.project, {"tick": Plan(cron="5 12 * * *", topic="missing")})
    with pytest.raises(PlatformUnavailable, match="fire the schedule tick"):
        setting.schedules.fire("tick")
    setting.turn(START + 5 * MINUTE)
    assert setting.schedules.list()[0].last_fired_at is None
    provision(setting.project, {"missing": ("counter-2",)}, None)
    setting.turn(START + 6 * MINUTE)
    assert setting.schedules.list()[0].last_fired_at is not None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"schedule": "0 2 * *"}, 400),
        ({"schedule": None}, 400),
        ({"timeZone": "Mars/Olympus"}, 400),
        ({"pubsubTarget": None}, 400),
        ({"pubsubTarget": {"topicName": "ticks", "data": ""}}, 400),
        ({"pubsubTarget": {"topicName": "projects/p/topics/ticks", "data": "%"}}, 400),
        ({"name": "projects/other/locations/europe-west1/jobs/a"}, 400),
        ({"name": None}, 400),
        ({}, 200),
    ],
)
def test_a_wrong_job_is_refused(setting: Setting, change: dict[str, Any], status: int) -> None:
    job = {
        "name": setting.jobs("/a").removeprefix("/v1/"),
        "schedule": "* * * * *",
        "pubsubTarget": {"topicName": "projects/p/topics/ticks", "data": "e30="},
        **change,
    }
    answer = setting.call("POST", setting.jobs(), job)
    assert answer.status_code == status, answer.text
    assert len(setting.call("GET", setting.jobs()).json()["jobs"]) == (status == 200)
    assert setting.call("POST", setting.jobs(), job).status_code == {200: 409}.get(status, status)


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("GET /v1/projects/p/locations/l/jobs/nope", 404),
        ("DELETE /v1/projects/p/locations/l/jobs/nope", 404),
        ("POST /v1/projects/p/locations/l/jobs/nope:run", 404),
        ("POST /v1/projects/p/locations/l/jobs/nope:stop", 404),
        ("PUT /v1/projects/p/locations/l/jobs/nope", 405),
        ("POST /clock", 400),
        ("GET /v1/projects/p/locations/l/jobs?pageToken=x", 400),
        ("GET /v1/projects/p/locations/l/jobs?pageSize=x", 400),
    ],
)
def test_what_isnt_there_cant_be_asked(setting: Setting, call: str, status: int) -> None:
    assert setting.call(*call.split()).status_code == status


def test_the_jobs_of_others_are_left_alone(setting: Setting) -> None:
    other = setting.jobs("/theirs").removeprefix("/v1/")
    target = {"topicName": f"projects/{setting.project.id}/topics/ticks", "data": "eA=="}
    job = {"name": other, "schedule": "* * * * *", "pubsubTarget": target}
    assert setting.call("POST", setting.jobs(), job).status_code == 200
    set_up(setting.project, {"tick": Plan()})
    set_up(setting.project, {})
    assert setting.schedules.list() == []
    assert setting.call("GET", f"/v1/{other}").status_code == 200


def test_data_that_isnt_ours_is_named(setting: Setting) -> None:
    target = {"topicName": f"projects/{setting.project.id}/topics/ticks", "data": "eA=="}
    name = setting.jobs("/mlengine-odd").removeprefix("/v1/")
    setting.call("POST", setting.jobs(), {"name": name, "schedule": "* * * * *", "pubsubTarget": target})
    with pytest.raises(ConfigurationError, match="mlengine-odd isn't JSON"):
        setting.schedules.list()


def test_where_nobody_answers_it_says_so_in_time(setting: Setting) -> None:
    set_up(setting.project, {"tick": Plan()})
    setting.schedules.list()
    setting.emulator.kill()
    for act in (
        setting.schedules.list,
        lambda: setting.schedules.pause("tick"),
        lambda: setting.schedules.fire("tick"),
        lambda: set_up(setting.project, {}),
    ):
        begun = time.monotonic()
        with pytest.raises(PlatformUnavailable):
            act()
        assert time.monotonic() - begun < 3 * setting.project.timeout_seconds


def test_an_answer_that_is_lost_for_a_moment_is_waited_for(setting: Setting) -> None:
    set_up(setting.project, {"tick": Plan()})
    setting.emulator.kill()
    schedules = CloudSchedules(setting.project)
    setting.emulator = setting.start()
    assert [state.name for state in schedules.list()] == ["tick"]


def test_the_schedules_of_the_real_cloud_are_not_set_up_from_here() -> None:
    project = Project.of(load_settings(platform=PlatformName.GCP, google_cloud_project=fresh_project()))
    with pytest.raises(ConfigurationError, match="Terraform"):
        set_up(project, {"tick": Plan()})
