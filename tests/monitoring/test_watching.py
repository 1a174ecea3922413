"""What monitors see becomes history and alerts, patiently, and whatever becomes of one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.alerts.raising import AlertBell
from shared.alerts.types import TYPES
from shared.errors import NotFound, PlatformUnavailable
from shared.evaluation.bootstrap import Estimate
from shared.monitoring.history import History, HistoryKind
from shared.monitoring.latency.histogram import Histogram
from shared.monitoring.latency.latencies import Latencies
from shared.monitoring.latency.measured import Measured, Requests
from shared.monitoring.watching import Causes, Level, Look, Reading, Sight, Watcher
from shared.monitoring.watching.requests import MIN_REQUESTS, ErrorMonitor, LatencyMonitor
from shared.monitoring.watching.worth import told
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.ports import Delete, Event, Events

NOW = datetime(2024, 5, 2, 9, 31, tzinfo=UTC)
TOPICS = {"alerts.raised": ("ears",)}
LEVELS = st.lists(st.sampled_from(list(Level)), min_size=1, max_size=12)


def reading(level: Level, cause: str = "AAPL", type_: str = "stale_candles") -> Reading:
    return Reading(type=type_, cause=cause, level=level, title="It is old", body=f"It is {level}.")


class Scripted:
    """A monitor that sees what it is told to, one look after the other."""

    def __init__(self, name: str, *looks: Look | Exception) -> None:
        self.name = name
        self._looks = list(looks)

    def look(self) -> Look:
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, Exception):
            raise look
        return look


def scripted(name: str, levels: Sequence[Level]) -> Scripted:
    return Scripted(name, *(Look([reading(level)]) for level in levels))


class Lost:
    """Events that can't be published: the platform is away."""

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        raise PlatformUnavailable("The events are away.")


class Bed:
    """Real stores, and who listens to the alerts."""

    def __init__(self, folder: Path) -> None:
        self.documents = SqliteDocuments(folder / "documents.sqlite3")
        self.events = SqliteEvents(folder / "events.sqlite3", TOPICS)
        self.history = History(self.documents)
        self._ids = iter(range(10_000))

    def watcher(self, *monitors: Any, events: Events | None = None) -> Watcher:
        bell = AlertBell(events or self.events, lambda: NOW, lambda: f"id{next(self._ids)}", "//test")
        return Watcher(monitors, self.history, Causes(self.documents, bell))

    def heard(self) -> list[tuple[str, str]]:
        """State and key of each alert since this was asked last."""
        claimed = self.events.claim("ears", 1_000, 600, NOW)
        return [(one.event.data["state"], one.event.data["key"]) for one in claimed]

    def points(self, kind: HistoryKind) -> list[tuple[str, Any]]:
        page = self.history.page(kind=kind, subject=None, start=None, end=None, limit=100, cursor=None)
        return [(point.subject, point.values) for point in page.points]


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


OVER, EDGE, CLEAR, UNKNOWN = Level.OVER, Level.EDGE, Level.CLEAR, Level.UNKNOWN
KEY = "stale_candles:AAPL"


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ([OVER], ["active"]),
        ([OVER, OVER], ["active", "active"]),
        ([EDGE, CLEAR, UNKNOWN], []),
        ([OVER, CLEAR], ["active"]),
        ([OVER, CLEAR, CLEAR], ["active", "resolved"]),
        ([OVER, CLEAR, CLEAR, CLEAR], ["active", "resolved"]),
        ([OVER, CLEAR, EDGE, CLEAR], ["active"]),
        ([OVER, CLEAR, OVER, CLEAR], ["active", "active"]),
        ([OVER, EDGE, EDGE, EDGE], ["active"]),
        ([OVER, CLEAR, UNKNOWN, CLEAR], ["active", "resolved"]),
        ([OVER, UNKNOWN, UNKNOWN, UNKNOWN], ["active"]),
        ([OVER, CLEAR, CLEAR, OVER], ["active", "resolved", "active"]),
    ],
)
def test_an_alert_begins_when_it_is_over_and_ends_after_two_clear_looks(
    bed: Bed, levels: list[Level], told: list[str]
) -> None:
    watcher = bed.watcher(scripted("m", levels))
    for number in range(len(levels)):
        watcher.run(f"r{number}", NOW)
    assert bed.heard() == [(state, KEY) for state in told]


@settings(max_examples=30, deadline=None)
@given(LEVELS)
def test_who_listens_knows_what_is_active_however_it_goes(
    tmp_path_factory: pytest.TempPathFactory, levels: list[Level]
) -> None:
    bed = Bed(tmp_path_factory.mktemp("bed"))
    watcher = bed.watcher(scripted("m", levels))
    is_active = False
    for number in range(len(levels)):
        decision = watcher.run(f"r{number}", NOW).monitors[0].decision
        for state, _ in bed.heard():
            assert state == "active" or is_active, "only what was told of is resolved"
            is_active = state == "active"
        assert is_active == bool(decision.rung or decision.held)


def test_a_cause_that_nobody_sees_any_more_ends_too(bed: Bed) -> None:
    watcher = bed.watcher(Scripted("m", Look([reading(OVER)]), Look(), Look()))
    for number in range(3):
        watcher.run(f"r{number}", NOW)
    assert bed.heard() == [("active", KEY), ("resolved", KEY)]


def test_the_same_run_again_changes_nothing(bed: Bed) -> None:
    sight = Sight(HistoryKind.FRESHNESS, "1d", {"stale": 1})
    watcher = bed.watcher(Scripted("m", Look([reading(OVER)], [sight])))
    for _ in range(3):
        watcher.run("r1", NOW)
    assert bed.heard() == [("active", KEY)]
    assert bed.points(HistoryKind.FRESHNESS) == [("1d", {"stale": 1})]


def test_clear_looks_of_the_same_run_count_once(bed: Bed) -> None:
    watcher = bed.watcher(scripted("m", [OVER, CLEAR]))
    for run in ("r1", "r2", "r2", "r2"):
        watcher.run(run, NOW)
    assert bed.heard() == [("active", KEY)]


@pytest.mark.parametrize("error", [KeyError("x"), NotFound("gone"), RecursionError()])
def test_a_monitor_that_fails_is_told_and_stops_no_other(bed: Bed, error: Exception) -> None:
    watcher = bed.watcher(Scripted("broken", error), scripted("m", [OVER]))
    report = watcher.run("r1", NOW)
    assert report.failed == ["broken"]
    assert bed.heard() == [("active", KEY), ("active", "monitor_failed:broken")]


def test_while_a_monitor_fails_its_alerts_stay(bed: Bed) -> None:
    look = Look([reading(OVER)])
    watcher = bed.watcher(Scripted("m", look, ValueError(), ValueError(), Look(), Look()))
    for number in range(5):
        watcher.run(f"r{number}", NOW)
    states = bed.heard()
    assert states == [
        ("active", KEY),
        ("active", "monitor_failed:m"),
        ("active", "monitor_failed:m"),
        ("resolved", KEY),
        ("resolved", "monitor_failed:m"),
    ]


def test_what_could_not_be_told_is_told_when_the_run_comes_again(bed: Bed) -> None:
    monitors = (scripted("m", [OVER]), scripted("calm", [CLEAR]))
    with pytest.raises(PlatformUnavailable):
        bed.watcher(*monitors, events=Lost()).run("r1", NOW)
    assert bed.heard() == []
    bed.watcher(*monitors).run("r1", NOW)
    assert bed.heard() == [("active", KEY)]


def test_a_run_that_breaks_off_after_telling_tells_the_same_event_again(bed: Bed) -> None:
    """Its note is taken away, as if the process had been killed before it was written."""
    watcher = bed.watcher(scripted("m", [OVER]))
    ids = []
    for _ in range(2):
        watcher.run("r1", NOW)
        ids += [one.event.id for one in bed.events.claim("ears", 10, 600, NOW)]
        bed.documents.commit([Delete("watch-causes", "m")])
    assert len(set(ids)) == 1


def test_an_interval_that_is_undefined_is_null_in_history() -> None:
    known = told("live", Estimate(0.5, math.nan, math.nan))
    assert known == {"live": 0.5, "live_low": None, "live_high": None}
    History.write(HistoryKind.PERFORMANCE, "m", NOW, known, "p1")
    assert told("live", None) == {}


def test_every_type_that_is_rung_is_in_the_catalogue() -> None:
    rung = {"stale_candles", "stale_model", "stale_drift_check", "slow", "failing"}
    rung |= {"performance_drift", "candle_findings", "monitor_failed"}
    assert rung <= TYPES.keys()
    assert all(TYPES[name].recovers for name in rung)


Measure = Callable[[float, int, int], Latencies]


@pytest.fixture
def measure(bed: Bed) -> Measure:
    """So many answers of `predict` that took so many milliseconds, and so many errors among them."""

    def measure(ms: float, count: int, errors: int = 0) -> Latencies:
        latencies = Latencies(bed.documents, lambda: NOW)
        found = [requests(ms, count - errors, 200), requests(ms, errors, 503)]
        counted = tuple(one for one in found if one.histogram.count)
        told = Measured(instance_id="i1", requests=counted, cold_starts=())
        event = Event("e1", "//test", "measurements.made", NOW, {})
        latencies.merge([(event, told)])
        return latencies

    return measure


def requests(ms: float, count: int, status: int) -> Requests:
    histogram = Histogram()
    for _ in range(count):
        histogram.record(ms / 1e3)
    return Requests(
        at=NOW - timedelta(minutes=10),
        function="predict",
        route="GET /predict",
        status=status,
        model_id=None,
        counts=histogram.counts_text(),
        sum_us=histogram.sum_us,
    )


@pytest.mark.parametrize(
    ("ms", "count", "level"),
    [
        (600, 100, OVER),
        (450, 100, EDGE),
        (300, 100, CLEAR),
        (600, MIN_REQUESTS - 1, UNKNOWN),
        (1, 0, UNKNOWN),
    ],
)
def test_predictions_have_an_objective(measure: Measure, ms: float, count: int, level: Level) -> None:
    (seen,) = LatencyMonitor(measure(ms, count, 0), 500).look().readings
    assert (seen.level, seen.key) == (level, "slow:predict")


@pytest.mark.parametrize(("errors", "level"), [(3, OVER), (2, EDGE), (1, CLEAR), (0, CLEAR)])
def test_few_answers_may_fail(measure: Measure, errors: int, level: Level) -> None:
    (seen,) = ErrorMonitor(measure(5, 100, errors), 0.02).look().readings
    assert (seen.level, seen.key) == (level, "failing:predict")
    assert f"{errors} of 100 answers" in seen.body
