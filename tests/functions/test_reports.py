from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.monitoring.reports import ReportRequest, Reports, ReportStatus
from shared.monitoring.reports.periods import last_week
from shared.monitoring.reports.records import Made, ReportKind
from shared.platform.ports import Event, JobState
from shared.platform.topics import DEAD_LETTER_REASON
from tests.contracts.workers import wait_for
from tests.functions.engine import KEY, Engine, ok, pointers, problem

DRIFT = {"kind": "drift", "check_id": "c1"}


def asked_for(engine: Engine, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(
        engine["reports"].post("/admin/reports", json=body or DRIFT, headers=KEY), 202
    )
    return answer


def get(engine: Engine, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["reports"].get(path))
    return answer


def started(engine: Engine) -> list[str]:
    """What each job process has noted: its process id and its arguments."""
    file = engine.home / "started"
    return file.read_text().splitlines() if file.exists() else []


def reports(engine: Engine) -> Reports:
    return engine.instance.reports


def scheduled(engine: Engine, data: dict[str, Any], id: str, time: datetime | None = None) -> None:
    event = Event(id, "//test", "reports.requested", time or datetime.now(UTC), data)
    engine.events.publish("reports.requested", [event])


def made(engine: Engine, report_id: str, **files: bytes) -> None:
    """A report that a job has made."""
    names = {name.replace("_", "."): content for name, content in files.items()}
    kept = [reports(engine).keep(report_id, name, lambda c=c: c) for name, c in names.items()]  # type: ignore[misc]
    reports(engine).finish(report_id, Made("A report", "All is well.", tuple(kept), ("Without that.",)))


def test_a_request_is_queued_and_answered_at_once(engine: Engine) -> None:
    answer = asked_for(engine)
    assert (answer["status"], answer["kind"], answer["check_id"]) == ("queued", "drift", "c1")
    assert get(engine, f"/reports/{answer['report_id']}/state") == answer
    assert started(engine) == []
    (delivery,) = engine.events.claim("reports", 9, 0, engine.instance.platform.now())
    assert delivery.event.data == {"report_id": answer["report_id"], **DRIFT}


def test_the_job_starts_once_however_often_the_event_comes(engine: Engine) -> None:
    report_id = asked_for(engine)["report_id"]
    (delivery,) = engine.events.claim("reports", 1, 0, engine.instance.platform.now())
    engine.events.publish("reports.requested", [delivery.event, delivery.event])
    wait_for(lambda: engine.deliver("reports") == 0)
    wait_for(lambda: bool(started(engine)))
    assert engine.jobs.status(report_id).state is JobState.RUNNING
    engine.jobs.close()
    assert [line.split()[1:] for line in started(engine)] == [["--report", report_id]]
    assert engine.dead_letters("reports") == []


def test_the_schedule_asks_for_the_week_before_its_own_time_however_late_it_comes(engine: Engine) -> None:
    for _ in range(2):
        scheduled(engine, {"kind": "weekly"}, "weekly/1", datetime(2026, 1, 5, 6, tzinfo=UTC))
    wait_for(lambda: engine.deliver("reports") == 0)
    (report,) = get(engine, "/reports")["reports"]
    assert (report["kind"], report["period"], len(report["report_id"])) == ("weekly", "2026-W01", 64)
    assert asked_for(engine, kind="weekly")["period"] == last_week(datetime.now(UTC))


def test_an_id_belongs_to_one_request(engine: Engine) -> None:
    scheduled(engine, {**DRIFT, "report_id": "r1"}, "e1")
    engine.deliver("reports")
    scheduled(engine, {**DRIFT, "check_id": "c2", "report_id": "r1"}, "e2")
    for _ in range(2):
        engine.deliver("reports")
    assert get(engine, "/reports/r1/state")["check_id"] == "c1"
    assert len(engine.dead_letters("reports")) == 1


def test_a_report_is_served_apart_from_everything(engine: Engine) -> None:
    report_id = asked_for(engine)["report_id"]
    made(engine, report_id, report_html=b"<!doctype html>ours", report_pdf=b"%PDF", evidently_html=b"theirs")
    page = engine["reports"].get(f"/reports/{report_id}")
    assert (page.content, page.headers["content-type"]) == (
        b"<!doctype html>ours",
        "text/html; charset=utf-8",
    )
    policy = page.headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    assert page.headers["x-content-type-options"] == "nosniff"
    pdf = engine["reports"].get(f"/reports/{report_id}/files/report.pdf")
    assert (pdf.content, pdf.headers["content-type"]) == (b"%PDF", "application/pdf")
    theirs = engine["reports"].get(f"/reports/{report_id}/files/evidently.html")
    policy = theirs.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    state = get(engine, f"/reports/{report_id}/state")
    assert [file["name"] for file in state["files"]] == ["report.html", "report.pdf", "evidently.html"]
    assert (state["title"], state["notes"]) == ("A report", ["Without that."])


def test_a_file_that_isnt_there_is_told_with_the_reason(engine: Engine) -> None:
    report_id = asked_for(engine)["report_id"]
    document = problem(engine["reports"].get(f"/reports/{report_id}"), 409, "conflict")
    assert "it is queued" in document["detail"]
    made(engine, report_id, report_html=b"ours")
    document = problem(engine["reports"].get(f"/reports/{report_id}/files/x.html"), 404, "not-found")
    assert "it has report.html" in document["detail"]
    problem(engine["reports"].get("/reports/nope"), 404, "not-found")
    problem(engine["reports"].get("/reports/nope/state"), 404, "not-found")


def test_a_spoilt_file_is_never_served(engine: Engine) -> None:
    report_id = asked_for(engine)["report_id"]
    made(engine, report_id, report_html=b"ours")
    (file,) = (engine.home / "blobs" / "reports" / report_id).glob("report.html@/*")
    file.chmod(0o600)
    file.write_bytes(b"OURS")
    problem(engine["reports"].get(f"/reports/{report_id}"), 500, "corrupt-blob")


def test_a_report_whose_job_vanished_has_failed(engine: Engine) -> None:
    report_id = asked_for(engine)["report_id"]
    engine.deliver("reports")
    wait_for(lambda: bool(started(engine)))
    reports(engine).start(report_id)
    killed: set[str] = set()

    def kill_all() -> bool:
        for line in set(started(engine)) - killed:
            os.kill(int(line.split()[0]), signal.SIGKILL)
            killed.add(line)
        return bool(get(engine, f"/reports/{report_id}/state")["status"] != "running")

    wait_for(kill_all)
    ended = get(engine, "/reports")["reports"][0]
    assert (ended["status"], "signal 9" in ended["error"]) == ("failed", True)
    document = problem(engine["reports"].get(f"/reports/{report_id}"), 409, "conflict")
    assert "signal 9" in document["detail"]


def test_what_has_ended_never_changes(engine: Engine) -> None:
    request = ReportRequest(kind=ReportKind.DRIFT, check_id="c1")
    reports(engine).create("r1", request)
    reports(engine).start("r1")
    ended = reports(engine).end("r1", ReportStatus.CANCELLED)
    assert reports(engine).start("r1") == reports(engine).end("r1", ReportStatus.FAILED, error="x") == ended
    assert ended.attempts == 1


def test_a_file_is_the_first_that_was_written(engine: Engine) -> None:
    first = reports(engine).keep("r1", "report.html", lambda: b"first")

    def made_again() -> bytes:
        raise AssertionError("it was made again")

    assert reports(engine).keep("r1", "report.html", made_again) == first

    def beaten() -> bytes:
        reports(engine).keep("r1", "report.txt", lambda: b"theirs")
        return b"mine"

    assert reports(engine).content(reports(engine).keep("r1", "report.txt", beaten)) == b"theirs"


def test_reports_are_listed_newest_first_page_by_page_and_by_kind(engine: Engine) -> None:
    ids = [asked_for(engine)["report_id"] for _ in range(3)]
    weekly = asked_for(engine, kind="weekly", period="2026-W07")["report_id"]
    first = get(engine, "/reports?kind=drift&limit=2")
    query = {"kind": "drift", "limit": 2, "cursor": first["cursor"]}
    rest = ok(engine["reports"].get("/reports", params=query))
    assert [one["report_id"] for one in (*first["reports"], *rest["reports"])] == ids[::-1]
    assert get(engine, "/reports")["reports"][0]["report_id"] == weekly
    assert pointers(problem(engine["reports"].get("/reports?kind=x"), 422, "invalid-input")) == ["?kind"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/kind"),
        ({"kind": "daily"}, "/kind"),
        ({"kind": "drift"}, "/check_id"),
        ({"kind": "drift", "check_id": "a/b"}, "/check_id"),
        ({"kind": "drift", "check_id": "c1", "period": "2026-W07"}, "/check_id"),
        ({"kind": "weekly", "check_id": "c1"}, "/check_id"),
        ({"kind": "weekly", "period": "2026-W54"}, "/period"),
        ({"kind": "weekly", "period": "last"}, "/period"),
        ({"kind": "weekly", "period": "0000-W01"}, "/period"),
        ({"kind": "weekly", "period": "9998-W01"}, "/period"),
        ({"kind": "weekly", "report_id": "mine"}, "/report_id"),
    ],
)
def test_a_wrong_request_is_pointed_at_and_starts_nothing(
    engine: Engine, body: dict[str, Any], pointer: str
) -> None:
    response = engine["reports"].post("/admin/reports", json=body, headers=KEY)
    assert pointers(problem(response, 422, "invalid-input")) == [pointer]
    assert get(engine, "/reports")["reports"] == []
    assert engine.events.depths()["reports"].pending == 0


@pytest.mark.parametrize("data", [{}, {"kind": "weekly", "report_id": "a/b"}, {"kind": "weekly", "x": 1}])
def test_an_event_that_is_no_request_is_refused_with_the_reason(engine: Engine, data: Any) -> None:
    scheduled(engine, data, "e1")
    for _ in range(2):
        engine.deliver("reports")
    (dead,) = engine.dead_letters("reports")
    assert dead.attributes[DEAD_LETTER_REASON].startswith("422: ")
    assert started(engine) == []


def test_asking_needs_an_administrator(engine: Engine) -> None:
    problem(engine["reports"].post("/admin/reports", json=DRIFT), 401, "unauthenticated")
    assert engine.events.depths()["reports"].pending == 0


def test_nothing_heavy_is_imported_with_the_function() -> None:
    heavy = ("grpc", "pandas", "pyarrow", "sklearn", "onnxruntime", "httpx", "numpy", "matplotlib", "fpdf")
    code = f"import functions.reports.main, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
