"""Dead letters as Pub/Sub makes them: pushed, given up and brought back on the emulators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest

from infra.catalogue import read_catalogue
from infra.emulators.topology import provision
from infra.local.gateway import Gateway
from infra.local.push_door import PushDoor, push_path
from shared.instance import Instance, use_instance
from shared.monitoring.deadletters import ALERTS, DeadLetter, State
from shared.platform.connect import connect
from shared.platform.gcp.project import Project
from shared.platform.ports import Event
from shared.platform.topics import TOPICS
from tests.cli.conftest import serving
from tests.conftest import ADMIN_KEY
from tests.contracts.workers import wait_for
from tests.emulators import Emulators
from tests.market.markets import Market

HEARD = "heard"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Cloud:
    """An engine on the emulators, to which Pub/Sub pushes."""

    instance: Instance
    project: Project

    def letters(self, state: State) -> list[DeadLetter]:
        page = self.instance.dead_letters.list(state=state, function=None, limit=10, cursor=None)
        return list(page.letters)

    def alerts(self) -> list[str]:
        """The ids of the alerts that were raised since this was asked last."""
        url = f"{self.project.pubsub_url}/v1/projects/{self.project.id}/subscriptions/{HEARD}:pull"
        answer = httpx.post(url, json={"maxMessages": 10}, trust_env=False, timeout=30).json()
        return [found["message"]["attributes"]["ce-id"] for found in answer.get("receivedMessages", ())]


@pytest.fixture
def cloud(emulators: Emulators, market: Market) -> Iterator[Cloud]:
    chosen = emulators.settings(
        "firestore", "pubsub", "storage", market_data_url=market.url, admin_api_key=ADMIN_KEY
    ).model_copy(update={"upstream_attempts": 1, "market_calendar": "24/7"})
    instance = Instance(chosen, connect(chosen))
    use_instance(instance)
    project = Project.of(chosen)
    door = PushDoor(Gateway(read_catalogue()).functions, ADMIN_KEY)
    with serving(door) as url:
        topics = {**TOPICS, ALERTS: (*TOPICS[ALERTS], HEARD)}
        provision(project, topics, lambda name: f"{url}{push_path(name)}")
        subscription = f"{project.pubsub_url}/v1/projects/{project.id}/subscriptions/{HEARD}"
        httpx.post(f"{subscription}:modifyPushConfig", json={"pushConfig": {}}, trust_env=False)
        yield Cloud(instance, project)


def test_what_pubsub_gives_up_is_kept_with_the_functions_reason_and_comes_back(
    cloud: Cloud, market: Market
) -> None:
    market.fault = 503
    events, store = cloud.instance.platform.events, cloud.instance.candle_store
    event = Event("e1", "//test", "candles.requested", datetime.now(UTC), {"symbols": ["ABC"]})
    events.publish("candles.requested", [event])
    wait_for(lambda: bool(cloud.letters(State.DEAD)), timeout_seconds=PATIENCE_SECONDS)
    (letter,) = cloud.letters(State.DEAD)
    assert (letter.function, letter.topic, letter.event_id) == ("fetch", "candles.requested", "e1")
    assert letter.attempts >= 5
    assert letter.reason.startswith("503: ")
    assert len(set(cloud.alerts())) == 1
    market.fault = None
    use_instance(Instance(cloud.instance.settings, cloud.instance.platform))  # its breaker is closed
    (done,) = cloud.instance.dead_letters.replay([letter.id])
    assert done.error is None
    wait_for(lambda: store.symbols("1d") == ("ABC",), timeout_seconds=PATIENCE_SECONDS)
    assert [after.id for after in cloud.letters(State.REPLAYED)] == [letter.id]
    assert cloud.letters(State.DEAD) == []
