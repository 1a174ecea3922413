"""What the twin's events promise besides the port: leases, growing delays, dead letters' reasons, waits."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.platform.local.events import Delivery, RetryPolicy, SqliteEvents
from shared.platform.ports import Event
from shared.platform.topics import (
    DEAD_LETTER_ATTEMPTS,
    DEAD_LETTER_REASON,
    DEAD_LETTER_SUBSCRIPTION,
    DEAD_LETTERS,
)
from tests.contracts.platforms import MAX_ATTEMPTS, NOW, sqlite_events
from tests.contracts.racing import race
from tests.contracts.workers import event, wait_for

LEASE_SECONDS = 30.0
VERSION_1 = """
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, event TEXT NOT NULL,
    due REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_by_due ON deliveries (subscription, due);
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY, subscription TEXT NOT NULL, event TEXT NOT NULL,
    attempts INTEGER NOT NULL, reason TEXT NOT NULL, died_at REAL NOT NULL
);
CREATE INDEX dead_letters_by_subscription ON dead_letters (subscription);
PRAGMA user_version=1;
PRAGMA journal_mode=WAL;
"""


@pytest.fixture
def events(tmp_path: Path) -> SqliteEvents:
    return sqlite_events(tmp_path)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def claim(events: SqliteEvents, subscription: str = "worker", *, now: datetime = NOW) -> Sequence[Delivery]:
    return events.claim(subscription, 100, LEASE_SECONDS, now)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.event.id for delivery in deliveries]


def pending(events: SqliteEvents) -> dict[str, int]:
    return {name: depth.pending for name, depth in events.depths().items() if depth.pending}


def ended(event: Event, subscription: str, attempts: int, reason: str) -> Event:
    """What becomes of `event` when it is given up."""
    told = {
        DEAD_LETTER_SUBSCRIPTION: subscription,
        DEAD_LETTER_ATTEMPTS: f"{attempts}",
        DEAD_LETTER_REASON: reason,
    }
    return Event(event.id, event.source, event.type, event.time, event.data, {**event.attributes, **told})


def test_events_come_in_the_order_of_their_publication_with_the_number_of_the_attempt(
    events: SqliteEvents,
) -> None:
    events.publish("made", [event("1"), event("2")])
    for subscription in ("audit", "copy"):
        deliveries = claim(events, subscription)
        assert ids(deliveries) == ["1", "2"]
        assert [delivery.attempt for delivery in deliveries] == [1, 1]
        events.ack([delivery.id for delivery in deliveries])
    assert pending(events) == {}


def test_what_waits_is_counted_by_subscription(events: SqliteEvents) -> None:
    events.publish("made", [event("1"), event("2")])
    events.publish("dropped", [event("3")])
    claim(events, "copy")
    assert pending(events) == {"audit": 2, "copy": 2}
    assert set(events.depths()) == {"audit", "copy", "deadletters", "worker"}


def test_a_claimed_event_is_nobody_elses_until_its_lease_ends(events: SqliteEvents) -> None:
    events.publish("asked", [event("1")])
    (first,) = claim(events)
    assert claim(events, now=later(LEASE_SECONDS - 1)) == []
    (second,) = claim(events, now=later(LEASE_SECONDS))
    assert second.event == first.event
    assert (first.attempt, second.attempt) == (1, 2)


def test_an_acknowledged_event_never_comes_again(events: SqliteEvents) -> None:
    events.publish("asked", [event("1"), event("2")])
    first, _second = claim(events)
    events.ack([first.id])
    events.ack([first.id])
    assert ids(claim(events, now=later(LEASE_SECONDS))) == ["2"]


def test_a_late_acknowledgement_counts_and_removes_nothing_else(events: SqliteEvents) -> None:
    events.publish("asked", [event("1")])
    (first,) = claim(events)
    (again,) = claim(events, now=later(LEASE_SECONDS))
    events.ack([first.id])
    events.publish("asked", [event("2")])
    events.ack([again.id])
    events.fail(again.id, "too late", later(40))
    assert ids(claim(events, now=later(1000))) == ["2"]


def test_a_claim_takes_the_oldest_up_to_its_limit(events: SqliteEvents) -> None:
    events.publish("asked", [event(f"{i}") for i in range(5)])
    assert ids(events.claim("worker", 2, LEASE_SECONDS, NOW)) == ["0", "1"]
    assert ids(events.claim("worker", 2, LEASE_SECONDS, NOW)) == ["2", "3"]


def test_a_failed_event_comes_again_after_a_growing_delay(events: SqliteEvents) -> None:
    events.publish("asked", [event("1")])
    (delivery,) = claim(events)
    events.fail(delivery.id, "boom", NOW)
    assert claim(events, now=later(0.9)) == []
    (delivery,) = claim(events, now=later(1.0))
    events.fail(delivery.id, "boom", later(1.0))
    assert claim(events, now=later(2.4)) == []
    assert ids(claim(events, now=later(2.5))) == ["1"]


def test_delays_stay_between_half_and_all_of_the_longest_however_often_it_failed() -> None:
    policy = RetryPolicy(first_seconds=1.0, longest_seconds=60.0)
    assert [policy.delay_seconds(attempts, 0.0) for attempts in (1, 2, 3, 7, 10_000)] == [0.5, 1, 2, 30, 30]
    assert policy.delay_seconds(10_000, 0.999) < 60


def test_a_dead_letter_tells_the_last_reason(events: SqliteEvents) -> None:
    events.publish("asked", [event("1", x=1)])
    for attempt in range(1, MAX_ATTEMPTS + 1):
        (delivery,) = claim(events, now=later(attempt * 100))
        assert delivery.attempt == attempt
        events.fail(delivery.id, f"reason {attempt}", later(attempt * 100))
    assert claim(events, now=later(10_000)) == []
    (letter,) = claim(events, "deadletters")
    assert letter.event == ended(event("1", x=1), "worker", MAX_ATTEMPTS, f"reason {MAX_ATTEMPTS}")
    assert letter.attempt == 1
    assert pending(events) == {"deadletters": 1}


def test_an_event_that_is_never_answered_becomes_a_dead_letter(events: SqliteEvents) -> None:
    events.publish("asked", [event("1")])
    for attempt in range(MAX_ATTEMPTS):
        assert ids(claim(events, now=later(attempt * 100))) == ["1"]
    assert claim(events, now=later(1000)) == []
    assert claim(events, now=later(2000)) == []
    (letter,) = claim(events, "deadletters")
    assert letter.event == ended(event("1"), "worker", MAX_ATTEMPTS, "the handler never answered")


def fail_for_good(events: SqliteEvents, subscription: str, reason: str, *, times: int = MAX_ATTEMPTS) -> None:
    for attempt in range(times):
        for delivery in claim(events, subscription, now=later(attempt * 100)):
            events.fail(delivery.id, reason, later(attempt * 100))


@pytest.mark.parametrize(
    ("reason", "told"),
    [("é" * 1000, "é" * 512), ("x" * 1023 + "🙂", "x" * 1023), ("a\ud800b", "a?b"), ("", "")],
)
def test_any_reason_is_told_as_far_as_an_attribute_holds_it(
    events: SqliteEvents, reason: str, told: str
) -> None:
    events.publish("asked", [event("1")])
    fail_for_good(events, "worker", reason)
    (letter,) = claim(events, "deadletters")
    assert letter.event == ended(event("1"), "worker", MAX_ATTEMPTS, told)


def test_a_dead_letter_that_fails_is_tried_for_ever(events: SqliteEvents) -> None:
    events.publish("asked", [event("1")])
    fail_for_good(events, "worker", "boom")
    fail_for_good(events, "deadletters", "boom again", times=5 * MAX_ATTEMPTS)
    (letter,) = claim(events, "deadletters", now=later(100_000))
    assert letter.event == ended(event("1"), "worker", MAX_ATTEMPTS, "boom")
    assert letter.attempt == 5 * MAX_ATTEMPTS + 1


def test_an_event_that_is_given_up_a_second_time_tells_of_the_second(events: SqliteEvents) -> None:
    events.publish("asked", [ended(event("1"), "audit", 77, "long ago")])
    fail_for_good(events, "worker", "boom")
    assert [d.event for d in claim(events, "deadletters")] == [
        ended(event("1"), "worker", MAX_ATTEMPTS, "boom")
    ]


@pytest.mark.parametrize("topics", [{"asked": ("worker",)}, {"asked": ("worker",), DEAD_LETTERS: ()}])
def test_where_nobody_takes_dead_letters_nothing_is_given_up(
    tmp_path: Path, topics: dict[str, tuple[str, ...]]
) -> None:
    events = SqliteEvents(tmp_path / "a.sqlite3", topics, retry=RetryPolicy(max_attempts=2))
    events.publish("asked", [event("1")])
    fail_for_good(events, "worker", "boom", times=10)
    (delivery,) = claim(events, now=later(100_000))
    assert (delivery.event, delivery.attempt) == (event("1"), 11)


def test_every_taker_of_dead_letters_gets_them_all(tmp_path: Path) -> None:
    topics = {"asked": ("worker",), DEAD_LETTERS: ("one", "other")}
    events = SqliteEvents(tmp_path / "a.sqlite3", topics, retry=RetryPolicy(max_attempts=1))
    events.publish("asked", [event("1")])
    fail_for_good(events, "worker", "boom", times=1)
    assert claim(events, "one")[0].event == claim(events, "other")[0].event


def encoded(id_: str) -> str:
    """As version 1 wrote it."""
    return json.dumps(
        {
            "id": id_,
            "source": "//test",
            "type": "test.happened",
            "time": NOW.isoformat(),
            "data": {"x": 1e-17, "t": "é\u0000"},
            "attributes": {"traceparent": "00-1-2-03"},
        }
    )


def written_by_version_1(file: Path) -> None:
    """One event that waits after a failure, two that were given up."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(VERSION_1)
        connection.execute(
            "INSERT INTO deliveries VALUES (7, 'worker', ?, ?, 1)", (encoded("waits"), later(5).timestamp())
        )
        connection.executemany(
            "INSERT INTO dead_letters VALUES (?, ?, ?, 3, ?, 0)",
            [(2, "worker", encoded("b"), "422: no"), (1, "audit", encoded("a"), "500: boom")],
        )


def old(id_: str) -> Event:
    data = {"x": 1e-17, "t": "é\u0000"}
    return Event(id_, "//test", "test.happened", NOW, data, {"traceparent": "00-1-2-03"})


def test_what_an_older_version_kept_is_neither_lost_nor_doubled(tmp_path: Path) -> None:
    written_by_version_1(tmp_path / "events.sqlite3")
    opened = [sqlite_events(tmp_path) for _ in range(8)]
    race(8, lambda index: opened[index].depths())
    events = sqlite_events(tmp_path)
    assert claim(events) == []
    (waits,) = claim(events, now=later(5))
    assert (waits.event, waits.attempt, waits.id) == (old("waits"), 2, 7)
    assert [d.event for d in claim(events, "deadletters")] == [
        ended(old("a"), "audit", 3, "500: boom"),
        ended(old("b"), "worker", 3, "422: no"),
    ]
    assert pending(events) == {"worker": 1, "deadletters": 2}


def test_dead_letters_of_an_older_version_come_again_where_nobody_takes_them(tmp_path: Path) -> None:
    written_by_version_1(tmp_path / "events.sqlite3")
    events = SqliteEvents(tmp_path / "events.sqlite3", {"asked": ("worker",), "made": ("audit",)})
    assert [d.event for d in claim(events, "audit")] == [old("a")]
    assert [d.event for d in claim(events, now=later(5))] == [old("b"), old("waits")]


def test_an_older_version_refuses_the_new_file(events: SqliteEvents, tmp_path: Path) -> None:
    events.publish("asked", [event("1")])
    with closing(sqlite3.connect(tmp_path / "events.sqlite3")) as connection:
        connection.execute("PRAGMA user_version=3")
    with pytest.raises(ConfigurationError, match="version 3, this program needs 2"):
        sqlite_events(tmp_path).depths()


@pytest.mark.parametrize("year", [1970, 2999])
def test_only_the_time_it_is_told_counts(events: SqliteEvents, year: int) -> None:
    now = datetime(year, 1, 2, tzinfo=UTC)
    events.publish("asked", [event("1")])
    assert ids(claim(events, now=now)) == ["1"]
    assert claim(events, now=now) == []
    assert ids(claim(events, now=now + timedelta(seconds=LEASE_SECONDS))) == ["1"]


def test_racing_consumers_share_the_events_without_doubling_one(events: SqliteEvents) -> None:
    events.publish("asked", [event(f"{i:02}") for i in range(50)])
    results = race(10, lambda _: [d.event.id for d in events.claim("worker", 5, LEASE_SECONDS, NOW)])
    got = [name for result in results if not isinstance(result, Exception) for name in result]
    assert sorted(got) == [f"{i:02}" for i in range(50)]


def test_a_wait_ends_at_once_when_this_process_publishes(events: SqliteEvents) -> None:
    got: list[str] = []

    def consume() -> None:
        with events.watch(poll_seconds=100.0) as watch:
            while len(got) < 20:
                watch.wait(100.0)
                for delivery in claim(events):
                    events.ack([delivery.id])
                    got.append(delivery.event.id)

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    for i in range(20):
        events.publish("asked", [event(f"{i}")])
        wait_for(lambda i=i: len(got) == i + 1)  # type: ignore[misc]  # a lambda's defaults can't be annotated
    thread.join(20)
    assert got == [f"{i}" for i in range(20)]


def test_a_wait_sees_what_was_published_before_it_began(events: SqliteEvents, tmp_path: Path) -> None:
    with events.watch() as watch:
        watch.wait(0.0)
        assert not watch.wait(0.0)
        sqlite_events(tmp_path).publish("asked", [event("1")])
        assert watch.wait(20.0)
        assert not watch.wait(0.0)


def test_a_wait_sees_a_dead_letter(events: SqliteEvents) -> None:
    events.publish("asked", [event("1")])
    fail_for_good(events, "worker", "boom", times=MAX_ATTEMPTS - 1)
    (delivery,) = claim(events, now=later(10_000))
    with events.watch() as watch:
        watch.wait(0.0)
        events.fail(delivery.id, "boom", later(10_000))
        assert watch.wait(20.0)
    assert ids(claim(events, "deadletters")) == ["1"]


def test_a_wait_can_be_woken(events: SqliteEvents) -> None:
    with events.watch() as watch:
        watch.wait(0.0)
        watch.wake()
        assert watch.wait(20.0)
