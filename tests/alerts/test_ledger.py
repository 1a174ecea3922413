"""One alert per cause, whatever comes again, late, together or in another order."""

from __future__ import annotations

import itertools
import random
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.alerts.ledger import HEARD, HEARD_FOR
from shared.alerts.raising import TOPIC, Severity
from shared.alerts.record import AlertRecord, Kind, State
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Delete, Event
from tests.alerts.made import SOURCE, Ledger, an_alert, at, only, raised, recovered


def said(id: str, alert: AlertRecord, state: str, minutes: float, **more: Any) -> Event:
    """What a person says of an alert."""
    known = {"type": alert.type, "cause": alert.cause, "key": alert.key, "alert_id": alert.id}
    return Event(id, SOURCE, TOPIC, at(minutes), {"state": state, **known, "by": "ann", **more})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path, "critical=pagerduty,slack; *=slack", holding=("pagerduty",))


def kinds(ledger: Ledger) -> list[tuple[str, Kind]]:
    return [(n.channel, n.kind) for n in ledger.outgoing()]


def test_a_new_alert_is_kept_and_told_on_its_channels(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1), an_alert(Severity.CRITICAL)))
    alert = only(ledger.alerts)
    assert (alert.key, alert.state, alert.count) == ("drift:ABC", State.ACTIVE, 1)
    assert alert.first_seen == alert.last_seen == "2024-01-01T00:01:00.000000Z"
    assert alert.channels == ("pagerduty", "slack")
    out = ledger.outgoing()
    assert [(n.channel, n.kind, n.alert.id) for n in out] == [
        ("pagerduty", Kind.NEW, alert.id),
        ("slack", Kind.NEW, alert.id),
    ]
    assert len({n.id for n in out}) == 2


def test_what_is_seen_again_counts_up_and_is_told_once(ledger: Ledger) -> None:
    ledger.hear(*(raised(f"e{n}", at(n), an_alert(title=f"title {n}")) for n in range(5)))
    alert = only(ledger.alerts)
    assert (alert.count, alert.title) == (5, "title 4")
    assert (alert.first_seen[11:16], alert.last_seen[11:16]) == ("00:00", "00:04")
    assert kinds(ledger) == [("slack", Kind.NEW)]


def test_causes_are_told_apart(ledger: Ledger) -> None:
    ledger.hear(
        raised("e1"), raised("e2", alert=an_alert(cause="ABD")), raised("e3", alert=an_alert(type="slow"))
    )
    assert {alert.key for alert in ledger.alerts} == {"drift:ABC", "drift:ABD", "slow:ABC"}


def test_recovery_resolves_and_the_next_is_a_new_alert(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1)), recovered("r1", at(2)), raised("e2", at(3)))
    first, second = ledger.alerts
    assert (first.state, first.why, first.resolved_by) == (State.RESOLVED, "It is back.", None)
    assert (second.state, second.count) == (State.ACTIVE, 1)
    assert first.id != second.id
    assert kinds(ledger) == [("slack", Kind.NEW), ("slack", Kind.RESOLVED), ("slack", Kind.NEW)]


def test_recovery_of_what_never_was_is_nothing(ledger: Ledger) -> None:
    ledger.hear(recovered("r1", at(1)), recovered("r1", at(1)), recovered("r2", at(2)))
    assert ledger.alerts == []
    assert ledger.outgoing() == []
    assert ledger.documents.query(HEARD).documents == []


def test_more_severe_is_told_again_and_less_severe_is_not(ledger: Ledger) -> None:
    severities = [Severity.WARNING, Severity.CRITICAL, Severity.INFO, Severity.CRITICAL]
    ledger.hear(*(raised(f"e{n}", at(n), an_alert(severity)) for n, severity in enumerate(severities)))
    assert only(ledger.alerts).severity is Severity.CRITICAL
    assert kinds(ledger) == [
        ("slack", Kind.NEW),
        ("pagerduty", Kind.ESCALATED),
        ("slack", Kind.ESCALATED),
    ]


def test_recovery_is_told_wherever_the_alert_was_told(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1)), raised("e2", at(2), an_alert(Severity.CRITICAL)), recovered("r", at(3)))
    assert {channel for channel, kind in kinds(ledger) if kind is Kind.RESOLVED} == {"slack", "pagerduty"}


def test_it_is_told_again_after_a_while_while_it_is_active(ledger: Ledger) -> None:
    ledger.hear(raised("e1", ledger.time))
    ledger.outgoing()
    for hours, expected in (
        (23, []),
        (2, [("slack", Kind.REMINDER)]),
        (23, []),
        (1, [("slack", Kind.REMINDER)]),
    ):
        ledger.time += timedelta(hours=hours)
        ledger.hear(raised(f"at {ledger.time}", ledger.time))
        assert kinds(ledger) == expected
    ledger.hear(said("a", only(ledger.alerts), "acknowledged", 3_500))
    ledger.time += timedelta(hours=100)
    ledger.hear(raised("late", ledger.time))
    assert kinds(ledger) == []
    ledger.hear(raised("worse", ledger.time, an_alert(Severity.CRITICAL)))
    assert only(ledger.alerts).state is State.ACTIVE, "it was looked after when it was less"
    assert len(ledger.outgoing()) == 2


def test_without_a_time_nobody_is_reminded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, remind_hours=None)
    ledger.hear(raised("e1", ledger.time))
    ledger.time += timedelta(days=1_000)
    ledger.hear(raised("e2", ledger.time))
    assert kinds(ledger) == [("log", Kind.NEW)]


def test_who_keeps_incidents_hears_of_who_looks_after_them(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1), an_alert(Severity.CRITICAL)))
    ledger.outgoing()
    ledger.hear(said("a", only(ledger.alerts), "acknowledged", 2, note="on it"))
    alert = only(ledger.alerts)
    assert (alert.state, alert.acknowledged_by, alert.note) == (State.ACKNOWLEDGED, "ann", "on it")
    assert kinds(ledger) == [("pagerduty", Kind.ACKNOWLEDGED)]
    ledger.hear(said("b", alert, "acknowledged", 3), recovered("r", at(4)))
    assert {kind for _, kind in kinds(ledger)} == {Kind.RESOLVED}


def test_what_a_person_says_is_of_that_alert_alone(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1)))
    first = only(ledger.alerts)
    ledger.hear(said("x", first, "resolved", 0, body="mended"))
    assert (only(ledger.alerts).state, only(ledger.alerts).resolved_by) == (State.RESOLVED, "ann")
    ledger.hear(raised("e2", at(5)), said("y", first, "resolved", 6, body="again"))
    ledger.hear(said("z", first, "acknowledged", 7))
    assert [alert.state for alert in ledger.alerts] == [State.RESOLVED, State.ACTIVE]


def test_a_channel_that_nobody_names_hears_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "critical=slack")
    ledger.hear(raised("e1", at(1)), recovered("r", at(2)))
    assert only(ledger.alerts).state is State.RESOLVED
    assert ledger.outgoing() == []


def test_a_clock_that_is_ahead_does_not_keep_an_alert_open(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1_000_000)))
    assert only(ledger.alerts).last_seen == "2024-01-01T16:40:00.000000Z"
    ledger.time += timedelta(minutes=1)
    ledger.hear(recovered("r", ledger.time))
    assert only(ledger.alerts).state is State.RESOLVED


def test_a_recovery_that_overtakes_its_alert_ends_it(ledger: Ledger) -> None:
    ledger.hear(recovered("r", at(2)), raised("e1", at(1)), raised("e0", at(0.5)))
    alert = only(ledger.alerts)
    assert (alert.state, alert.count, alert.why) == (State.RESOLVED, 2, "It is back.")
    assert kinds(ledger) == [("slack", Kind.RESOLVED)], "people hear that it was there, and is over"


def test_a_late_recovery_does_not_end_what_was_seen_after_it(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1)), raised("e3", at(3)), recovered("r", at(2)))
    assert only(ledger.alerts).state is State.ACTIVE
    ledger.hear(recovered("r2", at(4)), raised("e35", at(3.5)))
    assert only(ledger.alerts).state is State.RESOLVED


def test_what_was_seen_before_a_second_recovery_stays_over(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1)), recovered("r2", at(2)), recovered("r4", at(4)), raised("e3", at(3)))
    assert [alert.state for alert in ledger.alerts] == [State.RESOLVED] * 2


STORY = [
    raised("e1", at(1)),
    raised("e2", at(2), an_alert(Severity.CRITICAL, title="worse")),
    recovered("r3", at(3)),
]


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_in_whatever_order_a_story_comes_its_end_is_the_same(tmp_path: Path, order: tuple[int, ...]) -> None:
    ledger = Ledger(tmp_path, "critical=pagerduty; *=slack")
    ledger.hear(*(STORY[place] for place in order), *STORY)
    alert = only(ledger.alerts)
    assert (alert.state, alert.count, alert.severity, alert.title) == (
        State.RESOLVED,
        2,
        Severity.CRITICAL,
        "worse",
    )
    assert (alert.first_seen[11:16], alert.last_seen[11:16]) == ("00:01", "00:02")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 900)), max_size=12), st.randoms(use_true_random=False)
)
def test_whatever_comes_what_is_open_at_the_end_is_what_was_seen_last(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[bool, int]], rng: random.Random
) -> None:
    """By the times of the events: the last one says whether the cause is over, whatever came last."""
    times = {minute: is_over for is_over, minute in story}
    events = [
        (recovered if is_over else raised)(f"e{minute}", at(minute)) for minute, is_over in times.items()
    ]
    again = [*events, *events]
    rng.shuffle(again)
    ledger = Ledger(tmp_path_factory.mktemp("story"), "*=log")
    ledger.hear(*again)
    open_ = [alert for alert in ledger.alerts if alert.state.is_open]
    assert len(open_) == (1 if times and not times[max(times)] else 0)
    assert sum(alert.count for alert in ledger.alerts) == sum(not is_over for is_over in times.values())
    out = ledger.outgoing()
    assert len({n.id for n in out}) == len(out), "nothing is told twice"
    told_over = {n.alert.id for n in out if n.kind is Kind.RESOLVED}
    assert told_over == {alert.id for alert in ledger.alerts if not alert.state.is_open}


def hear_at_once(ledger: Ledger, home: Path, events: list[Event]) -> None:
    """Six threads, each with a store of its own, share the events."""
    failures: list[Exception] = []
    together = threading.Barrier(6)

    def work(share: list[Event]) -> None:
        own = ledger.opened(SqliteDocuments(home / "documents.sqlite3"), ledger.events)
        together.wait()
        try:
            for event in share:
                own.hear(event)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(events[place::6],)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_of_those_that_open_an_alert_at_once_one_does(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "*=log")
    for turn in range(6):
        hear_at_once(ledger, tmp_path, [raised(f"e{turn} {n}", at(2 * turn)) for n in range(6)])
        assert sum(alert.state.is_open for alert in ledger.alerts) == 1
        ledger.hear(recovered(f"r{turn}", at(2 * turn + 1)))
    assert [alert.count for alert in ledger.alerts] == [6] * 6


def test_a_thousand_repeats_from_many_threads_twice_and_shuffled_are_one_alert(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "*=log,slack")
    events = [raised(f"e{n}", at(n / 10)) for n in range(1_000)]
    twice = [*events, *events]
    random.Random(1).shuffle(twice)
    hear_at_once(ledger, tmp_path, twice)
    alert = only(ledger.alerts)
    assert (alert.count, alert.state) == (1_000, State.ACTIVE)
    assert (alert.first_seen[11:19], alert.last_seen[11:19]) == ("00:00:00", "01:39:54")
    out = ledger.outgoing()
    assert {n.channel for n in out} == {"log", "slack"}
    assert len({n.id for n in out}) == 2


def test_an_event_that_comes_again_after_it_was_forgotten_opens_nothing(ledger: Ledger) -> None:
    ledger.hear(raised("e1", at(1)), recovered("r", at(2)))
    ledger.outgoing()
    ledger.documents.commit(
        [Delete(HEARD, document.id) for document in ledger.documents.query(HEARD).documents]
    )
    ledger.time += HEARD_FOR
    ledger.hear(raised("e1", at(1)), recovered("r", at(2)))
    alert = only(ledger.alerts)
    assert (alert.state, alert.count) == (State.RESOLVED, 2)
    assert ledger.outgoing() == []
