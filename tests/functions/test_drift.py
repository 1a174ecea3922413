"""Drift from the request to the record, the event, the alert and the request for a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.monitoring.drift.checks import COLLECTION
from shared.monitoring.history import COLLECTION as HISTORY
from shared.platform.ports import Event, Replace
from shared.registry import Version
from tests.functions.engine import KEY, Engine, ok, pointers, problem
from tests.homes import copied
from tests.monitoring.drift_models import (
    SYMBOLS,
    TRAINED_UNTIL,
    after,
    drift_package,
    ingest,
    sample,
    stretched,
    until,
)
from tests.packages import market_package, spoil

NOW = datetime(2024, 1, 1, tzinfo=UTC)
SESSIONS = 70


@pytest.fixture(scope="session")
def _trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample candles up to the end of the training, and a model that is live."""
    home = tmp_path_factory.mktemp("trained") / "home"
    with Engine(home) as engine:
        instance = engine.instance
        ingest(instance.candle_store, *(until(raw, TRAINED_UNTIL) for raw in sample().values()))
        version = instance.registry.register(drift_package(), created_by="test")
        instance.registry.activate(version.id, by="test", allow_failed_gates=True)
    return home


@pytest.fixture
def engine(_trained_home: Path, tmp_path: Path, start: Callable[..., Engine]) -> Engine:
    copied(_trained_home, tmp_path / "home")
    return start()


def go_on(engine: Engine, sessions: int = SESSIONS, times: float = 1.0) -> None:
    """The sessions after those that are stored come in, their highest prices so many times as high: until
    there are so many since the training.
    """
    store = engine.instance.candle_store
    for raw in sample().values():
        entry = store.entry(raw.symbol, "1d")
        assert entry is not None
        assert entry.last is not None
        later = after(raw, TRAINED_UNTIL, sessions)
        ingest(store, stretched(later[later.timestamp > entry.last], times))


def check(engine: Engine, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = ok(engine["drift"].post("/admin/drift", json=body, headers=KEY))
    return found


def newest(engine: Engine, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = ok(engine["monitoring"].get("/monitoring/drift", params=query))
    return found


def request(engine: Engine, id_: str = "e1", **data: Any) -> int:
    engine.events.publish("drift.requested", [Event(id_, "//test", "drift.requested", NOW, data)])
    return engine.deliver("drift")


def alerts(engine: Engine) -> list[tuple[str, str]]:
    """Those raised since this was asked last: their state and key."""
    return [(e.data["state"], e.data["key"]) for e in engine.heard("alerts.raised")]


def records(engine: Engine, collection: str = COLLECTION) -> list[dict[str, Any]]:
    page = engine.instance.platform.documents.query(collection, limit=500)
    return [dict(document.data) for document in page.documents]


def test_quiet_sessions_are_no_drift(engine: Engine) -> None:
    go_on(engine)
    found = check(engine)
    assert [one["verdict"] for one in found["windows"]] == ["ok"] * 4
    assert (found["overall"], found["verdict"], found["window"]) == ("ok", "ok", 5)
    assert (found["model_id"], found["is_live"], found["unit"]) == ("market-signal-v1", True, "sessions")
    assert [one["rows"] for one in found["windows"]] == [len(SYMBOLS) * n for n in (1, 5, 20, 60)]
    assert found["trained_until"] == "2010-12-30T00:00:00Z"
    assert found["start"] > found["trained_until"]
    assert found["report_url"] is None
    assert sum(share["current"] for share in found["predicted"].values()) == pytest.approx(1)
    assert newest(engine) == found
    (reported,) = engine.heard("drift.reported")
    assert reported.data["verdict"] == "ok"
    assert alerts(engine) == [("resolved", "drift:market-signal")]
    assert engine.heard("reports.requested") == []


def test_a_fault_of_the_upstream_is_drift_and_people_hear_of_it(engine: Engine) -> None:
    go_on(engine, times=1.1)
    found = check(engine)
    lengths = {one["length"]: one["verdict"] for one in found["windows"]}
    assert (found["overall"], lengths[20], lengths[60]) == ("drift", "drift", "drift")
    assert found["window"] == 60, "the longest that alarmed"
    moved = [column["name"] for column in found["features"] if column["drifted"]]
    assert any(name == "upper_wick" for name in moved)
    assert any(family["alarms"] for family in found["families"])
    (alert,) = engine.heard("alerts.raised")
    assert (alert.data["state"], alert.data["key"]) == ("active", "drift:market-signal")
    assert alert.data["severity"] == "warning"
    assert alert.data["facts"]["moved"] == moved[:5]
    assert "60" in alert.data["body"]
    (asked,) = engine.heard("reports.requested")
    assert asked.data == {"kind": "drift", "check_id": found["check_id"]}
    (reported,) = engine.heard("drift.reported")
    assert reported.data["verdict"] == "drift"


def test_an_event_that_comes_again_changes_nothing(engine: Engine) -> None:
    go_on(engine, times=1.1)
    for _ in range(3):
        assert request(engine) == 1
    (kept,) = records(engine)
    assert len(records(engine, HISTORY)) == 1
    for topic in ("drift.reported", "alerts.raised", "reports.requested"):
        assert len(engine.heard(topic)) == 1, topic
    go_on(engine, sessions=SESSIONS + 30)
    assert request(engine) == 1
    assert records(engine) == [kept]
    assert request(engine, "e2") == 1
    assert len(records(engine)) == 2


def test_what_was_kept_and_not_told_is_told_when_the_event_comes_again(engine: Engine) -> None:
    """As after a crash between both."""
    go_on(engine, times=1.1)
    events, desk = engine.instance.platform.events, engine.instance.drift_desk
    asked = Event("e1", "//test", "drift.requested", NOW, {})
    desk.handle(asked, None)
    (first,) = engine.heard("alerts.raised")
    documents = engine.instance.platform.documents
    (document,) = documents.query(COLLECTION).documents
    documents.commit(
        [Replace(COLLECTION, document.id, {**document.data, "announced": False}, document.revision)]
    )
    events.publish("drift.requested", [asked])
    assert engine.deliver("drift") == 1
    assert {event.id for event in engine.heard("alerts.raised")} == {first.id}
    assert records(engine)[0]["announced"] is True


def test_the_alert_ends_when_a_check_finds_nothing(engine: Engine) -> None:
    go_on(engine, sessions=20, times=1.1)
    assert check(engine)["overall"] == "drift"
    go_on(engine, sessions=140)
    assert check(engine)["overall"] == "ok"
    assert alerts(engine) == [("active", "drift:market-signal"), ("resolved", "drift:market-signal")]


def test_races_leave_one_record_and_one_of_each_event(engine: Engine) -> None:
    go_on(engine, times=1.1)
    desk = engine.instance.drift_desk
    asked = Event("e1", "//test", "drift.requested", NOW, {})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: desk.handle(asked, None), range(4)))
    assert len({checks[0].check_id for checks in found}) == 1
    assert len({checks[0].checked_at for checks in found}) == 1, "all tell of the one that was kept"
    assert len(records(engine)) == 1
    for topic in ("drift.reported", "alerts.raised", "reports.requested"):
        assert len({event.id for event in engine.heard(topic)}) == 1, topic


@pytest.mark.parametrize(("sessions", "full"), [(0, 1), (3, 1), (12, 2)])
def test_windows_that_are_not_full_say_so(engine: Engine, sessions: int, full: int) -> None:
    """The last session that is stored at the training has no label yet: it wasn't trained on."""
    go_on(engine, sessions)
    found = check(engine)
    insufficient = [one for one in found["windows"] if one["verdict"] == "insufficient_data"]
    assert len(insufficient) == 4 - full
    why = f"60 sessions since it was trained are needed; there are {sessions + 1}."
    assert insufficient[-1]["why"] == why
    assert found["overall"] == "ok"


def test_a_model_that_says_not_what_it_was_trained_on_can_not_be_judged(engine: Engine) -> None:
    version = activated(engine, market_package(seed=1))
    found = check(engine)
    assert (found["model_id"], found["overall"]) == (version.id, "insufficient_data")
    assert "train the model anew" in found["why"]
    assert (alerts(engine), engine.heard("reports.requested")) == ([], [])
    assert [one["length"] for one in found["windows"]] == [1, 5, 20, 60]


def activated(engine: Engine, package: Any) -> Version:
    registry = engine.instance.registry
    version = registry.register(package, created_by="test")
    registry.activate(version.id, by="test")
    return version


def test_a_version_that_is_not_live_is_checked_and_nobody_is_woken(engine: Engine) -> None:
    go_on(engine, times=1.1)
    activated(engine, drift_package())
    found = check(engine, model="market-signal-v1")
    assert (found["model_id"], found["is_live"], found["overall"]) == ("market-signal-v1", False, "drift")
    assert alerts(engine) == []
    problem(engine["monitoring"].get("/monitoring/drift"), 404, "not-found")
    assert newest(engine, model="market-signal-v1") == found
    points = ok(engine["monitoring"].get("/monitoring/history?model=market-signal-v1&kind=drift"))["points"]
    assert [point["values"]["verdict"] for point in points] == ["drift"]


def test_an_older_check_that_comes_late_ends_no_alert(engine: Engine) -> None:
    go_on(engine)
    desk = engine.instance.drift_desk
    old = desk.check("market-signal")
    assert [state for state, _ in alerts(engine)] == ["resolved"]
    go_on(engine, sessions=SESSIONS + 1)
    desk.check("market-signal")
    assert [state for state, _ in alerts(engine)] == ["resolved"]
    desk.announcer.announce(old)
    assert alerts(engine) == []


def test_windows_are_shown_by_their_length(engine: Engine) -> None:
    go_on(engine)
    check(engine)
    assert newest(engine, window=20)["window"] == 20
    document = problem(engine["monitoring"].get("/monitoring/drift?window=7"), 404, "not-found")
    assert "1, 5, 20, 60" in document["detail"]


def test_the_history_has_a_point_for_each_check(engine: Engine) -> None:
    go_on(engine)
    found = [check(engine)["check_id"] for _ in range(3)]
    answer = ok(engine["monitoring"].get("/monitoring/history?model=market-signal&kind=drift&limit=2"))
    rest = ok(
        engine["monitoring"].get(
            "/monitoring/history",
            params={"model": "market-signal", "kind": "drift", "limit": 2, "cursor": answer["cursor"]},
        )
    )
    points = [*answer["points"], *rest["points"]]
    assert [point["values"]["check_id"] for point in points] == found[::-1]
    assert points[0]["values"]["excess"].keys() == {"1", "5", "20", "60"}
    assert ok(engine["monitoring"].get("/monitoring/history?start=2999-01-01"))["points"] == []


def test_a_report_joins_its_check(engine: Engine) -> None:
    go_on(engine)
    found = check(engine)
    checks = engine.instance.drift_checks
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: checks.attach_report(found["check_id"], "/reports/r1"), range(4)))
    checks.attach_report(found["check_id"], "/reports/r1", {"verdict": "ok"})
    again = newest(engine)
    assert (again["report_url"], again["multivariate"]) == ("/reports/r1", {"verdict": "ok"})
    assert again | {"report_url": None, "multivariate": None} == found


@pytest.mark.parametrize("model", ["nothing", "market-signal-v9"])
def test_an_unknown_model_is_a_problem(engine: Engine, model: str) -> None:
    response = engine["drift"].post("/admin/drift", json={"model": model}, headers=KEY)
    kind = (404, "not-found") if model.endswith("v9") else (409, "no-active-model")
    problem(response, *kind)
    problem(engine["monitoring"].get("/monitoring/drift", params={"model": model}), 404, "not-found")
    assert records(engine) == []


@pytest.mark.parametrize("body", [{"model": 3}, {"model": "A/B"}, {"model": ""}, {"model": "x" * 99}])
def test_a_wrong_model_is_pointed_at(engine: Engine, body: dict[str, Any]) -> None:
    response = engine["drift"].post("/admin/drift", json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == ["/model"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("/monitoring/drift?model=A/B", "?model"),
        ("/monitoring/drift?window=0", "?window"),
        ("/monitoring/history?kind=weather", "?kind"),
        ("/monitoring/history?limit=1001", "?limit"),
        ("/monitoring/history?start=yesterday", "?start"),
    ],
)
def test_a_wrong_question_is_pointed_at(engine: Engine, query: str, pointer: str) -> None:
    assert pointers(problem(engine["monitoring"].get(query), 422, "invalid-input")) == [pointer]


def test_a_wrong_event_is_given_up_and_the_next_is_handled(engine: Engine) -> None:
    assert request(engine, "bad", model={"a": 1}) == 1
    assert request(engine, "unknown", model="market-signal-v9") >= 1
    while engine.deliver("drift"):
        pass
    assert {event.id for event in engine.dead_letters("drift")} == {"bad", "unknown"}
    assert records(engine) == []


def test_without_a_live_model_the_schedule_finds_nothing_to_do(start: Callable[..., Engine]) -> None:
    engine = start()
    assert request(engine) == 1
    assert (records(engine), engine.dead_letters("drift")) == ([], [])


def test_of_many_live_models_each_is_checked_as_if_alone(engine: Engine) -> None:
    go_on(engine)
    other = market_package(seed=2, name="another-signal")
    activated_first(engine, other)
    spoil(engine.home, other, "manifest.json")
    request(engine)
    assert [record["model"] for record in records(engine)] == ["market-signal"]
    while engine.deliver("drift"):
        pass
    (letter,) = engine.dead_letters("drift")
    assert letter.id == "e1"
    assert len(records(engine)) == 1


def activated_first(engine: Engine, package: Any) -> None:
    registry = engine.instance.registry
    version = registry.register(package, created_by="test")
    registry.activate(version.id, by="test", allow_failed_gates=True)


def test_questions_of_a_tabular_model_are_judged_by_their_number(engine: Engine) -> None:
    package = market_package(seed=3, name="heart-disease", kind="tabular")
    activated_first(engine, package)
    rows = json.loads(package.file("examples.json"))["inputs"]
    events = [
        Event(
            f"p{n}",
            "//test",
            "predictions.made",
            NOW,
            {
                "prediction_id": f"p{n}",
                "model_id": "heart-disease-v1",
                "made_at": NOW.isoformat(),
                "features": rows[n % len(rows)],
            },
        )
        for n in range(60)
    ]
    engine.instance.audit.store(events)
    found = check(engine, model="heart-disease")
    assert (found["unit"], found["sources"]) == ("rows", 60)
    assert [one["length"] for one in found["windows"]] == [50, 200, 1_000, 5_000]
    assert [one["rows"] for one in found["windows"]] == [50, 60, 60, 60]
    assert found["windows"][1]["why"] == "200 predictions in the audit are needed; there are 60."


def test_symbols_without_rows_are_counted_and_named(engine: Engine) -> None:
    go_on(engine)
    package = drift_package(symbols=(*SYMBOLS, "GONE"))
    activated(engine, package)
    found = check(engine)
    assert (found["sources"], found["without_rows"]) == (len(SYMBOLS) + 1, 1)
    assert [one["source"] for one in found["problems"]] == ["GONE"]


def test_only_an_operator_asks_for_a_check(engine: Engine) -> None:
    problem(engine["drift"].post("/admin/drift"), 401, "unauthenticated")
