"""kill -9 of the training process, at random moments and in each phase: what is served doesn't change by it,
the platform's next attempt ends the run, and nothing is doubled or half-written. KILLS=20 kills more often.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from shared.instance import Instance
from tests.e2e.conftest import PASSING
from tests.e2e.faults import Site
from tests.e2e.twin import MODEL, Twin, wait_until
from tests.e2e.whole import check_one_is_live, check_versions, versions_of

KILLS = int(os.environ.get("KILLS", "5"))
FEW_KILLS = int(os.environ.get("KILLS", "2"))
"""On emulators, where a run takes longer."""
SLICE_SECONDS = 0.001
"""It runs so long between two looks at it, or as long as a look takes."""
USUAL_SECONDS = 4.0
"""How long a run takes, as long as none has ended."""

pytestmark = pytest.mark.timeout(180 + 40 * KILLS)


@dataclass(frozen=True)
class Victim:
    """A training run in its own process, and the state as it was before it."""

    run_id: str
    process: psutil.Process
    state: Instance
    usual_seconds: float
    packages_before: int

    @property
    def is_stored_in_part(self) -> bool:
        return _packages(self.state) > self.packages_before

    @property
    def version_id(self) -> str | None:
        """The version that this run has registered."""
        newest = self.state.registry.list(MODEL, limit=1).versions[0]
        return newest.id if newest.run_id == self.run_id else None

    @property
    def is_live(self) -> bool:
        active = self.state.registry.active(MODEL)
        return active is not None and active.version_id == self.version_id

    def run_until(self, condition: Callable[[], bool], slices_more: int) -> None:
        """Let it run in slices until the condition holds, and some more; then it stands still.

        So it is caught within a slice of that moment, however busy the machine is.
        """
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            self.process.suspend()
            while self.process.status() != psutil.STATUS_ZOMBIE:
                began = time.monotonic()
                if condition():
                    if slices_more == 0:
                        return
                    slices_more -= 1
                look_seconds = time.monotonic() - began
                self.process.resume()
                time.sleep(max(SLICE_SECONDS, look_seconds))
                self.process.suspend()


Moment = Callable[[Victim, random.Random], None]
"""Returns when it is time to kill."""


def at_its_start(victim: Victim, rng: random.Random) -> None:
    """Before or while the libraries are loaded."""
    time.sleep(rng.uniform(0, 0.3))


def at_any_time(victim: Victim, rng: random.Random) -> None:
    time.sleep(rng.uniform(0, victim.usual_seconds))


def while_the_package_is_kept(victim: Victim, rng: random.Random) -> None:
    victim.run_until(lambda: victim.is_stored_in_part, rng.randint(0, 10))


def once_it_is_registered(victim: Victim, rng: random.Random) -> None:
    victim.run_until(lambda: victim.version_id is not None, rng.randint(0, 5))


def once_it_is_live(victim: Victim, rng: random.Random) -> None:
    victim.run_until(lambda: victim.is_live, rng.randint(0, 2))


MOMENTS: list[Moment] = [
    once_it_is_registered,
    at_any_time,
    while_the_package_is_kept,
    at_its_start,
    once_it_is_live,
]


def _packages(state: Instance) -> int:
    """How many packages have at least one file."""
    return len({blob.name.split("/")[2] for blob in state.platform.blobs.list(f"models/{MODEL}/")})


def _usual_seconds(twin: Twin) -> float:
    runs = twin.get("/admin/train/status", limit=1)["runs"]
    return float(sum(runs[0]["timings"].values())) if runs else USUAL_SECONDS


def _start(site: Site, usual_seconds: float, seed: int) -> Victim:
    packages = _packages(site.state)
    run_id = site.twin.train(**PASSING, random_state=seed)
    [process] = wait_until(
        lambda: site.twin.children(run_id), "the process has started", poll_seconds=SLICE_SECONDS
    )
    return Victim(run_id, process, site.state, usual_seconds, packages)


def _phase(victim: Victim) -> str:
    """How far the run had come when it was killed."""
    if victim.is_live:
        return "live"
    if victim.version_id is not None:
        return "registered"
    return "stored in part" if victim.is_stored_in_part else "training"


def test_killed_training_changes_nothing_that_is_served_and_leaves_nothing_half_written(
    site: Site, tell: Callable[[str], None]
) -> None:
    kills = KILLS if site.through is site.state else FEW_KILLS
    rng = random.Random(kills)
    twin, state, usual_seconds = site.twin, site.state, _usual_seconds(site.twin)
    phases: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(kills):
        before = twin.get(f"/models/{MODEL}")["id"]
        victim = _start(site, usual_seconds, seed=100 + number)
        MOMENTS[number % len(MOMENTS)](victim, rng)
        victim.process.kill()
        phase, live = _phase(victim), victim.version_id if victim.is_live else before
        assert twin.get("/predict", symbol=site.symbols[0])["model_id"] == live
        run = twin.wait_for_run(victim.run_id)
        assert (run["status"], run["result"]["activated"]) == ("succeeded", True), run
        (version,) = state.registry.of_run(victim.run_id)
        assert run["result"]["version_id"] == version.id
        assert twin.get("/predict", symbol=site.symbols[0])["model_id"] == version.id
        phases[f"{phase}, then {run['attempts']} attempts"] += 1
        check_one_is_live(state)
    check_versions(state)
    assert phases.total() == kills
    tell(
        f"{kills} kills of training in {time.monotonic() - began:.0f} s: {dict(phases)}; "
        f"{len(versions_of(state))} versions, all whole"
    )
