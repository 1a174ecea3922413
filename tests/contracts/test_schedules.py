from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from infra.emulators.scheduler import set_up
from infra.local.scheduler import Scheduler
from shared.errors import InvalidInput, NotFound
from shared.platform.local.schedules import DocumentSchedules
from shared.platform.ports import Event, Schedule, Schedules, ScheduleState
from tests.contracts.beds import Bed
from tests.contracts.platforms import Place
from tests.contracts.racing import race
from tests.contracts.workers import event, wait_for
from tests.emulators import project_in

START = datetime(2031, 3, 3, 12, 0, 0, tzinfo=UTC)
"""A Monday, before New York's clocks change on the ninth."""
END = "the end"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Plan:
    """A schedule as the catalogue has it."""

    purpose: str = "Asks."
    cron: str = "30 22 * * 1-5"
    timezone: str = "Etc/UTC"
    topic: str = "asked"
    data: Mapping[str, Any] = field(default_factory=lambda: {"request": {"é": [1, 2.5, None]}})


class Timetable:
    """The schedules of a place, with a clock to turn."""

    def __init__(self, place: Place, bed: Bed) -> None:
        self._place = place
        self._bed = bed
        self._ends = 0
        self.turn(START)

    @property
    def schedules(self) -> Schedules:
        return self._place.schedules

    def set_up(self, **plans: Plan) -> None:
        schedules = self.schedules
        if isinstance(schedules, DocumentSchedules):
            schedules.set_up(plans)
        else:
            set_up(project_in(self._place.state), plans)

    def turn(self, now: datetime) -> None:
        """Make it `now`; returns when all that is due then has been published."""
        schedules = self.schedules
        if isinstance(schedules, DocumentSchedules):
            (self._place.state / "clock").write_text(now.isoformat())
            Scheduler(schedules, lambda: now).turn()
        else:
            url = f"{project_in(self._place.state).scheduler_url}/clock"
            answer = httpx.post(url, json={"now": now.isoformat()}, timeout=20, trust_env=False)
            assert answer.status_code == 200, answer.text

    def heard(self) -> list[Event]:
        """What was published since the last time."""
        self._ends += 1
        end, found = f"{END} {self._ends}", list[Event]()
        self._place.events.publish("asked", [event(end)])

        def take() -> bool:
            some = self._bed.pull("worker", 1000)
            if some:
                self._bed.ack(some)
            found.extend(one.event for one in some)
            return end in {one.id for one in found}

        wait_for(take, timeout_seconds=40)
        return [one for one in found if not one.id.startswith(END)]

    def state(self, name: str) -> ScheduleState:
        (found,) = [state for state in self.schedules.list() if state.name == name]
        return found


@pytest.fixture
def timetable(place: Place, bed: Bed) -> Iterator[Timetable]:
    made = Timetable(place, bed)
    yield made
    made.set_up()


def about(time: datetime | None, wanted: datetime) -> bool:
    """A clock that goes on is a little later."""
    return time is not None and timedelta() <= time - wanted < MINUTE


def fixed(cron: str, timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """When `minute hour * * *` fires, worked out another way: each day's time on the wall."""
    minute, hour = map(int, cron.split()[:2])
    zone, day = ZoneInfo(timezone), start.date() - DAY
    found = []
    while day <= end.date() + DAY:
        local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        while local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
            local += MINUTE  # not on the wall that day
        found.append(local.astimezone(UTC))
        day += DAY
    return [at for at in found if start < at <= end]


def test_what_is_set_up_is_listed(timetable: Timetable) -> None:
    timetable.set_up(
        b=Plan(), a=Plan("Trains, wöchentlich.", "0 2 * * 0", "America/New_York", "made", {}), c=Plan(data={})
    )
    listed = timetable.schedules.list()
    assert [state.name for state in listed] == ["a", "b", "c"]
    assert listed[0] == ScheduleState(
        name="a",
        purpose="Trains, wöchentlich.",
        cron="0 2 * * 0",
        timezone="America/New_York",
        topic="made",
        data={},
        paused=False,
        last_fired_at=None,
        next_fire_at=datetime(2031, 3, 9, 7, tzinfo=UTC),  # that night, two o'clock is three o'clock
    )
    assert listed[1].data == {"request": {"é": [1, 2.5, None]}}
    assert listed[1].next_fire_at == datetime(2031, 3, 3, 22, 30, tzinfo=UTC)


def test_it_fires_at_its_time_and_once(timetable: Timetable) -> None:
    timetable.set_up(daily=Plan())
    timetable.turn(datetime(2031, 3, 3, 22, 29, tzinfo=UTC))
    assert timetable.heard() == []
    due = datetime(2031, 3, 3, 22, 30, tzinfo=UTC)
    for at in (due, due, due + MINUTE, due + HOUR, due + 3 * HOUR):
        timetable.turn(at)
    (heard,) = timetable.heard()
    assert heard.data == {"request": {"é": [1, 2.5, None]}}
    state = timetable.state("daily")
    assert about(state.last_fired_at, due)
    assert state.next_fire_at == due + DAY


@pytest.mark.parametrize(
    ("cron", "timezone", "start"),
    [
        ("30 2 * * *", "America/New_York", datetime(2031, 3, 2, 12, tzinfo=UTC)),
        ("30 1 * * *", "America/New_York", datetime(2031, 10, 26, 12, tzinfo=UTC)),
        ("30 1 * * *", "Europe/London", datetime(2031, 3, 23, 12, tzinfo=UTC)),
        ("30 1 * * *", "Europe/London", datetime(2031, 10, 19, 12, tzinfo=UTC)),
    ],
)
def test_two_weeks_around_a_change_of_the_clocks_go_by_and_every_time_fires_once(
    timetable: Timetable, cron: str, timezone: str, start: datetime
) -> None:
    end = start + 14 * DAY
    timetable.turn(start)
    timetable.set_up(it=Plan(cron=cron, timezone=timezone))
    fired: list[datetime] = []
    state = timetable.state("it")
    while state.next_fire_at is not None and state.next_fire_at <= end:
        fired.append(state.next_fire_at)
        timetable.turn(state.next_fire_at)
        state = timetable.state("it")
        assert about(state.last_fired_at, fired[-1])
    assert fired == fixed(cron, timezone, start, end)
    assert len(timetable.heard()) == len(fired) == 14


def test_of_the_times_that_were_missed_only_the_latest_counts_and_only_for_an_hour(
    timetable: Timetable,
) -> None:
    timetable.set_up(often=Plan(cron="*/10 * * * *", data={"n": 1}), daily=Plan(data={"n": 2}))
    timetable.turn(START + 3 * HOUR + 5 * MINUTE)
    assert [one.data for one in timetable.heard()] == [{"n": 1}]
    timetable.turn(datetime(2031, 3, 3, 23, 29, tzinfo=UTC))
    assert sorted(one.data["n"] for one in timetable.heard()) == [1, 2]
    timetable.turn(datetime(2031, 3, 4, 23, 31, tzinfo=UTC))
    assert [one.data for one in timetable.heard()] == [{"n": 1}]
    timetable.turn(datetime(2031, 3, 5, 22, 30, tzinfo=UTC))
    assert sorted(one.data["n"] for one in timetable.heard()) == [1, 2]


def test_a_paused_schedule_is_silent_and_makes_up_for_nothing(timetable: Timetable) -> None:
    timetable.set_up(daily=Plan(), other=Plan(data={"other": 1}))
    timetable.schedules.pause("daily")
    timetable.schedules.pause("daily")
    assert (timetable.state("daily").paused, timetable.state("daily").next_fire_at) == (True, None)
    due = datetime(2031, 3, 3, 22, 30, tzinfo=UTC)
    timetable.turn(due)
    timetable.turn(due + MINUTE)
    timetable.schedules.resume("daily")
    timetable.schedules.resume("daily")
    timetable.turn(due + 2 * MINUTE)
    assert [one.data for one in timetable.heard()] == [{"other": 1}]
    state = timetable.state("daily")
    assert (state.paused, state.last_fired_at, state.next_fire_at) == (False, None, due + DAY)
    timetable.turn(due + DAY)
    assert len(timetable.heard()) == 2


def test_it_is_fired_by_hand_whenever_one_likes_and_keeps_its_times(timetable: Timetable) -> None:
    timetable.set_up(daily=Plan())
    timetable.schedules.fire("daily")
    timetable.schedules.pause("daily")
    timetable.schedules.fire("daily")
    assert about(timetable.state("daily").last_fired_at, START)
    heard = timetable.heard()
    assert [one.data for one in heard] == [{"request": {"é": [1, 2.5, None]}}] * 2
    assert len({one.id for one in heard}) == 2
    timetable.schedules.resume("daily")
    timetable.turn(datetime(2031, 3, 3, 22, 30, tzinfo=UTC))
    assert len(timetable.heard()) == 1


def test_firing_by_hand_at_a_time_that_is_due_takes_nothing_from_it(timetable: Timetable) -> None:
    timetable.set_up(often=Plan(cron="* * * * *"))
    timetable.turn(START + MINUTE)
    timetable.schedules.fire("often")
    timetable.turn(START + 2 * MINUTE)
    assert len(timetable.heard()) == 3


@pytest.mark.parametrize("name", ["nope", "Daily", "a/b", "", "..", "é", "x" * 600, "daily:run", "daily?x=1"])
def test_an_unknown_schedule_isnt_found(timetable: Timetable, name: str) -> None:
    timetable.set_up(daily=Plan(), weekly=Plan())
    for act in (timetable.schedules.pause, timetable.schedules.resume, timetable.schedules.fire):
        with pytest.raises(NotFound, match="daily, weekly"):
            act(name)
    assert timetable.heard() == []


def test_setting_up_again_takes_away_and_changes_and_keeps_what_is_paused(timetable: Timetable) -> None:
    timetable.set_up(a=Plan(), b=Plan(), c=Plan())
    for name in "ab":
        timetable.schedules.fire(name)
        timetable.schedules.pause(name)
    timetable.set_up(b=Plan(purpose="Other.", data={"new": True}), c=Plan(), d=Plan())
    assert [(state.name, state.paused) for state in timetable.schedules.list()] == [
        ("b", True),
        ("c", False),
        ("d", False),
    ]
    state = timetable.state("b")
    assert (state.purpose, state.data) == ("Other.", {"new": True})
    assert about(state.last_fired_at, START)


def test_a_new_cron_makes_up_for_nothing_that_was_before_it(timetable: Timetable) -> None:
    timetable.set_up(it=Plan(cron="0 3 * * *"))
    timetable.turn(START + 2 * HOUR)
    timetable.set_up(it=Plan(cron="30 13 * * *"))
    timetable.turn(START + 2 * HOUR + MINUTE)
    assert timetable.heard() == []
    assert timetable.state("it").next_fire_at == datetime(2031, 3, 4, 13, 30, tzinfo=UTC)
    timetable.set_up(it=Plan(cron="30 13 * * *", timezone="Europe/Berlin"))
    timetable.turn(START + 2 * HOUR + 2 * MINUTE)
    assert timetable.heard() == []


def test_the_same_set_up_again_misses_no_time(timetable: Timetable) -> None:
    plan = Plan(cron="5 12 * * *")
    timetable.set_up(it=plan)
    for minutes in range(1, 5):
        timetable.turn(START + minutes * MINUTE)
        timetable.set_up(it=plan)
    timetable.turn(START + 5 * MINUTE)
    timetable.set_up(it=plan)
    timetable.turn(START + 6 * MINUTE)
    assert len(timetable.heard()) == 1


MADE = Schedule(
    purpose="Trains churn.", cron="0 4 * * *", timezone="Etc/UTC", topic="asked", data={"request": {"é": 1}}
)


@pytest.fixture
def made(timetable: Timetable) -> Iterator[str]:
    """The name of a schedule that was made while the engine ran."""
    timetable.schedules.put("problem-churn", MADE)
    yield "problem-churn"
    timetable.schedules.delete("problem-churn")


def test_one_that_is_made_fires_like_the_others(timetable: Timetable, made: str) -> None:
    at = datetime(2031, 3, 4, 4, 0, tzinfo=UTC)
    assert timetable.state(made).next_fire_at == at
    timetable.turn(at)
    assert [one.data for one in timetable.heard()] == [{"request": {"é": 1}}]
    timetable.schedules.fire(made)
    assert len(timetable.heard()) == 1


def test_one_that_is_made_again_has_what_was_said_last_and_stays_paused(
    timetable: Timetable, made: str
) -> None:
    timetable.schedules.pause(made)
    timetable.schedules.put(made, replace(MADE, cron="30 5 * * *", data={}))
    state = timetable.state(made)
    assert (state.cron, state.data, state.paused, state.next_fire_at) == ("30 5 * * *", {}, True, None)
    timetable.schedules.resume(made)
    assert timetable.state(made).next_fire_at == datetime(2031, 3, 4, 5, 30, tzinfo=UTC)


def test_setting_up_leaves_what_was_made(timetable: Timetable, made: str) -> None:
    timetable.set_up(daily=Plan())
    assert [state.name for state in timetable.schedules.list()] == ["daily", made]


def test_what_is_deleted_is_gone_and_may_be_deleted_again(timetable: Timetable, made: str) -> None:
    timetable.schedules.delete(made)
    timetable.schedules.delete(made)
    assert timetable.schedules.list() == []
    timetable.turn(datetime(2031, 3, 4, 4, 0, tzinfo=UTC))
    assert timetable.heard() == []


@pytest.mark.parametrize("name", ["daily", "problem", "problem-Churn", "problem-a/b", "problem-" + "x" * 60])
def test_only_those_with_their_own_kind_of_name_are_made_and_deleted(timetable: Timetable, name: str) -> None:
    timetable.set_up(daily=Plan())
    with pytest.raises(InvalidInput, match="problem-"):
        timetable.schedules.put(name, MADE)
    with pytest.raises(InvalidInput, match="problem-"):
        timetable.schedules.delete(name)
    assert [state.name for state in timetable.schedules.list()] == ["daily"]


@pytest.mark.parametrize("change", [{"cron": "60 4 * * *"}, {"cron": "daily"}, {"timezone": "Mars"}])
def test_what_never_fires_isnt_made(timetable: Timetable, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(change.values()))[:5].replace("*", ".")):
        timetable.schedules.put("problem-churn", replace(MADE, **change))
    assert timetable.schedules.list() == []


def test_another_process_finds_the_same(timetable: Timetable, place: Place) -> None:
    timetable.set_up(a=Plan(), b=Plan())
    timetable.schedules.pause("b")
    seen = place.reopen().schedules.list()
    assert [(state.name, state.paused) for state in seen] == [("a", False), ("b", True)]


def test_more_schedules_than_a_page_holds_are_all_listed(timetable: Timetable) -> None:
    names = [f"s{i:03}" for i in range(120)]
    timetable.set_up(**dict.fromkeys(names, Plan()))
    assert [state.name for state in timetable.schedules.list()] == names


def test_racing_changes_all_succeed_and_agree(timetable: Timetable) -> None:
    timetable.set_up(it=Plan())
    rng = random.Random(7)
    acts = [rng.choice([timetable.schedules.pause, timetable.schedules.resume]) for _ in range(16)]
    assert race(16, lambda i: acts[i]("it")) == [None] * 16
    timetable.schedules.resume("it")
    assert not timetable.state("it").paused


def test_racing_fires_are_as_many_events(timetable: Timetable) -> None:
    timetable.set_up(it=Plan())
    assert race(12, lambda _: timetable.schedules.fire("it")) == [None] * 12
    assert len({one.id for one in timetable.heard()}) == 12
