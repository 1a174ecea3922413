"""`predict` on the managed services' emulators against `predict` on the twin's own parts, in turns.

    python -m tests.benchmarks.bench_platforms [--json] [--rounds 5] [--cache DIR]

The emulators run on this machine, so a call to them is quicker than to the real services, and slower where
the emulator is: what is comparable is the function's own part, its imports and its clients. A third
contestant sends the same calls through Google's official clients instead of REST.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from infra.emulators.google import firestore_emulator, pubsub_emulator
from infra.emulators.processes import Emulator, running
from infra.emulators.storage import create_bucket, storage_emulator
from infra.emulators.topology import provision
from infra.local.sample import sample_upstream
from shared.config import load_settings
from shared.platform.connect import connect
from shared.platform.gcp.project import Project
from shared.platform.ports import Event, Platform
from shared.platform.topics import TOPICS
from tests.benchmarks.comparing import Comparison, OnStep, main, work_folder
from tests.benchmarks.contestants import OFFICIAL, official_clients, ours
from tests.benchmarks.goals import Goal
from tests.benchmarks.measuring import Plan, measure
from tests.benchmarks.state import prepare

SAMPLE_PORT = 18_082
LOCAL = "predict, local"
EMULATED = "predict, emulators over REST"
PUBLICATIONS = 2_000


@dataclass(frozen=True, slots=True)
class Figures(Comparison):
    publish_us: dict[str, tuple[float, float]]
    """p50 and p99 of one durable publication, in microseconds."""

    def goals(self) -> list[Goal]:
        cold, local = self.median(EMULATED, "cold_seconds"), self.median(LOCAL, "cold_seconds")
        return [
            Goal("cold start of predict on emulators, seconds", cold, at_most=0.7),
            Goal("cold start: times that of local", cold / local, at_most=1.5),
        ]

    def notes(self) -> Sequence[str]:
        published = (
            f"one durable publication, {name:<30} p50 {p50:>8,.0f} us   p99 {p99:>8,.0f} us"
            for name, (p50, p99) in self.publish_us.items()
        )
        times = self.median(OFFICIAL, "cold_seconds") / self.median(EMULATED, "cold_seconds")
        return (*published, "", f"With Google's clients the cold start takes {times:.1f} times as long.")


def run(plan: Plan, cache: Path, on_step: OnStep) -> Figures:
    """Prepare both states, measure the contestants in turns, then single publications."""
    with ExitStack() as stack:
        work = stack.enter_context(work_folder(cache))
        upstream = stack.enter_context(sample_upstream("127.0.0.1", SAMPLE_PORT))
        on_step("preparing: the emulators")
        emulated = emulators(stack, work)
        on_step("preparing: candles and a model, twice")
        (work / "local").mkdir()
        state = prepare(work / "local", upstream)
        (work / "emulated").mkdir()
        prepare(work / "emulated", upstream, **emulated)
        settings = {name.upper(): value for name, value in emulated.items()}
        on_step("preparing: the environments")
        launches = [
            ours(cache, work, state.home, upstream, name=LOCAL),
            ours(cache, work, work, upstream, name=EMULATED, settings=settings),
            official_clients(cache, work, upstream, settings),
        ]
        samples = measure(launches, plan, work, on_step)
        on_step("publishing, one event at a time")
        places = {LOCAL: connect(load_settings(mlengine_home=state.home))}
        places[EMULATED] = connect(load_settings(**emulated))
        return Figures(samples, {name: _publish_us(platform) for name, platform in places.items()})


def emulators(stack: ExitStack, work: Path) -> dict[str, str]:
    """The settings of a project on running emulators."""

    def host(emulator: Emulator) -> str:
        return stack.enter_context(running(emulator)).host

    settings = {
        "platform": "emulators",
        "google_cloud_project": "bench-platforms",
        "firestore_emulator_host": host(firestore_emulator(work)),
        "pubsub_emulator_host": host(pubsub_emulator(work)),
        "storage_emulator_host": f"http://{host(storage_emulator(work))}",
    }
    project = Project.of(load_settings(**settings))
    create_bucket(project.storage_url, project.bucket)
    provision(project, TOPICS, None)
    return settings


def _publish_us(platform: Platform) -> tuple[float, float]:
    """Events of a prediction's size."""
    data = {"features": [0.123456789] * 38, "symbol": "AAPL", "model_id": "market-signal-v1"}
    times = []
    for _ in range(PUBLICATIONS):
        event = Event(platform.new_id(), "//bench", "predictions.made", platform.now(), data)
        started = time.perf_counter()
        platform.events.publish("predictions.made", [event])
        times.append((time.perf_counter() - started) * 1e6)
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    sys.exit(main(__doc__, run, requests=500, parallel=2))
