"""Many activations at once over HTTP: each succeeds once, one version is live, and the log has them all."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from tests.contracts.racing import race
from tests.e2e.faults import Site, register
from tests.e2e.twin import KEY
from tests.e2e.whole import check_one_is_live, promotions_of

ACTIVATIONS = 50


def test_50_activations_at_once_all_succeed_one_after_the_other(
    site: Site, tell: Callable[[str], None]
) -> None:
    ids = register(site.state, ACTIVATIONS)
    before = len(promotions_of(site.state))

    def activate(index: int) -> httpx.Response:
        url = f"{site.twin.url}/models/activate/{ids[index]}"
        return httpx.post(url, json={}, headers=KEY, timeout=60, trust_env=False)

    began = time.monotonic()
    answers = race(ACTIVATIONS, activate)
    seconds = time.monotonic() - began
    assert [answer.status_code for answer in answers if isinstance(answer, httpx.Response)] == (
        [200] * ACTIVATIONS
    ), answers
    entries = promotions_of(site.state)[before:]
    assert sorted(entry.version_id for entry in entries) == sorted(ids)
    check_one_is_live(site.state)
    tell(
        f"{ACTIVATIONS} activations at once: {len(answers)} successes, one live, {len(entries)} log entries, "
        f"{seconds:.1f} s"
    )
