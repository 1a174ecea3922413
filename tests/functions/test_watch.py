"""POST /admin/watch and topic watch.requested, GET /monitoring/freshness and /monitoring/quality."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from shared.market.calendar import calendar_named
from shared.market.checks import check
from shared.market.store import CandleStore
from shared.monitoring.history import HistoryKind
from shared.monitoring.latency.histogram import Histogram
from shared.monitoring.latency.measured import Measured, Requests
from shared.platform.ports import Event
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.market.made import DAY, raw


def stored(engine: Engine, symbol: str, days_ago: int, *, spoil: Callable[[Any], None] | None = None) -> None:
    """Puts 100 daily candles into the store, of which the last has been closed for so many days."""
    today = int(engine.instance.platform.now().timestamp()) // DAY
    source = raw(100, symbol=symbol, start=(today - days_ago - 100) * DAY)
    if spoil is not None:
        spoil(source)
    checked = check(source, timeframe="1d", now_seconds=today * DAY, calendar=calendar_named("24/7"))
    CandleStore(engine.instance.platform.documents, engine.instance.platform.blobs).replace(
        symbol, "1d", checked
    )


def fresh(engine: Engine, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["monitoring"].get("/monitoring/freshness", params=query))
    return answer


def watch(engine: Engine) -> dict[str, dict[str, Any]]:
    answer = ok(engine["watch"].post("/admin/watch", headers=KEY))
    return {one["monitor"]: one for one in answer["monitors"]}


def told(engine: Engine) -> list[tuple[str, str]]:
    """State and key of the alerts that wait to be handled."""
    claimed = engine.events.claim("alerts", 1_000, 600, engine.instance.platform.now())
    return [(one.event.data["state"], one.event.data["key"]) for one in claimed]


def test_an_empty_engine_misses_its_candles_and_says_so(engine: Engine) -> None:
    answer = fresh(engine)
    assert (answer["verdict"], answer["subjects"], answer["cursor"]) == ("missing", [], None)
    assert (answer["timeframe"], answer["calendar"]) == ("1d", "24/7")


def test_the_longest_overdue_symbol_comes_first_with_its_reason(engine: Engine) -> None:
    for symbol, days_ago in (("NEW", 0), ("LATE", 2), ("OLD", 9), ("OLDER", 30)):
        stored(engine, symbol, days_ago)
    answer = fresh(engine)
    assert answer["verdict"] == "stale"
    subjects = answer["subjects"]
    assert [one["subject"] for one in subjects] == ["OLDER", "OLD", "LATE"]
    assert [one["verdict"] for one in subjects] == ["stale", "stale", "late"]
    assert subjects[1]["missed_sessions"] in (8, 9)  # the grace may not be over
    assert subjects[1]["why"].endswith("up to 2 are borne")
    assert {one["kind"] for one in subjects} == {"candles"}
    assert [one["subject"] for one in fresh(engine, all="true")["subjects"]][-1] == "NEW"


def test_the_symbols_come_page_by_page_and_every_page_has_the_whole_verdict(engine: Engine) -> None:
    for number in range(5):
        stored(engine, f"S{number}", 3 + 2 * number)
    first = fresh(engine, limit=3)
    rest = fresh(engine, limit=3, cursor=first["cursor"])
    names = [one["subject"] for one in (*first["subjects"], *rest["subjects"])]
    assert names == ["S4", "S3", "S2", "S1", "S0"]
    assert (first["verdict"], rest["verdict"], rest["cursor"]) == ("stale", "stale", None)


def test_who_was_delisted_is_gone_and_alarms_nobody(engine: Engine) -> None:
    stored(engine, "NEW", 0)
    stored(engine, "GONE", 200)
    overdue = fresh(engine)
    assert (overdue["verdict"], overdue["subjects"]) == ("fresh", [])
    (gone, new) = fresh(engine, all="true")["subjects"]
    assert (gone["verdict"], new["verdict"]) == ("gone", "fresh")
    assert watch(engine)["freshness"]["rung"] == []


def test_where_nobody_is_up_to_date_nobody_is_gone(engine: Engine) -> None:
    stored(engine, "A", 200)
    stored(engine, "B", 300)
    assert [one["verdict"] for one in fresh(engine)["subjects"]] == ["stale", "stale"]


def test_one_symbol_can_be_asked_for(engine: Engine) -> None:
    stored(engine, "ABC", 0)
    (subject,) = fresh(engine, symbol="ABC")["subjects"]
    assert (subject["subject"], subject["verdict"], subject["missed_sessions"]) == ("ABC", "fresh", 0)
    problem(engine["monitoring"].get("/monitoring/freshness?symbol=XYZ"), 404, "not-found")


@pytest.mark.parametrize(
    "path", ["freshness?limit=0", "freshness?symbol=a%20b", "quality?kind=x", "quality?start=3"]
)
def test_a_wrong_question_is_pointed_at(engine: Engine, path: str) -> None:
    document = problem(engine["monitoring"].get(f"/monitoring/{path}"), 422, "invalid-input")
    assert pointers(document) == [f"?{path.partition('?')[2].partition('=')[0]}"]


def test_the_live_model_ages_from_its_training_and_its_check_from_its_start(
    live: None, start: Callable[..., Engine]
) -> None:
    engine = start(model_max_age_days=1e-7, drift_max_age_hours=1000)
    model, checked = fresh(engine)["subjects"]
    assert (model["subject"], model["kind"], model["verdict"]) == ("market-signal-v1", "model", "stale")
    assert (checked["subject"], checked["kind"], checked["verdict"]) == (
        "market-signal",
        "drift_check",
        "fresh",
    )
    assert checked["at"] is None
    assert checked["why"].startswith("never checked")
    found = watch(engine)["freshness"]
    assert found["rung"] == ["stale_model:market-signal-v1"]


def test_many_stale_symbols_are_one_alert_with_their_number_and_the_worst(engine: Engine) -> None:
    for number in range(15):
        stored(engine, f"S{number:02}", 10 + number)
    found = watch(engine)["freshness"]
    assert found["rung"] == ["stale_candles:1d"]
    (reading,) = [one for one in found["readings"] if one["type"] == "stale_candles"]
    assert reading["facts"]["stale"] == 15
    assert [one["subject"] for one in reading["facts"]["worst"]] == [f"S{n:02}" for n in range(14, 4, -1)]
    assert reading["body"].startswith("15 symbols have missed more sessions than are borne. Worst: S14 (")


def test_an_alert_is_told_once_per_look_and_ends_after_two_clear_ones(engine: Engine) -> None:
    stored(engine, "OLD", 10)
    for _ in range(2):
        assert watch(engine)["freshness"]["rung"] == ["stale_candles:1d"]
    stored(engine, "OLD", 0)
    first, second = watch(engine)["freshness"], watch(engine)["freshness"]
    assert (first["resolved"], first["held"]) == ([], ["stale_candles:1d"])
    assert (second["resolved"], second["held"]) == (["stale_candles:1d"], [])
    assert watch(engine)["freshness"]["resolved"] == []


def test_the_same_event_is_the_same_look(engine: Engine) -> None:
    stored(engine, "OLD", 10)
    event = Event("e1", "//test", "watch.requested", datetime(2024, 1, 1, tzinfo=UTC), {})
    for _ in range(2):
        engine.events.publish("watch.requested", [event])
        assert engine.deliver("watch") == 1
    assert told(engine) == [("active", "stale_candles:1d")]
    history = ok(engine["monitoring"].get("/monitoring/history?kind=freshness"))["points"]
    assert [(one["subject"], one["values"]["stale"]) for one in history] == [("1d", 1)]


def test_only_an_operator_may_have_the_monitors_look(engine: Engine) -> None:
    problem(engine["watch"].post("/admin/watch"), 401, "unauthenticated")


def holes(source: Any) -> None:
    """Five candles of the last week without a price."""
    for row in (-6, -5, -4, -3, -2):
        source.close[row] = np.nan


def test_findings_are_shown_by_kind_session_and_symbol(engine: Engine) -> None:
    stored(engine, "ABC", 0, spoil=holes)
    stored(engine, "ABD", 0)
    answer = ok(engine["monitoring"].get("/monitoring/quality"))
    kinds = {one["kind"]: one for one in answer["kinds"]}
    assert set(kinds) == {"missing_value", "gap"}
    assert (kinds["missing_value"]["count"], kinds["missing_value"]["policy"]) == (5, "reject")
    assert len(kinds["missing_value"]["sessions"]) == 5
    assert kinds["missing_value"]["verdict"] == "ok", "five are too few to alarm on"
    assert answer["worst"] == [{"symbol": "ABC", "count": 6, "kinds": ["missing_value", "gap"]}]
    of_symbol = ok(engine["monitoring"].get("/monitoring/quality?symbol=ABC&kind=gap"))
    assert [one["kind"] for one in of_symbol["kinds"]] == ["gap"]
    assert of_symbol["kinds"][0]["verdict"] == "not_judged"
    assert ok(engine["monitoring"].get("/monitoring/quality?symbol=ABD"))["kinds"] == []


def test_findings_before_the_time_asked_for_are_left_out(engine: Engine) -> None:
    stored(engine, "ABC", 0, spoil=holes)
    now = engine.instance.platform.now()
    end = (now - timedelta(days=20)).strftime("%Y-%m-%d")
    answer = ok(engine["monitoring"].get(f"/monitoring/quality?end={end}"))
    assert (answer["end"], answer["kinds"], answer["symbols"]) == (end, [], 0)


def test_more_findings_than_usual_are_an_alert(engine: Engine) -> None:
    for number in range(2):
        stored(engine, f"S{number}", 0, spoil=holes)
    found = watch(engine)["quality"]
    assert found["rung"] == ["candle_findings:1d:missing_value"]
    (reading,) = [one for one in found["readings"] if one["cause"] == "1d:missing_value"]
    assert reading["facts"]["limit"] == 8
    assert set(reading["facts"]["worst"]) == {"S0", "S1"}


def test_a_live_model_is_measured_once_a_day(live: None, engine: Engine) -> None:
    for _ in range(3):
        found = watch(engine)["performance"]
        assert [(one["cause"], one["level"]) for one in found["readings"]] == [("market-signal", "unknown")]
    points = ok(engine["monitoring"].get("/monitoring/history?kind=performance"))["points"]
    assert [(one["subject"], one["values"]["verdict"]) for one in points] == [
        ("market-signal", "insufficient_data")
    ]
    assert points[0]["values"]["model_id"] == "market-signal-v1"


@pytest.mark.parametrize(
    ("values", "rung"),
    [
        (
            {"model_id": "market-signal-v1", "verdict": "drift", "why": "worse"},
            ["performance_drift:market-signal"],
        ),
        ({"model_id": "market-signal-v0", "verdict": "drift", "why": "of another version"}, []),
    ],
)
def test_a_live_model_that_predicts_worse_is_an_alert(
    live: None, engine: Engine, values: dict[str, str], rung: list[str]
) -> None:
    engine.instance.history.add(
        HistoryKind.PERFORMANCE, "market-signal", engine.instance.platform.now(), values, "r0"
    )
    assert watch(engine)["performance"]["rung"] == rung


def test_a_broken_package_fails_one_monitor_and_is_told(live: None, engine: Engine) -> None:
    shutil.rmtree(engine.home / "blobs" / "models")
    found = watch(engine)
    assert found["performance"]["error"] is not None
    assert {name for name, one in found.items() if one["error"]} == {"performance"}
    assert ("active", "monitor_failed:performance") in told(engine)


def test_what_the_process_measured_is_held_against_the_objectives(engine: Engine) -> None:
    start = engine.instance.platform.now() - timedelta(minutes=10)
    histogram = Histogram()
    for _ in range(100):
        histogram.record(0.9)
    measured = Requests(
        at=start,
        function="predict",
        route="GET /predict",
        status=500,
        model_id=None,
        counts=histogram.counts_text(),
        sum_us=histogram.sum_us,
    )
    event = Event("m1", "//test", "measurements.made", start, {})
    told_ = Measured(instance_id="i1", requests=(measured,), cold_starts=())
    engine.instance.latencies.merge([(event, told_)])
    found = watch(engine)
    assert found["latency"]["rung"] == ["slow:predict"]
    assert found["errors"]["rung"] == ["failing:predict"]
    (point,) = ok(engine["monitoring"].get("/monitoring/history?kind=latency&model=predict"))["points"]
    assert (point["values"]["count"], point["values"]["errors"]) == (100, 100)
