"""Every event twice, in any order: what it changes is changed once.

On emulators Pub/Sub pushes the events to the functions by HTTP, and the Run stand-in starts their jobs; on
the embedded parts it is the twin's bus. Both deliver again what isn't acknowledged. Jobs only note that they
were started.
"""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.catalogue import read_catalogue
from infra.emulators.processes import running
from infra.emulators.run import run_standin
from infra.emulators.topology import provision
from infra.local.gateway import Gateway
from infra.local.push_door import PushDoor, push_path
from infra.local.scheduler import Scheduler
from shared.instance import Instance, use_instance
from shared.logs import configure_logs
from shared.monitoring.audit import COLLECTION as PREDICTIONS
from shared.monitoring.deadletters import COLLECTION as DEAD
from shared.platform.connect import connect
from shared.platform.gcp.project import Project
from shared.platform.local.schedules import DocumentSchedules
from shared.platform.ports import Event
from shared.platform.topics import TOPICS
from shared.training.runs import COLLECTION as RUNS
from tests.cli.conftest import serving as serving_app
from tests.conftest import ADMIN_KEY
from tests.contracts.racing import race
from tests.contracts.workers import wait_for
from tests.e2e.faults import environment_of
from tests.emulators import Emulators
from tests.functions.engine import Engine
from tests.infra.firing import MINUTE, Clock, Plan
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.packages import active

JOBS = "tests.functions.jobs"
NOW = datetime(2024, 1, 1, tzinfo=UTC)
TRAINING: dict[str, Any] = {"problem": "market_signal"}
SYMBOLS = ["ABC", "ABD"]
PATIENCE_SECONDS = 60.0

SENT: list[tuple[str, str, dict[str, Any]]] = [
    *(("predictions.made", f"p{n}", {"prediction_id": f"p{n}"}) for n in range(40)),
    *(("candles.requested", f"c{n}", {"symbols": SYMBOLS}) for n in range(4)),
    *(("training.requested", f"r{n}", {"run_id": f"r{n}", "request": TRAINING}) for n in range(4)),
    *(("training.requested", f"s{n}", {"request": TRAINING}) for n in range(2)),  # as schedules ask
    *(("training.requested", f"bad{n}", {"run_id": "a/b", "request": TRAINING}) for n in range(3)),
    *(("scoring.requested", f"x{n}", {"scoring_id": f"x{n}"}) for n in range(3)),
]
"""Topic, id and data of events that are handled, and of three that never will be."""


@dataclass
class Bed:
    """An engine whose functions are delivered to. `settle` returns when nothing waits any more."""

    instance: Instance
    home: Path
    log: io.StringIO
    settle: Callable[[Callable[[], bool]], None]

    @property
    def deliveries(self) -> Counter[tuple[str, int]]:
        """Events by function and answered status; one that was delivered again counts again."""
        found: Counter[tuple[str, int]] = Counter()
        for line in map(json.loads, self.log.getvalue().splitlines()):
            if line["message"] == "request" and "events" in line:
                found[line["function"], line["status"]] += line["events"]
        return found

    def handled(self, function: str) -> int:
        return self.deliveries[function, 204]

    @property
    def executions(self) -> int:
        """How many were started, of all jobs."""
        return len(list(self.home.rglob("execution.json")))

    def started(self) -> Counter[str]:
        """How often each job has begun, by its arguments."""
        file = self.home / "started"
        lines = file.read_text().splitlines() if file.exists() else []
        return Counter(line.partition(" ")[2] for line in lines)

    def ids(self, collection: str) -> set[str]:
        page = self.instance.platform.documents.query(collection, limit=500)
        assert page.cursor is None
        return {document.id for document in page.documents}


@contextmanager
def embedded_bed(home: Path, market: Market) -> Iterator[Bed]:
    with Engine(home, market_data_url=market.url) as engine:
        active(engine.instance.registry)

        def settle(done: Callable[[], bool]) -> None:
            while sum(engine.deliver(name) for names in TOPICS.values() for name in names):
                pass
            wait_for(done, timeout_seconds=PATIENCE_SECONDS)

        yield Bed(engine.instance, home, logged(), settle)


@contextmanager
def emulated_bed(home: Path, market: Market, emulators: Emulators) -> Iterator[Bed]:
    with ExitStack() as stack:
        given = {"market_data_url": market.url, "market_calendar": "24/7", "admin_api_key": ADMIN_KEY}
        chosen = emulators.settings("firestore", "pubsub", "storage", **given)
        home.mkdir()
        standin = run_standin(
            home,
            folder=home / "executions",
            environment={**environment_of(chosen), "MLENGINE_HOME": str(home)},
            package=JOBS,
            grace_seconds=0.1,
        )
        host = stack.enter_context(running(standin)).host
        chosen = chosen.model_copy(update={"run_emulator_host": host})
        instance = Instance(chosen, connect(chosen))
        use_instance(instance)
        door = PushDoor(Gateway(read_catalogue()).functions, ADMIN_KEY)
        url = stack.enter_context(serving_app(door))
        provision(
            Project.of(chosen),
            TOPICS,
            lambda name: f"{url}{push_path(name)}",
        )
        active(instance.registry)
        yield Bed(instance, home, logged(), lambda done: wait_for(done, timeout_seconds=PATIENCE_SECONDS))


def logged() -> io.StringIO:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    return lines


@pytest.fixture(params=["local", "emulators"])
def bed(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[Bed]:
    series = candles(200), candles(200, seed=1, symbol="ABD")
    with serving(Market(*series)) as market:
        home = tmp_path / "home"
        made = (
            embedded_bed(home, market) if request.param == "local" else emulated_bed(home, market, emulators)
        )
        with made as bed:
            yield bed


def taker(topic: str) -> str:
    (name,) = TOPICS[topic]
    return name


def test_every_event_twice_and_shuffled_is_applied_once(bed: Bed, tell: Callable[[str], None]) -> None:
    events = [Event(key, "//test", topic, NOW, data) for topic, key, data in SENT]
    bad = {event.id for event in events if event.id.startswith("bad")}
    twice = [*events, *events]
    random.Random(7).shuffle(twice)
    for event in twice:
        bed.instance.platform.events.publish(event.type, [event])
    good = Counter(taker(event.type) for event in twice if event.id not in bad)

    def is_done() -> bool:
        are_handled = all(bed.handled(name) >= count for name, count in good.items())
        return are_handled and bed.handled("deadletters") >= 2 * len(bad)

    bed.settle(is_done)
    runs = {"r0", "r1", "r2", "r3", "scheduled-s0", "scheduled-s1"}
    scorings = {"x0", "x1", "x2"}
    jobs = [*(f"--run {run}" for run in runs), *(f"--scoring {one}" for one in scorings)]
    wait_for(lambda: len(bed.started()) == len(jobs), timeout_seconds=PATIENCE_SECONDS)
    assert bed.ids(PREDICTIONS) == {event.id for event in events if event.type == "predictions.made"}
    assert bed.instance.candle_store.symbols("1d") == tuple(SYMBOLS)
    assert len(bed.instance.candle_store.read("ABC", "1d").candles) == 200
    assert bed.ids(RUNS) == runs
    assert bed.started() == Counter(jobs)
    assert bed.executions == len(jobs)
    letters = bed.instance.dead_letters.list(state=None, function=None, limit=100, cursor=None).letters
    assert {letter.event_id for letter in letters} == bad
    assert len(bed.ids(DEAD)) == len(bad)
    delivered = sum(bed.deliveries.values())
    assert delivered >= len(twice)
    tell(
        f"events sent {len(twice)} ({len(events)} different, each twice, shuffled), delivered {delivered}, "
        f"applied {len(events)}, of these {len(bad)} as dead letters"
    )


def test_two_schedulers_at_once_start_each_scheduled_run_once(bed: Bed, tell: Callable[[str], None]) -> None:
    """Both work on the same documents, with a clock that is turned a minute at a time."""
    minutes, clock, platform = 10, Clock(), bed.instance.platform
    pair = [
        DocumentSchedules(platform.documents, platform.events, clock.now, platform.new_id) for _ in range(2)
    ]
    pair[0].set_up({"retrain": Plan(topic="training.requested", data={"request": TRAINING})})
    schedulers = [Scheduler(schedules, clock.now) for schedules in pair]
    for _ in range(minutes):
        clock.time += MINUTE
        race(2, lambda i: schedulers[i].turn())
    bed.settle(lambda: bed.handled("training") >= minutes)
    wait_for(lambda: len(bed.started()) >= minutes, timeout_seconds=PATIENCE_SECONDS)
    assert len(bed.ids(RUNS)) == minutes
    assert set(bed.started().values()) == {1}
    assert bed.executions == minutes
    tell(f"{minutes} times of a schedule by 2 schedulers: {len(bed.ids(RUNS))} runs, each started once")
