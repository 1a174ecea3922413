from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import InvalidInput, NotFound
from shared.platform.messages import MAX_ATTRIBUTE_BYTES, MAX_DATA_BYTES
from shared.platform.ports import Event, Events
from shared.platform.topics import (
    DEAD_LETTER_ATTEMPTS,
    DEAD_LETTER_REASON,
    DEAD_LETTER_SUBSCRIPTION,
    DEAD_LETTERS,
)
from tests.contracts.beds import LEASE_SECONDS, Bed, Taken, bed_at
from tests.contracts.platforms import MAX_ATTEMPTS, NOW, SUBSCRIPTIONS, Place
from tests.contracts.racing import in_processes, kill_while_busy, race
from tests.contracts.workers import consume_all, event, handle_events, handled, publish_events, wait_for

END = "the end"
"""An event that is published last, to know that what wasn't seen until then isn't there."""


def taken(bed: Bed, subscription: str, enough: Callable[[Sequence[Event]], bool]) -> list[Event]:
    """Handle what comes until it is enough: all of it, in the order in which it came."""
    found: list[Event] = []

    def take() -> bool:
        some = bed.pull(subscription, 1000)
        if some:
            bed.ack(some)
        else:
            bed.later()
        found.extend(one.event for one in some)
        return enough(found)

    wait_for(take, timeout_seconds=40)
    return found


def ids(events: Sequence[Event]) -> set[str]:
    return {event.id for event in events}


def until(*wanted: str) -> Callable[[Sequence[Event]], bool]:
    return lambda found: ids(found) >= set(wanted)


def pulled(bed: Bed, subscription: str) -> Taken:
    """The next delivery."""
    found: list[Taken] = []

    def pull() -> bool:
        found.extend(bed.pull(subscription, 1))
        if not found:
            bed.later()
        return bool(found)

    wait_for(pull)
    return found[0]


@pytest.mark.parametrize("id_", ["id/1", "é🙂", "a b\tc\n", "'\";--", "%00%2F", "../..", "ce-id", "x" * 1024])
def test_an_event_arrives_as_it_was_sent(events: Events, bed: Bed, id_: str) -> None:
    sent = Event(
        id_,
        "//somebody/é",
        "thing.happened",
        datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC),
        {"a": [1, 2.5, -0.0, 1e-17, 2**60, None, True, {"b": "é\u0000🙂", "ø": ""}], "": {}},
        {"traceparent": "00-1-2-03", "subject": id_, "empty": ""},
    )
    events.publish("asked", [sent])
    (found,) = taken(bed, "worker", until(id_))
    assert found == sent


def test_each_subscription_gets_every_event(events: Events, bed: Bed) -> None:
    events.publish("made", [event("1"), event("2")])
    events.publish("made", [event("3")])
    for subscription in ("audit", "copy"):
        assert ids(taken(bed, subscription, until("1", "2", "3"))) == {"1", "2", "3"}
    events.publish("asked", [event(END)])
    assert ids(taken(bed, "worker", until(END))) == {END}


def test_a_topic_without_subscriptions_drops_its_events(events: Events, bed: Bed) -> None:
    events.publish("dropped", [event("1")])
    for topic, subscriptions in SUBSCRIPTIONS.items():
        events.publish(topic, [event(END)])
        for subscription in subscriptions:
            assert ids(taken(bed, subscription, until(END))) == {END}


def test_an_unknown_topic_isnt_found(events: Events) -> None:
    with pytest.raises(NotFound, match=r"asked, dead\.letters, dropped, made"):
        events.publish("mad", [event("1")])


def test_nothing_is_published_where_one_event_isnt_json(events: Events, bed: Bed) -> None:
    with pytest.raises(InvalidInput, match="bad"):
        events.publish("asked", [event("good"), event("bad", x=float("nan"))])
    events.publish("asked", [event(END)])
    assert ids(taken(bed, "worker", until(END))) == {END}


@pytest.mark.parametrize(
    ("id_", "attributes"),
    [
        ("", {}),
        ("x" * (MAX_ATTRIBUTE_BYTES + 1), {}),
        ("\ud800", {}),
        ("1", {"Upper": "a"}),
        ("1", {"with-dash": "a"}),
        ("1", {"": "a"}),
        ("1", {"type": "a"}),
        ("1", {"data": "a"}),
        ("1", {"long": "é" * 513}),
        ("1", {"number": 1}),
        ("1", {f"n{i}": "a" for i in range(81)}),
    ],
)
def test_an_event_that_some_platform_cant_carry_is_refused_on_all(
    events: Events, bed: Bed, id_: str, attributes: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput):
        events.publish("asked", [Event(id_, "//test", "test.happened", NOW, {}, attributes)])
    events.publish("asked", [event(END)])
    assert ids(taken(bed, "worker", until(END))) == {END}


def test_publishing_nothing_is_fine(events: Events, bed: Bed) -> None:
    events.publish("asked", [])
    events.publish("asked", [event(END)])
    assert ids(taken(bed, "worker", until(END))) == {END}


def test_a_large_event_arrives_whole_and_a_larger_one_is_refused(events: Events, bed: Bed) -> None:
    frame = len('{"text":""}')
    sent = event("large", text="x" * (MAX_DATA_BYTES - frame))
    events.publish("asked", [event("a"), sent, event("b", text="é" * 1_000_000)])
    found = {one.id: one for one in taken(bed, "worker", until("a", "large", "b"))}
    assert found["large"] == sent
    assert found["b"].data == {"text": "é" * 1_000_000}
    with pytest.raises(InvalidInput, match="6,000,001 bytes"):
        events.publish("asked", [event("larger", text="x" * (MAX_DATA_BYTES - frame + 1))])


def test_many_events_in_one_call_arrive(events: Events, bed: Bed) -> None:
    wanted = {f"{i}" for i in range(2_500)}
    events.publish("asked", [event(id_) for id_ in wanted])
    assert ids(taken(bed, "worker", until(*wanted))) == wanted


def test_what_is_handled_stays_so_and_what_failed_comes_again(events: Events, bed: Bed) -> None:
    """Whatever the order: all are failed once, in a random order, among others that succeed."""
    rng = random.Random(5)
    wanted = {f"{i}" for i in range(40)}
    events.publish("asked", [event(id_) for id_ in wanted])
    failed: set[str] = set()
    done: list[str] = []

    def handle() -> bool:
        some = list(bed.pull("worker", 7))
        rng.shuffle(some)
        for one in some:
            if one.event.id in failed or rng.random() < 0.5:
                bed.ack([one])
                done.append(one.event.id)
            else:
                bed.fail([one])
                failed.add(one.event.id)
        if not some:
            bed.later()
        return set(done) == wanted

    wait_for(handle, timeout_seconds=40)
    assert sorted(done) == sorted(wanted)
    assert 0 < len(failed) < 40


def test_an_event_that_fails_too_often_becomes_a_dead_letter_which_is_never_given_up(
    events: Events, bed: Bed
) -> None:
    sent = Event("1", "//test", "test.happened", NOW, {"x": 1}, {"traceparent": "00-1-2-03"})
    events.publish("made", [sent])
    events.publish(DEAD_LETTERS, [event("old")])
    bed.ack([pulled(bed, "copy")])
    failed: list[Taken] = []

    def times(subscription: str, id_: str) -> int:
        return sum((one.subscription, one.event.id) == (subscription, id_) for one in failed)

    def fail_all() -> bool:
        for subscription in ("audit", "deadletters"):
            some = bed.pull(subscription)
            bed.fail(some)
            failed.extend(some)
        bed.later()
        return times("deadletters", "old") > MAX_ATTEMPTS and times("deadletters", "1") > 0

    wait_for(fail_all, timeout_seconds=60)
    assert times("audit", "1") == MAX_ATTEMPTS
    letter = next(one.event for one in failed if (one.subscription, one.event.id) == ("deadletters", "1"))
    told = dict(letter.attributes)
    assert told.pop(DEAD_LETTER_SUBSCRIPTION) == "audit"
    assert told.pop(DEAD_LETTER_ATTEMPTS) == f"{MAX_ATTEMPTS}"
    told.pop(DEAD_LETTER_REASON, None)
    assert replace(letter, attributes=told) == sent
    assert ids(taken(bed, "deadletters", until("1", "old"))) == {"1", "old"}
    events.publish("made", [event(END)])
    assert ids(taken(bed, "copy", until(END))) == {END}


def test_consumers_in_many_processes_share_the_events(place: Place, events: Events) -> None:
    events.publish("made", [event(f"{i}") for i in range(300)])
    in_processes(6, consume_all, place.name, place.state, 300)
    assert set(handled(place.state)) == {f"{i}" for i in range(300)}
    assert len(handled(place.state)) < 600


def test_racing_publishers_lose_nothing(events: Events, bed: Bed) -> None:
    assert race(32, lambda i: events.publish("asked", [event(f"{i:02}a"), event(f"{i:02}b")])) == [None] * 32
    wanted = {f"{i:02}{letter}" for i in range(32) for letter in "ab"}
    assert ids(taken(bed, "worker", until(*wanted))) == wanted


def test_a_killed_publisher_loses_nothing_it_was_told_is_durable(
    place: Place, events: Events, bed: Bed
) -> None:
    rng, told = random.Random(3), set()
    for attempt in range(20):
        reports = kill_while_busy(
            publish_events, place.name, place.state, f"//{attempt}", after_seconds=rng.random() / 50
        )
        told |= {tuple(one) for report in reports for one in report}
    events.publish("made", [event(END)])
    found = taken(bed, "audit", lambda found: told <= {(one.source, one.id) for one in found})
    found += taken(bed, "audit", lambda more: END in ids([*found, *more]))
    assert len({(one.source, one.id) for one in found} - {("//test", END)}) % 3 == 0


def test_a_killed_consumers_events_come_again_until_all_are_handled(place: Place, events: Events) -> None:
    wanted = {f"{i}" for i in range(1_000)}
    events.publish("made", [event(id_) for id_ in wanted])
    rng = random.Random(4)
    for attempt in range(MAX_ATTEMPTS - 2):
        now = NOW + timedelta(seconds=attempt * LEASE_SECONDS)
        kill_while_busy(handle_events, place.name, place.state, now, after_seconds=rng.random() / 50)
    before = set(handled(place.state))
    bed = bed_at(place, NOW + timedelta(seconds=MAX_ATTEMPTS * LEASE_SECONDS))
    found = taken(bed, "audit", lambda found: before | ids(found) == wanted)
    assert 0 < len(before) < len(wanted)
    assert ids(found) >= wanted - before
