from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.raising import AlertBell
from shared.errors import Conflict, NotFound, PlatformUnavailable
from shared.monitoring.deadletters import (
    ALERTS,
    COLLECTION,
    MAX_HISTORY,
    NEVER_ANSWERED,
    PARTS,
    REPLAY,
    SOURCE,
    DeadLetter,
    DeadLetters,
    State,
)
from shared.monitoring.failures import COLLECTION as NOTES
from shared.monitoring.failures import KEPT_FOR, DeliveryFailures
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Event
from shared.platform.topics import (
    DEAD_LETTER_ATTEMPTS,
    DEAD_LETTER_REASON,
    DEAD_LETTER_SUBSCRIPTION,
    DEAD_LETTERS,
    TOPICS,
    UNREADABLE,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
HEARD = {topic: (*takers, "heard-" + topic) for topic, takers in TOPICS.items()}
"""Each topic is heard by a test too."""


class Clock:
    """Goes on by a second each time it is read."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


class Place:
    """Dead letters on a state folder, and what was published."""

    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.documents = SqliteDocuments(home / "documents.sqlite3")
        self.events = SqliteEvents(home / "events.sqlite3", HEARD)
        self.letters = self.opened(self.events)
        self.failures = DeliveryFailures(self.documents, self.clock)

    def opened(self, events: Any) -> DeadLetters:
        bell = AlertBell(events, self.clock, lambda: "id", SOURCE)
        return DeadLetters(self.documents, events, bell, TOPICS, self.clock)

    def heard(self, topic: str) -> list[Event]:
        """What was published on the topic since it was asked last."""
        claimed = self.events.claim("heard-" + topic, 1_000, 60, self.clock.time)
        self.events.ack([delivery.id for delivery in claimed])
        return [delivery.event for delivery in claimed]

    def listed(self, **asked: Any) -> list[DeadLetter]:
        page = self.letters.list(**{"state": None, "function": None, "limit": 500, "cursor": None, **asked})
        return list(page.letters)

    def count(self, collection: str) -> int:
        return len(self.documents.query(collection, limit=500).documents)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def published(number: int = 1, topic: str = "training.requested", **data: Any) -> Event:
    return Event(f"e{number}", "//test", topic, START, {"n": number, **data}, {"traceparent": "00-1-2-01"})


def dead(
    event: Event, function: str = "training", reason: str | None = "422 no such run", attempts: str = "5"
) -> Event:
    """`event` as it arrives on the topic of dead letters."""
    told = {DEAD_LETTER_SUBSCRIPTION: function, DEAD_LETTER_ATTEMPTS: attempts}
    if reason is not None:
        told[DEAD_LETTER_REASON] = reason
    return replace(event, attributes={**event.attributes, **told})


def test_a_dead_letter_is_kept_with_its_reason_and_an_alert_is_raised(place: Place) -> None:
    place.letters.collect([dead(published())])
    (letter,) = place.listed()
    assert (letter.state, letter.function, letter.topic) == (State.DEAD, "training", "training.requested")
    assert (letter.event_id, letter.event_source) == ("e1", "//test")
    assert (letter.event_type, letter.attempts) == ("training.requested", 5)
    assert (letter.reason, letter.deaths, letter.replayed_at) == ("422 no such run", 1, None)
    (alert,) = place.heard(ALERTS)
    assert (alert.data["state"], alert.data["key"]) == ("active", "dead_letter:training")
    assert (alert.data["severity"], alert.data["title"]) == ("error", "training gave an event up")
    assert alert.data["facts"] == {
        "dead_letter_id": letter.id,
        "function": "training",
        "topic": "training.requested",
        "event_id": "e1",
        "reason": "422 no such run",
    }


@pytest.mark.parametrize("name", ["training", "projects/p/subscriptions/training"])
def test_the_subscription_may_be_told_by_its_bare_or_full_name(place: Place, name: str) -> None:
    place.letters.collect([dead(published(), name)])
    assert [letter.topic for letter in place.listed(function="training")] == ["training.requested"]


def test_what_comes_again_changes_nothing(place: Place) -> None:
    arrivals = [dead(published(number)) for number in range(20)]
    place.letters.collect(arrivals)
    before, alerts = place.listed(), place.heard(ALERTS)
    again = [*arrivals, *arrivals]
    random.Random(1).shuffle(again)
    for event in again:
        place.letters.collect([event])
    assert place.listed() == before
    assert (len(before), len(alerts)) == (20, 20)
    assert place.heard(ALERTS) == []


def test_the_same_event_given_up_by_two_functions_is_two_letters(place: Place) -> None:
    place.letters.collect([dead(published(), "training"), dead(published(), "fetch")])
    assert {letter.function for letter in place.listed()} == {"training", "fetch"}


def test_the_reason_is_the_platforms_else_the_functions_else_silence(place: Place) -> None:
    for number in (1, 2):
        place.failures.note("training", published(number), "422 noted")
    place.letters.collect([dead(published(1), reason="told"), dead(published(2), reason=None)])
    place.letters.collect([dead(published(3), reason=None)])
    reasons = {letter.event_id: letter.reason for letter in place.listed()}
    assert reasons == {"e1": "told", "e2": "422 noted", "e3": NEVER_ANSWERED}
    assert place.count(NOTES) == 0, "a letter takes the note over"


def test_notes_are_counted_and_expire(place: Place) -> None:
    for reason in ("first", "second"):
        place.failures.note("training", published(), reason)
    (note,) = place.documents.query(NOTES).documents
    assert (note.data["count"], note.data["reason"]) == (2, "second")
    assert datetime.fromisoformat(note.data["expires_at"]) == place.clock.time + KEPT_FOR
    assert place.failures.reason("training", published()) == "second"
    assert place.failures.reason("fetch", published()) is None
    place.clock.time += KEPT_FOR
    assert place.failures.reason("training", published()) is None


def test_a_long_reason_is_cut(place: Place) -> None:
    place.letters.collect([dead(published(), reason="x" * 100_000)])
    (letter,) = place.listed()
    assert letter.reason == "x" * 997 + "..."


def test_a_plain_message_is_known_again_by_its_first_time(place: Place) -> None:
    """Pub/Sub gives it another id when it gives it up, and it arrives on another topic."""
    source = "//pubsub.googleapis.com/"
    plain = Event("7", f"{source}candles.requested", "candles.requested", START, {})
    place.failures.note("fetch", plain, "503 away")
    arrived = replace(plain, id="8", source=source + DEAD_LETTERS, type=DEAD_LETTERS)
    place.letters.collect([dead(arrived, "fetch", reason=None)])
    (letter,) = place.listed()
    assert (letter.reason, letter.event_type, letter.event_id) == ("503 away", "candles.requested", "8")
    assert place.letters.replay([letter.id])[0].error is None
    (again,) = place.heard("candles.requested")
    assert (again.id, again.type) == ("8", "candles.requested")


def test_a_replayed_event_is_the_one_that_was_published(place: Place) -> None:
    event = published(deep=[[1.5, None], {"ä": "\N{SLIGHTLY SMILING FACE}"}])
    place.letters.collect([dead(event)])
    (letter,) = place.listed()
    (done,) = place.letters.replay([letter.id])
    assert (done.id, done.error) == (letter.id, None)
    (again,) = place.heard("training.requested")
    assert again == replace(event, attributes={**event.attributes, REPLAY: "1"})
    (after,) = place.listed()
    assert after.state is State.REPLAYED
    assert after.replayed_at is not None


def test_an_event_that_dies_again_is_dead_again_with_both_reasons(place: Place) -> None:
    place.letters.collect([dead(published(), reason="one")])
    (first,) = place.listed()
    place.letters.replay([first.id])
    (again,) = place.heard("training.requested")
    place.letters.collect([dead(again, reason="two", attempts="7")])
    (letter,) = place.listed()
    assert (letter.id, letter.state, letter.deaths) == (first.id, State.DEAD, 2)
    assert [(death.reason, death.attempts) for death in letter.history] == [("one", 5), ("two", 7)]
    assert (letter.reason, letter.attempts) == ("two", 7)
    assert len({alert.id for alert in place.heard(ALERTS)}) == 2


def test_the_first_death_told_again_does_not_undo_a_replay(place: Place) -> None:
    place.letters.collect([dead(published())])
    (letter,) = place.listed()
    place.letters.replay([letter.id])
    place.letters.collect([dead(published())])
    assert [after.state for after in place.listed()] == [State.REPLAYED]


def test_a_letter_that_dies_before_its_replay_is_marked_stays_dead(place: Place) -> None:
    class Quick:
        """Its events are handled, and given up, before it returns."""

        def publish(self, topic: str, events: Sequence[Event]) -> None:
            if topic != ALERTS:
                place.letters.collect([dead(event, reason="quick") for event in events])

    place.letters.collect([dead(published())])
    (letter,) = place.listed()
    assert place.opened(Quick()).replay([letter.id])[0].error is None
    (after,) = place.listed()
    assert (after.state, after.reason, after.deaths) == (State.DEAD, "quick", 2)


def test_the_history_is_cut_and_the_count_is_not(place: Place) -> None:
    place.letters.collect([dead(published())])
    for _ in range(MAX_HISTORY + 2):
        place.letters.replay([place.listed()[0].id])
        place.letters.collect([dead(event) for event in place.heard("training.requested")])
    (letter,) = place.listed()
    assert (letter.deaths, len(letter.history)) == (MAX_HISTORY + 3, MAX_HISTORY)


def test_each_letter_is_replayed_or_refused_alone(place: Place) -> None:
    stranger = dead(published(3), "nobody")
    raw = dead(replace(published(4), type=UNREADABLE), reason="400 not JSON")
    place.letters.collect([dead(published(1)), dead(published(2)), stranger, raw])
    ids = {letter.event_id: letter.id for letter in place.listed()}
    place.letters.replay([ids["e2"]])
    asked = [ids["e1"], ids["e1"], "nope", "a/b", "", ids["e2"], ids["e3"], ids["e4"]]
    errors = {done.id: done.error for done in place.letters.replay(asked)}
    assert len(errors) == 7
    assert errors[ids["e1"]] is None
    assert all(isinstance(errors[id_], NotFound) for id_ in ("nope", "a/b", ""))
    assert "was replayed at 2024" in str(errors[ids["e2"]])
    assert "'nobody'" in str(errors[ids["e3"]])
    assert "no event" in str(errors[ids["e4"]])
    assert all(isinstance(errors[ids[e]], Conflict) for e in ("e2", "e3", "e4"))


def test_what_cannot_be_published_stays_dead(place: Place) -> None:
    class Away:
        def publish(self, topic: str, events: Sequence[Event]) -> None:
            raise PlatformUnavailable("away")

    place.letters.collect([dead(published())])
    (letter,) = place.listed()
    (done,) = place.opened(Away()).replay([letter.id])
    assert isinstance(done.error, PlatformUnavailable)
    assert place.listed() == [letter]
    with pytest.raises(PlatformUnavailable):
        place.opened(Away()).collect([dead(published(2))])
    assert place.listed() == [letter], "a letter is kept once its alert is raised, and comes again until then"


def test_all_of_a_function_are_replayed_until_none_is_left(place: Place) -> None:
    place.letters.collect([dead(published(number)) for number in range(5)])
    place.letters.collect([dead(published(9), "fetch")])
    done, more = place.letters.replay_all(function="training", limit=3)
    assert ([one.error for one in done], more) == ([None] * 3, True)
    done, more = place.letters.replay_all(function="training", limit=3)
    assert (len(done), more) == (2, False)
    assert len({event.id for event in place.heard("training.requested")}) == 5
    assert [letter.function for letter in place.listed(state=State.DEAD)] == ["fetch"]


def test_they_are_listed_page_by_page_those_that_died_last_first(place: Place) -> None:
    for number in range(5):
        place.letters.collect([dead(published(number))])
    first = place.letters.list(state=State.DEAD, function="training", limit=3, cursor=None)
    rest = place.letters.list(state=State.DEAD, function="training", limit=3, cursor=first.cursor)
    assert [letter.event_id for letter in (*first.letters, *rest.letters)] == ["e4", "e3", "e2", "e1", "e0"]
    assert rest.cursor is None


@pytest.mark.parametrize("filling", ["x", '"', "\\", "é", "\N{SLIGHTLY SMILING FACE}"])
def test_a_letter_larger_than_a_document_is_kept_whole(place: Place, filling: str) -> None:
    event = published(text=filling * 1_400_000)
    place.letters.collect([dead(event)])
    assert place.count(PARTS) >= 2
    (letter,) = place.listed()
    assert place.letters.replay([letter.id])[0].error is None
    (again,) = place.heard("training.requested")
    assert again.data == event.data


def test_a_letter_that_lacks_a_part_is_refused(place: Place) -> None:
    from shared.platform.ports import Delete

    place.letters.collect([dead(published(text="x" * 1_500_000))])
    (letter,) = place.listed()
    place.documents.commit([Delete(PARTS, f"{letter.id}-1")])
    assert f"lacks its part {letter.id}-1" in str(place.letters.replay([letter.id])[0].error)


def test_an_alert_that_nobody_can_handle_raises_no_other(place: Place, tmp_path: Path) -> None:
    topics = {**TOPICS, ALERTS: ("alerting",)}
    bell = AlertBell(place.events, place.clock, lambda: "id", SOURCE)
    letters = DeadLetters(place.documents, place.events, bell, topics, place.clock)
    letters.collect([dead(published(topic=ALERTS), "alerting")])
    assert [letter.topic for letter in place.listed()] == [ALERTS]
    assert place.heard(ALERTS) == []


def test_a_notification_that_cannot_be_delivered_is_told_of_once_and_not_for_ever(place: Place) -> None:
    of_drift = published(1, "notifications.requested", alert={"key": "drift:ABC"})
    of_itself = published(2, "notifications.requested", alert={"key": "dead_letter:notify"})
    place.letters.collect([dead(of_drift, "notify"), dead(of_itself, "notify")])
    assert {letter.event_id for letter in place.listed(function="notify")} == {"e1", "e2"}
    (alert,) = place.heard(ALERTS)
    assert (alert.data["key"], alert.data["facts"]["event_id"]) == ("dead_letter:notify", "e1")


@pytest.mark.parametrize("attempts", ["", "-1", "many", "9" * 5_000, "\N{SUPERSCRIPT TWO}"])
def test_a_count_that_is_none_is_nought(place: Place, attempts: str) -> None:
    event = published()
    place.letters.collect([dead(replace(event, attributes={REPLAY: attempts}), attempts=attempts)])
    assert place.listed()[0].attempts == 0


def test_a_time_at_the_edge_of_the_calendar_is_kept(place: Place) -> None:
    event = replace(published(), time=datetime.fromisoformat("0001-01-01T00:00:00+14:00"))
    place.failures.note("training", event, "noted")
    place.letters.collect([dead(event, reason=None)])
    (letter,) = place.listed()
    assert letter.reason == "noted"
    assert place.letters.replay([letter.id])[0].error is None


def test_racing_collectors_and_replayers_agree(place: Place) -> None:
    """Eight threads each collect and replay the same letters."""
    from concurrent.futures import ThreadPoolExecutor

    arrivals = [dead(published(number)) for number in range(5)]

    def work(_: int) -> None:
        place.letters.collect(arrivals)
        place.letters.replay([letter.id for letter in place.listed(state=State.DEAD)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert [(letter.state, letter.deaths) for letter in place.listed()] == [(State.REPLAYED, 1)] * 5
    assert {event.id for event in place.heard("training.requested")} == {f"e{n}" for n in range(5)}
    assert len({alert.id for alert in place.heard(ALERTS)}) == 5


def test_the_same_key_only_for_the_same_parts(place: Place) -> None:
    pairs: list[Callable[[], Event]] = [
        lambda: replace(published(), id="b", source="a"),
        lambda: replace(published(), id="", source="ab"),
        lambda: replace(published(), id="a", source="b"),
    ]
    place.letters.collect([dead(make()) for make in pairs])
    assert place.count(COLLECTION) == 3
