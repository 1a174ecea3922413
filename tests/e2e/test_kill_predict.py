"""kill -9 of `predict`, deployed in a process of its own, between request and answer: whatever it answered is
durable. On emulators that is a message which the audit can pull, on the embedded parts an event in its file.

PREDICTIONS=10000 asks for more, and kills more often.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

from shared.config import Settings, load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Event
from tests.contracts.beds import PubsubBed
from tests.e2e.faults import Deployed, deployed, environment_of
from tests.e2e.twin import KEY
from tests.emulators import Emulators
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.packages import active

PREDICTIONS = int(os.environ.get("PREDICTIONS", "500"))
KILLS = max(5, PREDICTIONS // 100)
CLIENTS = 8
PUBLICATIONS = 200
SYMBOL = "ABC"

pytestmark = pytest.mark.timeout(120 + 5 * KILLS)


@dataclass(frozen=True)
class Place:
    """Where `predict` works: a state folder, or a project on emulators that outlive it."""

    settings: Settings
    instance: Instance

    def audited(self, at_least: int) -> Sequence[Event]:
        """All that waits for the audit."""
        events = self.instance.platform.events
        if isinstance(events, SqliteEvents):
            claimed = events.claim("audit", 1_000_000, 60.0, datetime.now(UTC))
            return [delivery.event for delivery in claimed]
        return self._pulled(at_least)

    def _pulled(self, at_least: int) -> Sequence[Event]:
        """Until two looks in a row, once there are as many as there should be, find nothing."""
        project = Project.of(self.settings)
        bed = PubsubBed(project, GoogleRest(project))
        found: list[Event] = []
        empty, end = 0, time.monotonic() + 60
        while time.monotonic() < end and not (len(found) >= at_least and empty >= 2):
            taken = bed.pull("audit", 1_000)
            bed.ack(taken)
            found += [one.event for one in taken]
            empty = 0 if taken else empty + 1
        return found


@pytest.fixture(params=["local", "emulators"])
def place(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[Place]:
    with serving(Market(candles(200))) as market:
        given = {"market_data_url": market.url, "market_calendar": "24/7"}
        if request.param == "local":
            chosen = load_settings(mlengine_home=tmp_path / "home", **given)
        else:
            chosen = emulators.ready(**given)
        instance = Instance(chosen, connect(chosen))
        active(instance.registry)
        yield Place(chosen, instance)


class Clients:
    """Ask until they have been answered so often, whoever is killed meanwhile."""

    def __init__(self, url: str, wanted: int) -> None:
        self.answered: list[str] = []
        self.seconds: list[float] = []
        self.cut_off = 0
        self._url = url
        self._wanted = wanted
        self._unexpected: list[str] = []

    @property
    def are_done(self) -> bool:
        assert self._unexpected == []
        return len(self.answered) >= self._wanted

    @contextmanager
    def asking(self) -> Iterator[None]:
        ended = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(ended,), daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _ask(self, ended: threading.Event) -> None:
        with httpx.Client(base_url=self._url, headers=KEY, timeout=30, trust_env=False) as client:
            while not ended.is_set():
                began = time.perf_counter()
                try:
                    answer = client.get("/predict", params={"symbol": SYMBOL})
                except httpx.ConnectError:  # it is about to start again
                    ended.wait(0.01)
                except httpx.TransportError:
                    self.cut_off += 1
                else:
                    self._note(answer, time.perf_counter() - began)

    def _note(self, answer: httpx.Response, seconds: float) -> None:
        if answer.status_code == 200:
            self.answered.append(answer.json()["prediction_id"])
            self.seconds.append(seconds)
        else:
            self._unexpected.append(f"{answer.status_code} {answer.text}")


def hammered(process: Deployed, rng: random.Random) -> Clients:
    """Killed and started again while clients ask; the kills are spread over their answers."""
    clients = Clients(process.url, PREDICTIONS)
    with clients.asking():
        for kill in range(KILLS):
            due = PREDICTIONS * (kill + rng.random()) / (KILLS + 1)
            while len(clients.answered) < due:
                assert not clients.are_done
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.01))  # any moment between a request and its answer
            process.kill()
            process.start()
        while not clients.are_done:
            time.sleep(0.001)
    return clients


def publish_seconds(place: Place, event: Event) -> list[float]:
    """What it takes to make one prediction durable, while nobody else does."""
    found = []
    for _ in range(PUBLICATIONS):
        began = time.perf_counter()
        place.instance.platform.events.publish("predictions.made", [event])
        found.append(time.perf_counter() - began)
    return found


def test_every_answered_prediction_is_durable_though_predict_is_killed(
    place: Place, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    rng = random.Random(PREDICTIONS)
    with deployed("predict", tmp_path / "predict.log", environment_of(place.settings)) as process:
        began = time.monotonic()
        clients = hammered(process, rng)
        seconds = time.monotonic() - began
    events = place.audited(len(set(clients.answered)))
    found = {event.data["prediction_id"] for event in events}
    assert len(set(clients.answered)) == len(clients.answered)
    assert set(clients.answered) - found == set()
    answer, publish = (
        "p50 {:.1f} ms, p99 {:.1f} ms".format(*np.percentile(np.array(each) * 1_000, [50, 99]))
        for each in (clients.seconds, publish_seconds(place, events[0]))
    )
    unanswered = len(found) - len(clients.answered)
    tell(
        f"{KILLS} kills of predict in {seconds:.0f} s: {len(clients.answered)} predictions answered, all "
        f"found; {clients.cut_off} requests cut off, {unanswered} durable but never answered; answers to "
        f"{CLIENTS} clients {answer}; one durable publish {publish}"
    )
