"""The emulators of Firestore and Pub/Sub, killed (-9) and started again in the middle of predictions.

Both keep everything in memory alone: started again, they have forgotten all documents, topics and messages,
as the real services never do. So what was durable before can't be looked for after; it is shown where the
service stays and its line is cut instead (test_faults_services), and where the process that was answered is
killed (test_kill_predict). What can be shown here: callers get an answer that says what is wrong, what is
loaded goes on serving, clients find the new process by themselves, nothing that was written by half is
served, and what is set up anew works without a restart of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra.emulators.google import firestore_emulator, pubsub_emulator
from infra.emulators.processes import Emulator, running
from infra.emulators.topology import provision
from shared.errors import PlatformUnavailable
from shared.instance import Instance
from shared.platform.connect import connect
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.topics import TOPICS
from tests.contracts.beds import PubsubBed
from tests.e2e.faults import FAULTS, Deployed, deployed, environment_of, register
from tests.e2e.twin import KEY, MODEL
from tests.e2e.whole import check_one_is_live, check_versions
from tests.emulators import Emulators, need_sdk
from tests.market.made import candles
from tests.market.markets import Market, serving

RESTARTS = max(1, FAULTS // 4)
PREDICTIONS = 20


@dataclass(frozen=True)
class Place:
    """`predict` and `models` as they are deployed, on emulators that only this test uses."""

    firestore: Emulator
    pubsub: Emulator
    project: Project
    instance: Instance
    predicting: Deployed
    models: Deployed

    def predict(self) -> httpx.Response:
        url = f"{self.predicting.url}/predict?symbol=ABC"
        return httpx.get(url, headers=KEY, timeout=60, trust_env=False)

    def predicted(self) -> set[str]:
        """The ids of some predictions, all of which were answered."""
        answers = [self.predict() for _ in range(PREDICTIONS)]
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        return {answer.json()["prediction_id"] for answer in answers}

    def activate(self, version: str) -> httpx.Response:
        url = f"{self.models.url}/models/activate/{version}"
        return httpx.post(url, json={}, headers=KEY, timeout=60, trust_env=False)

    def set_up_topics(self) -> None:
        provision(self.project, TOPICS, None)

    def audited(self) -> list[str]:
        """The predictions that wait for the audit."""
        bed = PubsubBed(self.project, GoogleRest(self.project))
        taken = bed.pull("audit", 1_000)
        bed.ack(taken)
        return [one.event.id for one in taken]


@pytest.fixture
def place(emulators: Emulators, tmp_path: Path) -> Iterator[Place]:
    need_sdk()
    with ExitStack() as stack:
        market = stack.enter_context(serving(Market(candles(200))))
        firestore = stack.enter_context(running(firestore_emulator(tmp_path)))
        pubsub = stack.enter_context(running(pubsub_emulator(tmp_path)))
        chosen = emulators.settings(
            "storage",
            firestore_emulator_host=firestore.host,
            pubsub_emulator_host=pubsub.host,
            market_data_url=market.url,
            market_calendar="24/7",
        )
        provision(Project.of(chosen), TOPICS, None)
        environment = {**environment_of(chosen), "MODEL_CACHE_SECONDS": "0"}
        predicting, models = (
            stack.enter_context(deployed(name, tmp_path / f"{name}.log", environment))
            for name in ("predict", "models")
        )
        instance = Instance(chosen, connect(chosen))
        yield Place(firestore, pubsub, Project.of(chosen), instance, predicting, models)


def check_refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_pubsub_is_killed_and_comes_back_empty(place: Place, tell: Callable[[str], None]) -> None:
    """A prediction that can't be made durable isn't answered."""
    (version,) = register(place.instance, 1)
    assert place.activate(version).status_code == 200
    for _ in range(RESTARTS):
        answered = place.predicted()
        assert answered <= set(place.audited())
        place.pubsub.kill()
        check_refused(place.predict(), 503, "failed")
        place.pubsub.start()
        check_refused(place.predict(), 500, "hasn't been set up there")
        place.set_up_topics()
        answered = place.predicted()
        audited = place.audited()
        assert (len(audited), set(audited)) == (len(answered), answered)
    check_one_is_live(place.instance)
    tell(f"{RESTARTS} kills of Pub/Sub: {2 * RESTARTS * PREDICTIONS} predictions answered, all found")


def test_firestore_is_killed_and_comes_back_empty(place: Place, tell: Callable[[str], None]) -> None:
    """The loaded model serves on while nobody can tell what is live; when nothing is, nothing is served."""
    for _ in range(RESTARTS):
        first, second = register(place.instance, 2)
        assert place.activate(first).status_code == 200
        assert place.predict().json()["model_id"] == first
        place.firestore.kill()
        assert place.predict().json()["model_id"] == first
        check_refused(place.activate(second), 503, "failed")
        with pytest.raises(PlatformUnavailable):
            register(place.instance, 3)
        place.firestore.start()
        check_refused(place.predict(), 409, "No model is active")
        check_refused(place.activate(second), 404, second)
        assert place.instance.registry.list(MODEL).versions == []
        check_one_is_live_after(place, register(place.instance, 3)[2])
    tell(f"{RESTARTS} kills of Firestore: served on by the loaded model, then nothing, then what was new")


def check_one_is_live_after(place: Place, version: str) -> None:
    """Activating `version`, the first since Firestore forgot all, works as on the first day."""
    assert place.activate(version).status_code == 200
    assert place.predict().json()["model_id"] == version
    check_versions(place.instance)
    check_one_is_live(place.instance)
