"""A replay's tape, its pace and its hand: which times it goes through, how fast, and what it refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.replay import ClockHand, Pace, open_replay
from infra.local.replay_tape import ASKED_AT, FIRST_SESSION, Tape, read_tape
from infra.local.upstream import SAMPLE
from shared.config import REPLAY_HOME, load_settings
from shared.errors import ConfigurationError
from shared.platform.clock import CLOCK_FILE
from shared.platform.ports import ScheduleState

MONDAY = date(2008, 9, 15)
WEEK = [MONDAY + timedelta(days=day) for day in (0, 1, 2, 3, 4, 7, 8)]

days = st.sets(st.integers(0, 60), min_size=1, max_size=15).map(
    lambda found: [MONDAY + timedelta(days=day) for day in sorted(found)]
)
crons = st.sampled_from(["30 22 * * 1-5", "0 2 * * 0", "0 * * * *", "5 13 * * *", "0 0 1 * *", "0 6 * * 1"])


def schedule(cron: str) -> ScheduleState:
    return ScheduleState(cron, "Ticks.", cron, "Etc/UTC", "ticks", {}, False, None, None)


def stops(tape: Tape, schedules: list[ScheduleState]) -> list[datetime]:
    """All of them, from the first morning to the end."""
    found = [tape.mornings[0]]
    while (following := tape.next_stop(found[-1], schedules)) is not None:
        found.append(following)
    return found


@given(days, st.lists(st.floats(-5, 70), min_size=2, max_size=30))
def test_the_more_time_has_passed_the_more_sessions_have(sessions: list[date], offsets: list[float]) -> None:
    tape = Tape.of(sessions)
    moments = [tape.mornings[0] + timedelta(days=offset) for offset in sorted(offsets)]
    positions = [tape.position(moment) for moment in moments]
    assert positions == sorted(positions)
    assert all(0 <= position <= tape.sessions for position in positions)
    assert [tape.position(morning) for morning in tape.mornings] == list(range(tape.sessions + 1))


@given(days, st.floats(0, 0.999))
def test_within_a_session_no_time_stands_still(sessions: list[date], share: float) -> None:
    tape = Tape.of(sessions)
    for morning, following in pairwise(tape.mornings):
        moment = morning + (following - morning) * share
        assert tape.position(moment) < tape.position(moment + (following - moment) / 2)


def test_a_night_and_a_weekend_take_the_same_part_of_their_session() -> None:
    tape = Tape.of(WEEK)
    thursday_night, friday_night = (
        datetime(2008, 9, day, tzinfo=UTC) + timedelta(days=1) for day in (18, 19)
    )
    assert tape.position(thursday_night) == pytest.approx(3 + 2 / 3)
    assert tape.position(friday_night) == pytest.approx(4 + 2 / 3)


@settings(max_examples=60, deadline=None)
@given(days, st.lists(crons, max_size=4, unique=True))
def test_the_clock_stops_at_each_morning_and_at_the_last_time_of_each_schedule_in_between(
    sessions: list[date], chosen: list[str]
) -> None:
    from shared.platform.scheduling import fires

    tape = Tape.of(sessions)
    schedules = [schedule(cron) for cron in chosen]
    found = stops(tape, schedules)
    assert found == sorted(set(found))
    assert set(tape.mornings) <= set(found)
    for cron in chosen:
        for morning, following in pairwise(tape.mornings):
            times = []
            for at in fires(cron, "Etc/UTC", morning):
                if at > following:
                    break
                times.append(at)
            assert set(times[-1:]) <= set(found)
    from_anywhere = [tape.next_stop(moment + timedelta(seconds=1), schedules) for moment in found[:-1]]
    assert from_anywhere == found[1:]


@given(days, st.floats(0.5, 6000), st.lists(crons, max_size=3, unique=True))
@settings(max_examples=60, deadline=None)
def test_a_machine_that_keeps_up_plays_the_sessions_a_minute_that_were_asked_for(
    sessions: list[date], speed: float, chosen: list[str]
) -> None:
    real = [50.0]
    tape, pace = Tape.of(sessions), Pace(speed, lambda: real[0])
    for stop, following in pairwise(stops(tape, [schedule(cron) for cron in chosen])):
        seconds = pace.seconds(tape.position(following) - tape.position(stop))
        assert seconds >= 0
        real[0] += seconds
    assert real[0] - 50 == pytest.approx(tape.sessions * 60 / speed)


def test_work_that_fits_slows_nothing_down_and_time_that_was_lost_is_not_caught_up_on() -> None:
    real = [0.0]
    pace = Pace(60, lambda: real[0])
    for _ in range(5):
        real[0] += pace.seconds(1.0)
        real[0] += 0.4  # the work of a session
    assert real[0] == pytest.approx(5.4)
    real[0] += 100.0
    assert pace.seconds(1.0) == 0.0
    assert pace.seconds(1.0) == pytest.approx(1.0)


def test_the_sample_has_enough_before_the_replay_and_autumn_2008_soon_after_its_begin() -> None:
    whole, tape = read_tape(SAMPLE, date.min), read_tape(SAMPLE)
    assert tape.mornings[0] == datetime.combine(FIRST_SESSION, ASKED_AT)
    assert whole.sessions - tape.sessions > 1_900
    assert 20 < tape.position(datetime(2008, 9, 15, 13, 5, tzinfo=UTC)) < 200
    assert tape.end.date() == date(2013, 3, 1) + timedelta(days=4)


def test_a_tape_needs_a_session() -> None:
    with pytest.raises(ValueError, match="session"):
        Tape.of([])


def test_the_hand_goes_on_where_the_one_before_was_going(tmp_path: Path) -> None:
    real = [10.0]
    tape = Tape.of(WEEK)
    first, second, *_ = tape.mornings
    hand = ClockHand(tmp_path, lambda: real[0])
    hand.begin(first)
    hand.advance(second, seconds=4.0)
    real[0] += 1.0
    assert first < hand.clock.now() < second
    again = ClockHand(tmp_path, lambda: real[0])  # the first one was killed
    again.begin(first)
    assert again.clock.now() == second
    real[0] = 0.5  # the machine was started anew
    third = ClockHand(tmp_path, lambda: real[0])
    third.begin(first)
    assert third.clock.now() == second


def test_a_replay_has_a_state_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLENGINE_HOME")
    assert load_settings(replay=60).mlengine_home == REPLAY_HOME
    assert load_settings(replay=60, mlengine_home=tmp_path).mlengine_home == tmp_path
    assert load_settings().mlengine_home != REPLAY_HOME


@pytest.mark.parametrize(
    "chosen",
    [{"platform": "gcp"}, {"platform": "emulators"}, {"env": "production", "admin_api_key": "a" * 16}],
)
def test_only_the_twin_on_its_own_parts_replays_and_never_in_production(chosen: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="REPLAY plays history on the twin's own clock"):
        load_settings(replay=60, **chosen)


def test_a_replay_opens_and_opens_again(tmp_path: Path) -> None:
    chosen = load_settings(mlengine_home=tmp_path, replay=30)
    replay = open_replay(chosen, tmp_path)
    assert replay is not None
    assert replay.sessions_a_minute == 30
    assert replay.hand.clock.now() == replay.tape.mornings[0]
    replay.hand.advance(replay.tape.mornings[1], 0.0)
    again = open_replay(chosen, tmp_path)
    assert again is not None
    assert again.hand.clock.now() == replay.tape.mornings[1]


def test_a_twin_on_real_time_refuses_the_state_of_a_replay(tmp_path: Path) -> None:
    open_replay(load_settings(mlengine_home=tmp_path, replay=30), tmp_path)
    with pytest.raises(ConfigurationError, match=r"state of a replay.*REPLAY=60"):
        open_replay(load_settings(mlengine_home=tmp_path), tmp_path)


def test_a_replay_refuses_the_state_of_a_twin_on_real_time(tmp_path: Path) -> None:
    (tmp_path / "documents.sqlite3").touch()
    assert open_replay(load_settings(mlengine_home=tmp_path), tmp_path) is None
    with pytest.raises(ConfigurationError, match="twin on real time"):
        open_replay(load_settings(mlengine_home=tmp_path, replay=60), tmp_path)
    assert not (tmp_path / CLOCK_FILE).exists()


def test_a_replay_plays_the_sample_only(tmp_path: Path) -> None:
    chosen = load_settings(mlengine_home=tmp_path, replay=60, market_data_url="http://upstream")
    with pytest.raises(ConfigurationError, match="MARKET_DATA_URL"):
        open_replay(chosen, tmp_path)
