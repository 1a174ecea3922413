"""Services that go away in the middle of training, registration, activation and prediction, and come back.

On emulators each service is behind a line that is cut and let go again: to its clients that is a service
with durable state that was killed and restarted, which the emulators of Firestore and Pub/Sub aren't. On the
embedded parts another process holds the database's lock. FAULTS=60 takes them away more often.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.e2e.conftest import PASSING
from tests.e2e.faults import FAULTS, LONGEST_SECONDS, SHORTEST_SECONDS, Site, Traffic, lost
from tests.e2e.whole import check_one_is_live, check_versions, promotions_of, versions_of

CALM_SECONDS = 0.5
"""How long all is well between two faults, at most."""

pytestmark = pytest.mark.timeout(180 + 10 * FAULTS)


def test_nothing_is_lost_or_doubled_while_services_go_away(site: Site, tell: Callable[[str], None]) -> None:
    rng = random.Random(FAULTS)
    traffic = Traffic(site, seed=FAULTS)
    away: Counter[str] = Counter()
    began = time.monotonic()
    with traffic.flowing():
        run_id = site.twin.train(**PASSING, random_state=50)
        for name in itertools.islice(itertools.cycle(site.services), FAULTS):
            time.sleep(rng.uniform(0, CALM_SECONDS))
            with site.services[name].away():
                time.sleep(rng.uniform(SHORTEST_SECONDS, LONGEST_SECONDS))
            away[name] += 1
    seconds = time.monotonic() - began
    assert traffic.troubles == []
    run = site.twin.wait_for_run(run_id, timeout_seconds=120)
    assert run["status"] == "succeeded", run
    (version,) = site.state.registry.of_run(run_id)
    assert run["result"]["version_id"] == version.id

    assert lost(site.state, traffic.prediction_ids) == set()
    assert len(set(traffic.prediction_ids)) == len(traffic.prediction_ids) > 0
    check_versions(site.state)
    check_one_is_live(site.state)
    _check_registrations(site, traffic)
    _check_promotions(site, traffic)
    tell(
        f"{dict(away)} away {seconds:.0f} s long, in {run['attempts']} attempts of training: "
        f"{dict(sorted(traffic.statuses.items()))}; "
        f"{len(traffic.prediction_ids)} predictions answered, all found"
    )


def _check_registrations(site: Site, traffic: Traffic) -> None:
    """Every one that was answered is there, and none twice; one that failed may have been carried out."""
    found = {version.id: version.package_hash for version in versions_of(site.state)}
    assert traffic.registered.items() <= found.items()
    times = Counter(found.values())
    assert {times[one] for one in traffic.registered.values()} == {1}
    assert {times[one] for one in traffic.refused} <= {0, 1}


def _check_promotions(site: Site, traffic: Traffic) -> None:
    """Every one that was answered is in the log."""
    log = {(entry.version_id, entry.previous, entry.at) for entry in promotions_of(site.state)}
    answered = {
        (entry["version_id"], entry["previous"], datetime.fromisoformat(entry["at"]))
        for entry in traffic.promotions
    }
    assert answered <= log
