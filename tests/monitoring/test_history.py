"""The history of what was watched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from shared.errors import InvalidInput
from shared.monitoring.history import COLLECTION, History, HistoryKind
from shared.platform.local.documents import SqliteDocuments

START = datetime(2024, 1, 1, tzinfo=UTC)
ANY = {"kind": None, "subject": None, "start": None, "end": None, "limit": 100, "cursor": None}


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite3")


@pytest.fixture
def history(documents: SqliteDocuments) -> History:
    """Ten points of two kinds and two subjects, one a day."""
    history = History(documents)
    for day in range(10):
        kind = HistoryKind.DRIFT if day % 2 else HistoryKind.QUALITY
        subject = "a" if day < 6 else "b"
        history.add(kind, subject, START + timedelta(days=day), {"day": day}, id=f"e{day}")
    return history


def days(history: History, **asked: object) -> list[int]:
    return [point.values["day"] for point in history.page(**{**ANY, **asked}).points]  # type: ignore[arg-type]


def test_points_come_newest_first_of_what_was_asked_for(history: History) -> None:
    assert days(history) == list(range(9, -1, -1))
    assert days(history, kind=HistoryKind.DRIFT) == [9, 7, 5, 3, 1]
    assert days(history, subject="b") == [9, 8, 7, 6]
    assert days(history, kind=HistoryKind.QUALITY, subject="a") == [4, 2, 0]


def test_both_ends_of_a_time_are_in_it(history: History) -> None:
    start, end = START + timedelta(days=3), START + timedelta(days=5)
    assert days(history, start=start, end=end) == [5, 4, 3]
    elsewhere = timezone(timedelta(hours=-5))
    assert days(history, start=start.astimezone(elsewhere), end=end.astimezone(elsewhere)) == [5, 4, 3]


def test_bounds_at_the_ends_of_the_calendar_are_no_crash(history: History) -> None:
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    last = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12)))
    assert len(days(history, start=first, end=last)) == 10


def test_pages_follow_each_other(history: History) -> None:
    first = history.page(**{**ANY, "limit": 4})  # type: ignore[arg-type]
    assert days(history, limit=4) == [9, 8, 7, 6]
    assert days(history, limit=4, cursor=first.cursor) == [5, 4, 3, 2]
    with pytest.raises(InvalidInput):
        history.page(**{**ANY, "cursor": "nonsense"})  # type: ignore[arg-type]


def test_a_point_that_comes_again_is_one_point(history: History, documents: SqliteDocuments) -> None:
    for _ in range(2):
        history.add(HistoryKind.DRIFT, "a", START, {"day": 99}, id="again")
    history.add(HistoryKind.QUALITY, "a", START, {"day": 99}, id="again")
    assert len(documents.query(COLLECTION, limit=100).documents) == 12


def test_times_with_and_without_fractions_of_a_second_are_in_order(history: History) -> None:
    late = START + timedelta(days=20)
    for number, fraction in enumerate((0, 1, 500_000)):
        at = late + timedelta(microseconds=fraction)
        history.add(HistoryKind.LATENCY, "f", at, {"day": number}, id=str(number))
    assert days(history, kind=HistoryKind.LATENCY) == [2, 1, 0]
