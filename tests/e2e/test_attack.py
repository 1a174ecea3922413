"""Attacks on a running twin over HTTP: with all that its description allows, and with what it doesn't."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Prepared
from tests.e2e.fuzzing import Fuzz, answered
from tests.e2e.twin import ADMIN_KEY, KEY, Twin
from tests.redis_server import redis_server

SECONDS = int(os.environ.get("ATTACK_SECONDS", "40"))
"""How long the schema is tried; more finds more."""
SEED = int(os.environ.get("ATTACK_SEED", "1"))
FUZZED = int(os.environ.get("ATTACK_REQUESTS", "1500"))
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
STARTING_JOBS = [
    "POST /admin/train", "POST /admin/reports", "POST /predict/jobs", "POST /admin/schedules/{name}/run",
    "POST /admin/schedules/{name}/resume", "POST /admin/watch", "POST /admin/drift", "POST /fetch",
    "POST /outcomes",
]  # fmt: skip
"""Each good call starts minutes of work: of these only the wrong ones are tried by the hundred."""

CONFIGURATION = f"""
[[operations]]
include-name = {json.dumps(STARTING_JOBS)}
generation.mode = "negative"
"""

Tell = Callable[[str], None]


@pytest.fixture(scope="module")
def twin(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    home = tmp_path_factory.mktemp("attacked") / "home"
    twin = prepared.twin(home, RATE_LIMIT_REQUESTS="0", REGISTRATION="open", ENV="production")
    twin.start()
    try:
        twin.wait_for("/ready")
        yield twin
    finally:
        twin.kill()
        twin.client.close()


def test_the_description_holds_whatever_is_sent(twin: Twin, tmp_path: Path, tell: Tell) -> None:
    """One check is left out: what fits its schema may be refused all the same, like an unknown symbol."""
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    words = f"run {twin.url}/openapi.json --phases coverage,fuzzing,stateful --max-examples 20"
    words += " --checks all --exclude-checks positive_data_acceptance"
    words += f" --max-time {SECONDS} --no-shrink --continue-on-failure --seed {SEED} --no-color"
    words += " --generation-database none --request-timeout 30"
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), *words.split(), "-H", f"X-API-Key: {ADMIN_KEY}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None, done.stdout + done.stderr
    tell(f"schemathesis: {generated[1]} cases in {SECONDS} s, all checks, stateful")
    assert done.returncode == 0, done.stdout
    assert int(generated[1]) > 100


def logged_in(client: httpx.Client, email: str) -> dict[str, Any]:
    answer = client.post("/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def registered(client: httpx.Client, email: str) -> dict[str, Any]:
    made = client.post("/auth/register", json={"email": email, "password": PASSWORD})
    assert made.status_code == 201, made.text
    return logged_in(client, email)


def test_nothing_that_comes_over_the_wire_breaks_it(twin: Twin, tell: Tell) -> None:
    document = twin.get("/openapi.json")
    routes = [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if f"{method.upper()} {path}" not in {"POST /admin/train", "POST /admin/watch", "POST /admin/drift"}
        and not path.startswith("/admin/schedules/")
    ]
    routes += [("POST", "/"), ("GET", "/api/v1//x"), ("GET", "*"), ("GET", "http://x/health"), ("GET", "")]
    with httpx.Client(base_url=twin.url) as client:
        token = registered(client, "fuzz@example.org")["access_token"]
    key = twin.post("/auth/keys", {"name": "fuzz"}, status=201)["key"]
    fuzz = Fuzz(SEED, routes, [token, key])
    requests = [fuzz.raw() for _ in range(FUZZED)]
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda request: answered(twin.port, request), requests))
    counted = Counter(f"{status // 100}xx" if status else "closed" for status in statuses)
    tell(f"fuzz: {len(requests)} requests in {time.monotonic() - started:.0f} s, {dict(counted)}")
    broken = [
        (status, request[:300])
        for status, request in zip(statuses, requests, strict=True)
        if status is not None and status >= 500
    ]
    assert broken == []
    assert counted["2xx"] > 50, counted
    assert "Traceback" not in twin.output, twin.output[-3_000:]
    logs = (twin.home / "logs" / "twin.jsonl").read_text()
    assert [line[:3_000] for line in logs.splitlines() if "unexpected error" in line] == []
    for secret in (token, key, ADMIN_KEY, PASSWORD):
        assert secret not in logs


def test_two_hundred_logins_and_refreshes_at_once(twin: Twin, tell: Tell) -> None:
    with httpx.Client(base_url=twin.url, timeout=60, limits=httpx.Limits(max_connections=200)) as client:
        registered(client, "many@example.org")
        with ThreadPoolExecutor(200) as pool:
            started = time.monotonic()
            tokens = list(pool.map(lambda _: logged_in(client, "many@example.org"), range(200)))
            login_seconds = time.monotonic() - started
            started = time.monotonic()
            refreshed = list(pool.map(lambda one: refresh(client, one), tokens))
            refresh_seconds = time.monotonic() - started
        assert [answer.status_code for answer in refreshed] == [200] * 200
        again = [refresh(client, one).status_code for one in tokens[:20]]
    assert again == [401] * 20
    tell(f"200 logins at once: {login_seconds:.1f} s; 200 refreshes: {refresh_seconds:.1f} s; all let in")


def refresh(client: httpx.Client, tokens: Mapping[str, Any]) -> httpx.Response:
    return client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def test_a_refresh_token_used_twice_in_one_instant(twin: Twin, tell: Tell) -> None:
    """At most one is let in, and what it got is dead within the time that credentials are remembered."""
    rounds, outcomes, alive = 25, Counter[tuple[int, ...]](), 0
    with httpx.Client(base_url=twin.url, timeout=60) as client, ThreadPoolExecutor(2) as pool:
        registered(client, "twice@example.org")
        for _ in range(rounds):
            tokens = logged_in(client, "twice@example.org")
            together = threading.Barrier(2)

            def use(
                _: int, tokens: Mapping[str, Any] = tokens, gate: threading.Barrier = together
            ) -> httpx.Response:
                gate.wait()
                return refresh(client, tokens)

            answers = list(pool.map(use, range(2)))
            outcomes[tuple(sorted(answer.status_code for answer in answers))] += 1
            for got in (answer.json() for answer in answers if answer.status_code == 200):
                me = client.get("/auth/me", headers={"authorization": f"Bearer {got['access_token']}"})
                alive += me.status_code == 200
                assert refresh(client, got).status_code == 401
    tell(f"one refresh token twice at once, {rounds} times: {dict(outcomes)}; sessions left alive: {alive}")
    assert set(outcomes) <= {(200, 401), (401, 401)}
    assert alive == 0


def test_a_hundred_keys_revoked_under_load(twin: Twin, tell: Tell) -> None:
    keys = [twin.post("/auth/keys", {"name": f"k{n}"}, status=201) for n in range(100)]
    last_in: dict[str, float] = {}
    revoked: dict[str, float] = {}
    is_over = threading.Event()

    def use(mine: list[dict[str, Any]]) -> None:
        with httpx.Client(base_url=twin.url, timeout=60) as client:
            while not is_over.is_set():
                for key in mine:
                    sent = time.monotonic()
                    if client.get("/auth/me", headers={"x-api-key": key["key"]}).status_code == 200:
                        last_in[key["id"]] = sent

    with ThreadPoolExecutor(8) as pool:
        users = [pool.submit(use, keys[n::8]) for n in range(8)]
        while len(last_in) < len(keys):
            time.sleep(0.05)
        for key in keys:
            assert twin.client.delete(f"/auth/keys/{key['id']}").status_code == 200
            revoked[key["id"]] = time.monotonic()
        end = time.monotonic() + 7
        is_over.wait(end - time.monotonic())
        is_over.set()
        for user in users:
            user.result()
    late = sorted(max(0.0, last_in[one] - revoked[one]) for one in revoked)
    shares = statistics.quantiles(late, n=10)
    tell(
        f"100 keys revoked under load: the last call let in came {shares[0]:.1f} s (p10), "
        f"{shares[4]:.1f} s (p50), {shares[8]:.1f} s (p90), {late[-1]:.2f} s (max) after"
    )
    assert late[-1] <= 5.5


@pytest.mark.parametrize("ground", ["memory", "redis"])
def test_sixteen_clients_together_get_what_the_policy_says(
    prepared: Prepared, tmp_path: Path, tell: Tell, ground: str
) -> None:
    """In memory within two per cent; in Redis exactly."""
    with ExitStack() as stack:
        redis = {"REDIS_URL": stack.enter_context(redis_server(tmp_path))} if ground == "redis" else {}
        limits = {"RATE_LIMIT_REQUESTS": "1000", "RATE_LIMIT_WINDOW_SECONDS": "86400", **redis}
        let_in = let_in_by(prepared.twin(tmp_path / "home", **limits))
        tell(f"16 clients, one instance: {let_in} of 800 calls let in by a policy of 500")
        assert abs(let_in - 500) <= (10 if ground == "memory" else 0)


def let_in_by(twin: Twin) -> int:
    """Of 800 calls by 16 clients, with a key of a viewer."""
    twin.start()
    try:
        twin.wait_for("/ready")
        key = twin.post("/auth/keys", {"name": "limited", "role": "viewer"}, status=201)["key"]
        use = {"x-api-key": key}
        wait_for_headers(twin, KEY)
        with httpx.Client(base_url=twin.url, timeout=60) as client, ThreadPoolExecutor(16) as pool:
            calls = pool.map(lambda _: client.get("/auth/me", headers=use).status_code, range(800))
            counted = Counter(calls)
        assert set(counted) == {200, 429}
        return counted[200]
    finally:
        twin.kill()
        twin.client.close()


def wait_for_headers(twin: Twin, headers: Mapping[str, str]) -> None:
    """Until calls are counted as they come: the library is loaded after the first answer."""
    end = time.monotonic() + 30
    while "ratelimit" not in twin.client.get("/auth/me", headers=headers).headers:
        assert time.monotonic() < end
        time.sleep(0.05)
