from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.emulators.processes import free_port
from shared.access.identity import Identity
from shared.access.limits import FACTORS, SHARES, Kind, Limits, kind_of, subject_of
from shared.access.roles import ROLES, Role
from shared.errors import TooManyRequests
from tests.contracts.workers import wait_for
from tests.redis_server import redis_server


def limits(requests: int = 100, seconds: int = 60, redis_url: str | None = None) -> Limits:
    return Limits(requests=requests, window_seconds=seconds, redis_url=redis_url)


@pytest.fixture(autouse=True)
def early_in_a_window() -> None:
    """Windows begin at whole minutes: one that begins in the middle of a test lets a few more calls in."""
    left = 60 - time.time() % 60
    if left < 8:
        time.sleep(left + 0.01)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("role", Role)
def test_as_many_as_the_policy_says_are_let_through(kind: Kind, role: Role) -> None:
    counted = limits(requests=60)
    [window, *_] = counted.windows(kind, role)
    assert window.requests == max(1, round(60 * SHARES[kind] * FACTORS[role]))
    allowed = sum(counted.count(kind, role, "ada").allowed for _ in range(window.requests + 20))
    assert allowed == window.requests


def test_the_hour_has_a_window_of_its_own() -> None:
    short, hour = limits().windows(Kind.PREDICT, Role.PREDICTOR)
    assert (short.requests, short.seconds, hour.requests, hour.seconds) == (100, 60, 3_000, 3_600)
    counted = limits(requests=3_000, seconds=1)
    assert sum(counted.count(Kind.PREDICT, Role.PREDICTOR, "a", cost=1_000).allowed for _ in range(5)) == 3


def test_callers_and_kinds_are_counted_apart() -> None:
    counted = limits(requests=1)
    for kind, subject in ((Kind.PREDICT, "ada"), (Kind.PREDICT, "eve"), (Kind.READ, "ada")):
        assert counted.count(kind, Role.PREDICTOR, subject).allowed
        assert not counted.count(kind, Role.PREDICTOR, subject).allowed


def test_a_batch_counts_its_rows() -> None:
    counted = limits(requests=100)
    assert counted.count(Kind.PREDICT, Role.PREDICTOR, "ada", cost=60).remaining == 40
    assert not counted.count(Kind.PREDICT, Role.PREDICTOR, "ada", cost=60).allowed
    assert counted.count(Kind.PREDICT, Role.PREDICTOR, "ada", cost=40).allowed


def test_a_standing_says_what_is_left_and_when_there_is_more() -> None:
    standing = limits(requests=10).count(Kind.PREDICT, Role.PREDICTOR, "ada")
    headers = dict(standing.headers())
    assert headers[b"ratelimit-policy"] == b'"predict";q=10;w=60, "predict-hour";q=300;w=3600'
    name, remaining, reset = headers[b"ratelimit"].decode().split(";")
    assert (name, remaining) == ('"predict"', "r=9")
    assert 1 <= int(reset.removeprefix("t=")) <= 60


def test_a_refusal_says_how_long_to_wait() -> None:
    counted = limits(requests=1)
    counted.count(Kind.PREDICT, Role.PREDICTOR, "ada").require()
    with pytest.raises(TooManyRequests, match="At most 1 requests in 60 seconds") as caught:
        counted.count(Kind.PREDICT, Role.PREDICTOR, "ada").require()
    assert caught.value.retry_after_seconds is not None
    assert 1 <= caught.value.retry_after_seconds <= 60


def test_a_window_ends() -> None:
    counted = limits(requests=2, seconds=4)
    counted.load()
    time.sleep(4 - time.time() % 4 + 0.01)
    for _ in range(2):
        assert counted.count(Kind.PREDICT, Role.PREDICTOR, "ada").allowed
    assert not counted.count(Kind.PREDICT, Role.PREDICTOR, "ada").allowed
    wait_for(lambda: counted.look(Kind.PREDICT, Role.PREDICTOR, "ada").allowed)


def test_looking_counts_nothing() -> None:
    counted = limits(requests=1)
    for _ in range(3):
        assert counted.look(Kind.PREDICT, Role.PREDICTOR, "ada").allowed


def test_what_came_before_the_library_is_counted_when_it_is_there() -> None:
    counted = limits(requests=10)
    for _ in range(7):
        counted.postpone(Kind.PREDICT, Role.PREDICTOR, "ada")
    assert not counted.is_loaded
    counted.load()
    assert counted.count(Kind.PREDICT, Role.PREDICTOR, "ada").remaining == 2


def _by_many(counters: list[Limits], calls: int) -> int:
    together = threading.Barrier(16)

    def client(number: int) -> int:
        together.wait()
        counter = counters[number % len(counters)]
        return sum(counter.count(Kind.PREDICT, Role.PREDICTOR, "ada").allowed for _ in range(calls))

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(client, range(16)))


def test_sixteen_clients_at_once_get_what_the_policy_says_within_two_per_cent() -> None:
    counted = limits(requests=500)
    counted.load()
    assert abs(_by_many([counted], 60) - 500) <= 10


def test_in_redis_the_limit_holds_for_all_instances_together(redis_url: str) -> None:
    instances = [limits(requests=200, redis_url=redis_url) for _ in range(4)]
    for one in instances:
        assert one.blocks
        one.load()
    assert _by_many(instances, 25) == 200


def test_without_redis_limits_go_on_in_memory_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    counted = limits(requests=2, redis_url=f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    started = time.monotonic()
    assert [counted.count(Kind.READ, Role.ADMIN, "ada").allowed for _ in range(12)] == [True] * 10 + [
        False
    ] * 2
    assert time.monotonic() - started < 30
    assert "Redis doesn't count" in caplog.text
    assert "hunter2" not in caplog.text


def test_every_route_has_its_kind() -> None:
    kinds = {route: kind_of(route, changes=not route.startswith("GET")) for route in ROLES}
    assert {route for route, kind in kinds.items() if kind is None} == {*PROBES, "POST /"}
    assert kinds["GET /predict"] is Kind.PREDICT
    assert kinds["POST /predict/batch"] is Kind.PREDICT
    assert kinds["GET /predictions/recent"] is Kind.READ
    assert kinds["POST /predict/jobs"] is Kind.CHANGE
    assert kinds["POST /auth/login"] is Kind.LOGIN
    for route in PROTOCOLS:
        assert kinds[route] is Kind.PREDICT


PROBES = {
    "GET /health",
    "GET /ready",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /ping",
    "POST /ping",
}
PROTOCOLS = {
    "POST /predict",
    "POST /models/{id}/predict",
    "POST /v2/models/{model}/infer",
    "POST /v2/models/{model}/versions/{version}/infer",
    "POST /v1/models/{model}:predict",
    "POST /invocations",
}


def test_whose_calls_are_counted_together() -> None:
    ip = "192.0.2.1"
    assert subject_of(Identity("a", Role.VIEWER, user_id="u", key_id="k"), ip) == "k"
    assert subject_of(Identity("a", Role.VIEWER, user_id="u"), ip) == "u"
    assert subject_of(Identity("anonymous", Role.PREDICTOR), ip) == ip
    assert subject_of(Identity("admin", Role.ADMIN), ip) == "admin"


def test_a_call_starts_no_thread() -> None:
    """The library starts one for a call that comes after a pause, and lets the call wait for it."""
    counted = limits(requests=1_000)
    counted.load()
    started: list[str] = []
    threading.setprofile(lambda *_: started.append(threading.current_thread().name))
    try:
        for _ in range(3):
            time.sleep(0.02)
            assert counted.count(Kind.PREDICT, Role.PREDICTOR, "ada").allowed
    finally:
        threading.setprofile(None)
    assert started == []


def test_memory_forgets_who_calls_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.access import limits_memory

    monkeypatch.setattr(limits_memory, "SWEEP_EVERY_SECONDS", 0.0)
    storage = limits_memory.memory_storage()
    for number in range(100):
        storage.incr(f"caller-{number}", 0.01)
    time.sleep(0.02)
    storage.incr("the last one", 60)
    assert list(storage.expirations) == ["the last one"]
    assert list(storage.storage) == ["the last one"]
