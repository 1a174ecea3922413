from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from shared.errors import InvalidInput, NotFound
from shared.platform.local.events import Delivery, SqliteEvents
from shared.platform.ports import Event
from tests.contracts.platforms import MAX_ATTEMPTS, NOW, Place
from tests.contracts.racing import in_processes, kill_while_busy, race
from tests.contracts.workers import consume_all, event, handle_events, publish_events, wait_for

LEASE_SECONDS = 30.0


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def claim(events: SqliteEvents, subscription: str = "worker", *, now: datetime = NOW) -> Sequence[Delivery]:
    return events.claim(subscription, 100, LEASE_SECONDS, now)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.event.id for delivery in deliveries]


def test_an_event_arrives_as_it_was_sent(events: SqliteEvents) -> None:
    sent = Event(
        "id/1",
        "//somebody",
        "thing.happened",
        datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC),
        {"a": [1, 2.5, None, {"b": "é\u0000🙂"}]},
        {"traceparent": "00-1-2-03"},
    )
    events.publish("asked", [sent])
    (delivery,) = claim(events)
    assert delivery.event == sent
    assert delivery.attempt == 1


def test_each_subscription_gets_every_event(events: SqliteEvents) -> None:
    events.publish("made", [event("1"), event("2")])
    for subscription in ("audit", "copy"):
        deliveries = claim(events, subscription)
        assert ids(deliveries) == ["1", "2"]
        events.ack([delivery.id for delivery in deliveries])
    assert claim(events, "worker") == []
    assert {depth.pending for depth in events.depths().values()} == {0}


def test_a_topic_without_subscriptions_drops_its_events(events: SqliteEvents) -> None:
    events.publish("dropped", [event("1")])
    assert {depth.pending for depth in events.depths().values()} == {0}


def test_an_unknown_topic_isnt_found(events: SqliteEvents) -> None:
    with pytest.raises(NotFound, match="asked, dropped, made"):
        events.publish("mad", [event("1")])


def test_nothing_is_published_where_one_event_isnt_json(events: SqliteEvents) -> None:
    with pytest.raises(InvalidInput, match="bad"):
        events.publish("asked", [event("good"), event("bad", x=float("nan"))])
    assert claim(events) == []


def test_publishing_nothing_is_fine(events: SqliteEvents) -> None:
    events.publish("asked", [])
    assert claim(events) == []


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


def test_an_event_that_fails_too_often_becomes_a_dead_letter_with_the_last_reason(
    events: SqliteEvents,
) -> None:
    events.publish("asked", [event("1", x=1)])
    for attempt in range(1, MAX_ATTEMPTS + 1):
        (delivery,) = claim(events, now=later(attempt * 100))
        assert delivery.attempt == attempt
        events.fail(delivery.id, f"reason {attempt}", later(attempt * 100))
    assert claim(events, now=later(10_000)) == []
    (letter,) = events.dead_letters("worker")
    assert letter.event == event("1", x=1)
    assert (letter.attempts, letter.reason, letter.subscription) == (MAX_ATTEMPTS, "reason 3", "worker")
    assert letter.died_at == later(MAX_ATTEMPTS * 100)
    assert events.depths()["worker"].dead == 1
    assert events.dead_letters("audit") == []


def test_an_event_that_is_never_answered_becomes_a_dead_letter(events: SqliteEvents) -> None:
    events.publish("asked", [event("1")])
    for attempt in range(MAX_ATTEMPTS):
        assert ids(claim(events, now=later(attempt * 100))) == ["1"]
    assert claim(events, now=later(1000)) == []
    (letter,) = events.dead_letters("worker")
    assert (letter.attempts, letter.reason) == (MAX_ATTEMPTS, "the handler never answered")


def test_a_replayed_dead_letter_is_delivered_as_if_new(events: SqliteEvents) -> None:
    events.publish("asked", [event("1"), event("2")])
    for attempt in range(MAX_ATTEMPTS):
        for delivery in claim(events, now=later(attempt * 100)):
            events.fail(delivery.id, "boom", later(attempt * 100))
    first, second = events.dead_letters("worker")
    events.replay([first.id])
    events.replay([first.id])
    assert events.dead_letters("worker") == [second]
    (delivery,) = claim(events, now=later(1000))
    assert (delivery.event, delivery.attempt) == (first.event, 1)


@pytest.mark.parametrize("year", [1970, 2999])
def test_only_the_time_it_is_told_counts(events: SqliteEvents, year: int) -> None:
    now = datetime(year, 1, 2, tzinfo=UTC)
    events.publish("asked", [event("1")])
    assert ids(claim(events, now=now)) == ["1"]
    assert claim(events, now=now) == []
    assert ids(claim(events, now=now + timedelta(seconds=LEASE_SECONDS))) == ["1"]


def test_racing_consumers_share_the_events(events: SqliteEvents) -> None:
    events.publish("asked", [event(f"{i:02}") for i in range(50)])
    results = race(10, lambda _: [d.event.id for d in events.claim("worker", 5, LEASE_SECONDS, NOW)])
    got = [name for result in results if not isinstance(result, Exception) for name in result]
    assert sorted(got) == [f"{i:02}" for i in range(50)]


def test_consumers_in_many_processes_share_the_events(place: Place, events: SqliteEvents) -> None:
    events.publish("made", [event(f"{i}") for i in range(300)])
    in_processes(6, consume_all, place.name, place.state)
    assert events.depths()["audit"].pending == 0
    handled = place.documents.query("handled", limit=500).documents
    assert [document.data for document in handled] == [{"times": 1}] * 300


def test_racing_publishers_lose_nothing(events: SqliteEvents) -> None:
    assert race(32, lambda i: events.publish("asked", [event(f"{i:02}a"), event(f"{i:02}b")])) == [None] * 32
    assert len({d.event.id for d in claim(events)}) == 64


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


def test_a_wait_sees_what_was_published_before_it_began(events: SqliteEvents, place: Place) -> None:
    with events.watch() as watch:
        watch.wait(0.0)
        assert not watch.wait(0.0)
        place.reopen().events.publish("asked", [event("1")])
        assert watch.wait(20.0)
        assert not watch.wait(0.0)


def test_a_wait_can_be_woken(events: SqliteEvents) -> None:
    with events.watch() as watch:
        watch.wait(0.0)
        watch.wake()
        assert watch.wait(20.0)


def test_a_killed_publisher_loses_nothing_it_was_told_is_durable(place: Place, events: SqliteEvents) -> None:
    rng, told = random.Random(3), set()
    for attempt in range(20):
        reports = kill_while_busy(
            publish_events, place.name, place.state, f"//{attempt}", after_seconds=rng.random() / 50
        )
        told |= {tuple(one) for report in reports for one in report}
    found: set[tuple[str, str]] = set()
    while deliveries := claim(events, "audit"):
        found |= {(delivery.event.source, delivery.event.id) for delivery in deliveries}
        events.ack([delivery.id for delivery in deliveries])
    assert told <= found
    assert len(found) % 3 == 0


def test_a_killed_consumers_events_come_again_until_all_are_handled(
    place: Place, events: SqliteEvents
) -> None:
    events.publish("made", [event(f"{i}") for i in range(200)])
    rng = random.Random(4)
    for attempt in count():
        if events.depths()["audit"].pending == 0:
            break
        kill_while_busy(
            handle_events, place.name, place.state, later(attempt * 100), after_seconds=rng.random() / 50
        )
    assert attempt > 1
    dead = {letter.event.id for letter in events.dead_letters("audit")}
    handled = {d.id for d in place.documents.query("handled", limit=500).documents}
    assert dead | handled == {f"{i}" for i in range(200)}
