"""kill -9 of the serving process between request and answer: what was answered is in the audit, and one
version is live. KILLS=200 kills more often.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import SYMBOLS, Prepared
from tests.e2e.twin import KEY, MODEL, Twin, wait_until
from tests.e2e.whole import check_one_is_live, check_versions, open_state, promotions_of

KILLS = int(os.environ.get("KILLS", "10"))
PREDICTING_CLIENTS = 4
LONGEST_LIFE_SECONDS = 0.3
"""How long a twin serves before it is killed, at most."""

pytestmark = pytest.mark.timeout(120 + 20 * KILLS)


class Clients:
    """Fire requests until they are stopped, and keep what was answered with 200."""

    def __init__(self, url: str, versions: Sequence[str], rng: random.Random) -> None:
        self.prediction_ids: list[str] = []
        self.promotions: list[dict[str, Any]] = []
        self.cut_off = 0
        self._url = url
        self._versions = versions
        self._stopping = threading.Event()
        asks = [self._predict] * PREDICTING_CLIENTS + [self._predict_batch, self._promote]
        self._threads = [
            threading.Thread(target=self._serve, args=(ask, random.Random(rng.random())), daemon=True)
            for ask in asks
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _serve(self, ask: Callable[[httpx.Client, random.Random], None], rng: random.Random) -> None:
        with httpx.Client(base_url=self._url, headers=KEY, timeout=30) as client:
            while not self._stopping.is_set():
                try:
                    ask(client, rng)
                except httpx.ConnectError:  # between two requests
                    return
                except httpx.TransportError:
                    self.cut_off += 1
                    return

    def _predict(self, client: httpx.Client, rng: random.Random) -> None:
        answer = client.get("/predict", params={"symbol": rng.choice(SYMBOLS[:5])})
        if answer.status_code == 200:
            self.prediction_ids.append(answer.json()["prediction_id"])

    def _predict_batch(self, client: httpx.Client, rng: random.Random) -> None:
        answer = client.post("/predict/batch", json={"symbols": rng.sample(SYMBOLS[:5], 3)})
        if answer.status_code == 200:
            made = [entry["prediction"] for entry in answer.json()["results"]]
            self.prediction_ids += [prediction["prediction_id"] for prediction in made if prediction]

    def _promote(self, client: httpx.Client, rng: random.Random) -> None:
        path = rng.choice([f"{MODEL}/rollback", *(f"activate/{version}" for version in self._versions)])
        answer = client.post(f"/models/{path}", json={})
        if answer.status_code == 200:
            self.promotions.append(answer.json())


def _not_found(twin: Twin, prediction_ids: Iterable[str]) -> list[str]:
    """Those that GET /predictions/{id} doesn't know within a minute: their events may be under way."""

    def ask(prediction_id: str) -> int:
        return twin.client.get(f"/predictions/{prediction_id}").status_code

    missing, end = list(prediction_ids), time.monotonic() + 60
    with ThreadPoolExecutor(8) as threads:
        while missing:
            found = zip(missing, threads.map(ask, missing), strict=True)
            missing = [asked for asked, status in found if status != 200]
            if time.monotonic() > end:
                break
    return missing


def _key(version_id: str, previous: str | None, at: datetime) -> tuple[str, str | None, float]:
    return version_id, previous, at.timestamp()


def test_every_answered_prediction_is_in_the_audit_after_a_kill_and_one_version_is_live(
    prepared: Prepared, start_prepared: Callable[..., Twin], tell: Callable[[str], None]
) -> None:
    rng = random.Random(KILLS)
    twin = start_prepared(MODEL_CACHE_SECONDS="0")
    twin.wait_for("/health")
    state = open_state(twin.home)
    answered: list[str] = []
    promoted: list[dict[str, Any]] = []
    cut_off = 0
    began = time.monotonic()
    for _ in range(KILLS):
        clients = Clients(twin.url, prepared.passed, rng)
        clients.start()
        wait_until(lambda: clients.prediction_ids, "the first prediction is answered")  # noqa: B023 - asked at once
        time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
        twin.kill()
        clients.stop()
        twin.start()
        twin.wait_for("/health")
        check_one_is_live(state)
        assert _not_found(twin, clients.prediction_ids) == []
        answered += clients.prediction_ids
        promoted += clients.promotions
        cut_off += clients.cut_off
    seconds = time.monotonic() - began
    assert _not_found(twin, answered) == []
    check_versions(state)
    log = promotions_of(state)
    assert {_key(e["version_id"], e["previous"], datetime.fromisoformat(e["at"])) for e in promoted} <= {
        _key(entry.version_id, entry.previous, entry.at) for entry in log
    }
    assert twin.exit_code is None
    tell(
        f"{KILLS} kills of the twin in {seconds:.0f} s: {len(answered)} predictions answered, all found; "
        f"{cut_off} requests cut off; {len(log)} changes of the live version, never two at once"
    )
