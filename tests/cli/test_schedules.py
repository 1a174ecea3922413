"""`schedules` and its `pause`, `resume` and `run`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.cli.views.schedules import moment
from tests.cli.conftest import Mlengine, Script, answer

Lines = Callable[[str], Sequence[str]]

NOW = datetime(2031, 3, 4, 12, 0, tzinfo=UTC)
"""A Tuesday."""


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock is Berlin's."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        (None, "-"),
        ("2031-03-04T22:30:00+00:00", "today 23:30"),
        ("2031-03-04T23:30:00+00:00", "tomorrow 00:30"),
        ("2031-03-03T22:30:00+00:00", "yesterday 23:30"),
        ("2031-03-02T22:59:00+00:00", "2031-03-02 23:59"),
        ("2031-03-06T02:00:00+00:00", "Thursday 03:00"),
        ("2031-03-10T02:00:00+00:00", "Monday 03:00"),
        ("2031-03-11T02:00:00+00:00", "2031-03-11 03:00"),
        ("2031-04-06T02:00:00+00:00", "2031-04-06 04:00"),
    ],
)
def test_a_time_is_told_as_people_there_say_it(in_berlin: None, stamp: str | None, words: str) -> None:
    assert moment(stamp, NOW) == words


def test_schedules_are_listed_with_their_next_time(
    mlengine: Mlengine, script: Script, lines: Lines, in_berlin: None
) -> None:
    script.answers("GET /admin/schedules", answer("schedules"))
    shown = lines(mlengine("schedules").stdout)
    ingest, retrain = (line for line in shown if line.startswith(("ingest ", "retrain ")))
    assert ingest == "ingest 2031-03-04 23:30 2031-03-03 23:30 candles.requested Ingests the day's candles."
    assert retrain == "retrain paused - training.requested Trains a challenger."


def test_a_wide_terminal_shows_the_cron_too(
    mlengine: Mlengine, script: Script, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    script.answers("GET /admin/schedules", answer("schedules"))
    assert "30 22 * * 1-5 Etc/UTC" in mlengine("schedules").stdout


def test_where_there_are_none_it_says_so(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /admin/schedules", {"schedules": []})
    assert mlengine("schedules").stdout == "No schedules are set up here.\n"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("pause", "retrain is paused: it fires no more until it is resumed."),
        ("resume", "retrain fires again; next -."),
        ("run", "retrain was fired: its event is on training.requested."),
    ],
)
def test_one_is_changed(mlengine: Mlengine, script: Script, act: str, said: str) -> None:
    script.answers(f"POST /admin/schedules/retrain/{act}", answer("schedule"))
    result = mlengine("schedules", act, "retrain")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == said


def test_a_pause_tells_the_way_back_and_a_retraining_where_to_look(
    mlengine: Mlengine, script: Script
) -> None:
    for act in ("pause", "run"):
        script.answers(f"POST /admin/schedules/retrain/{act}", answer("schedule"))
    assert "Next: mlengine schedules resume retrain" in mlengine("schedules", "pause", "retrain").stdout
    assert "Next: mlengine runs" in mlengine("schedules", "run", "retrain").stdout


def test_a_name_with_odd_characters_is_one_part_of_the_path(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /admin/schedules/a%2Fb/pause", {"title": "Not found", "detail": "No."}, status=404)
    assert mlengine("schedules", "pause", "a/b").exit_code == 1


def test_the_answers_are_given_as_json(mlengine_json: Callable[..., tuple[int, Any]], script: Script) -> None:
    script.answers("GET /admin/schedules", answer("schedules"))
    script.answers("POST /admin/schedules/retrain/run", answer("schedule"))
    assert mlengine_json("schedules") == (0, answer("schedules"))
    assert mlengine_json("schedules", "run", "retrain") == (0, answer("schedule"))
