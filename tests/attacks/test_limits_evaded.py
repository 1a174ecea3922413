"""Ways to call more often than one may."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from shared.access.addresses import network_of
from shared.access.backoff import address
from shared.access.identity import ADMIN, Identity
from shared.access.limits import Kind, Limits, owner_of, subject_of
from shared.access.roles import Role
from tests.functions.engine import KEY, Engine


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    with ExitStack() as stack:

        def start(**settings: Any) -> Engine:
            engine = stack.enter_context(Engine(tmp_path / "home", rate_limit_requests=40, **settings))
            engine.instance.limits.load()
            return engine

        yield start


def test_many_keys_of_one_user_call_no_more_often_than_the_user() -> None:
    counted = Limits(requests=10, window_seconds=60, redis_url=None)
    hourly = counted.windows(Kind.PREDICT, Role.PREDICTOR)[-1].requests
    allowed = 0
    for number in range(200):
        who = Identity("k", Role.PREDICTOR, user_id="ada", key_id=f"key-{number}")
        asked = (Kind.PREDICT, who.role, subject_of(who, ""), 1, owner_of(who))
        allowed += sum(counted.count(*asked).allowed for _ in range(5))
    assert allowed == hourly


def test_with_one_long_window_it_is_the_users() -> None:
    counted = Limits(requests=10, window_seconds=3_600, redis_url=None)
    asked = [(Kind.PREDICT, Role.PREDICTOR, f"key-{number}", 1, "ada") for number in range(20)]
    assert sum(counted.count(*one).allowed for one in asked) == 10


def test_the_platforms_own_keys_are_counted_one_by_one() -> None:
    assert owner_of(Identity("k", Role.PREDICTOR, user_id=ADMIN.name, key_id="key-1")) is None


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("not:an:address", "not:an:other", False),
    ],
)
def test_addresses_that_one_caller_has_count_together(one: str, other: str, are_same: bool) -> None:
    assert (network_of(one) == network_of(other)) is are_same
    assert (address(one) == address(other)) is are_same
    anonymous = Identity("anonymous", Role.PUBLIC)
    assert (subject_of(anonymous, one) == subject_of(anonymous, other)) is are_same


def test_guesses_count_for_the_address_whatever_keys_are_shown_with_them(
    start: Callable[..., Engine],
) -> None:
    engine = start()
    if time.time() % 60 > 45:  # windows begin at whole minutes
        time.sleep(60.01 - time.time() % 60)
    body = {"email": "ada@example.org", "password": "a wrong password"}
    keys = [
        {"x-api-key": engine["accounts"].post("/auth/keys", json={"name": "k"}, headers=KEY).json()["key"]}
        for _ in range(3)
    ]
    heard = [
        engine["accounts"].post("/auth/login", json=body, headers=keys[number % 3]).status_code
        for number in range(6)
    ]
    assert heard.count(429) == 5, heard  # a share of 0.05, and half of that for who has no name


def test_lines_that_the_caller_added_dont_hide_where_a_call_comes_from(start: Callable[..., Engine]) -> None:
    """A proxy may append its entry to the caller's line, or in a line of its own."""
    engine = start(trusted_proxies=2, env="production")
    for lines in (["6.6.6.6, 192.0.2.1, 10.0.0.1"], ["6.6.6.6", "192.0.2.1, 10.0.0.1"],
                  ["6.6.6.6", "192.0.2.1", "10.0.0.1"]):  # fmt: skip
        forwarded = [("x-forwarded-for", line) for line in lines]
        engine["accounts"].post("/auth/keys", json={"name": "k"}, headers=[*KEY.items(), *forwarded])
    entries = engine.instance.admin_audit.list(limit=10, cursor=None).entries
    assert [entry.ip for entry in entries] == ["192.0.2.1"] * 3


def test_a_redis_that_is_silent_is_waited_for_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        counted = Limits(requests=1_000, window_seconds=60, redis_url=f"redis://127.0.0.1:{port}/0")
        counted.load()
        counted.count(Kind.READ, Role.ADMIN, "ada")
        started = time.monotonic()
        for _ in range(20):
            assert counted.count(Kind.READ, Role.ADMIN, "ada").allowed
        assert time.monotonic() - started < 15  # twenty, if each waited
