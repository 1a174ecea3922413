"""The clock of a replay: monotone, the same for all processes, never ahead of who moves it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.catalogue import ROOT
from infra.local.replay import ClockHand
from shared.config import load_settings
from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.clock import CLOCK_FILE, Leg, ReplayClock, machine_now, replay_time, told
from shared.platform.connect import connect

FIRST = datetime(2008, 9, 15, 13, 5, tzinfo=UTC)

_READER = """
import select, sys, time
from pathlib import Path
from shared.platform.clock import ReplayClock
clock = ReplayClock(Path(sys.argv[1]))
print("ready", flush=True)
seen = []
while not select.select([sys.stdin], [], [], 0)[0]:
    seen.append((time.monotonic(), clock.now().timestamp(), time.monotonic()))
for one in seen[:: len(seen) // 600 + 1]:
    print(*one)
"""


def leg(hours: float = 24, began: float = 100.0, seconds: float = 1.0) -> Leg:
    return Leg(start=FIRST, stop=FIRST + timedelta(hours=hours), began=began, seconds=seconds)


@given(
    st.floats(0, 500), st.floats(0, 60), st.lists(st.floats(0, 300, allow_nan=False), min_size=2, max_size=20)
)
def test_a_leg_goes_from_its_start_to_its_stop_and_never_back(
    hours: float, seconds: float, moments: list[float]
) -> None:
    one = leg(hours, began=0.0, seconds=seconds)
    seen = [one.at(moment) for moment in sorted(moments)]
    assert seen == sorted(seen)
    assert one.start <= seen[0]
    assert seen[-1] <= one.stop
    assert one.at(seconds) == one.stop


def test_a_leg_goes_evenly() -> None:
    assert leg(hours=24, seconds=2.0).at(100.5) == FIRST + timedelta(hours=6)


def test_a_leg_of_before_the_machine_started_anew_is_over() -> None:
    assert leg().at(3.0) == leg().stop


def test_a_leg_is_kept_as_it_is() -> None:
    assert Leg.from_json(json.loads(json.dumps(leg().json()))) == leg()


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 5), st.lists(st.floats(0, 2), max_size=4)), max_size=12
    )
)
def test_who_still_reads_an_old_leg_is_never_ahead_of_who_reads_a_new_one(
    steps: list[tuple[float, float, list[float]]],
) -> None:
    """Legs follow each other, as early or late as they like, each from where the one before stops."""
    real, current = 100.0, Leg(start=FIRST, stop=FIRST, began=0.0, seconds=0.0)
    for hours, seconds, pauses in steps:
        old = current
        stop = old.stop + timedelta(hours=hours)
        current = Leg(start=old.stop, stop=stop, began=real, seconds=seconds)
        for pause in pauses:
            assert old.at(real + 1_000) <= current.at(real + pause)
        real += seconds + sum(pauses)


def test_processes_agree_while_the_hand_moves(tmp_path: Path) -> None:
    """What any of them reads after another has read is never earlier."""
    hand = ClockHand(tmp_path)
    hand.begin(FIRST)
    command = [sys.executable, "-c", _READER, str(hand.clock.file)]
    readers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [reader.stdout for reader in readers]
    assert all(output is not None and output.readline() == "ready\n" for output in outputs)
    for moved in range(1, 41):
        hand.advance(FIRST + timedelta(hours=moved), seconds=0.002)
        time.sleep(0.001 * (moved % 8))
    seen = [tuple(map(float, line.split())) for reader in readers for line in lines_of(reader)]
    assert len({now for _, now, _ in seen}) > 5
    latest_by_end = sorted((end, now) for _, now, end in seen)
    place, latest = 0, 0.0
    for begun, now, _ in sorted(seen):
        while place < len(latest_by_end) and latest_by_end[place][0] < begun:
            latest = max(latest, latest_by_end[place][1])
            place += 1
        assert now >= latest


def lines_of(reader: subprocess.Popen[str]) -> list[str]:
    """What it prints when it is told to end."""
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.close()
    with reader.stdout as output:
        lines = output.read().splitlines()
    assert reader.wait(20) == 0
    return lines


def test_what_answers_tell_can_be_read_back() -> None:
    assert told(lambda: FIRST) == "replay; now=2008-09-15T13:05:00Z"
    assert replay_time(told(lambda: FIRST)) == FIRST
    assert [replay_time(text) for text in (None, "", "replay; now=unknown")] == [None] * 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"start": 1}', None])
def test_a_clock_that_cant_be_read_is_named(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / CLOCK_FILE
    if content is not None:
        file.write_text(content)
    with pytest.raises(PlatformUnavailable, match=str(file)):
        ReplayClock(file).now()
    assert told(ReplayClock(file).now) == "replay; now=unknown"


def test_the_platform_of_a_replays_state_goes_by_its_clock_and_by_the_machines(tmp_path: Path) -> None:
    hand = ClockHand(tmp_path)
    hand.begin(FIRST)
    platform = connect(load_settings(mlengine_home=tmp_path))
    assert (platform.is_replay, platform.now()) == (True, FIRST)
    assert platform.replay_now is not None
    assert abs(platform.wall() - machine_now()) < timedelta(seconds=5)
    hand.advance(FIRST + timedelta(days=3), seconds=0.0)
    assert platform.now() == FIRST + timedelta(days=3)


def test_elsewhere_both_clocks_are_the_machines(tmp_path: Path) -> None:
    platform = connect(load_settings(mlengine_home=tmp_path))
    assert (platform.is_replay, platform.replay_now) == (False, None)
    assert platform.now is platform.wall is machine_now


def test_production_never_goes_by_a_replays_clock(tmp_path: Path) -> None:
    ClockHand(tmp_path).begin(FIRST)
    settings = load_settings(mlengine_home=tmp_path, env="production", admin_api_key="a" * 20)
    with pytest.raises(ConfigurationError, match="state of a replay"):
        connect(settings)


def test_the_clock_never_goes_back(tmp_path: Path) -> None:
    hand = ClockHand(tmp_path)
    hand.begin(FIRST)
    seen = []
    for hour in range(1, 30):
        hand.advance(FIRST + timedelta(hours=hour), seconds=0.003)
        seen += [hand.clock.now() for _ in range(20)]
    assert all(earlier <= later for earlier, later in pairwise(seen))
