"""The weekly summary: what it tells, what it does when a part can't be told, and how it is sent."""

from __future__ import annotations

import email
import email.policy
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pypdf
import pytest

from shared.alerts.raising import Alert, Severity
from shared.errors import PlatformUnavailable
from shared.instance import Instance
from shared.jobs.report import ReportJob
from shared.jobs.reports.document import Bars, Section, State, Summary, Table
from shared.jobs.reports.summary_mail import mailed
from shared.jobs.reports.summary_page import as_mail, as_text, render
from shared.jobs.reports.summary_pdf import as_pdf
from shared.jobs.reports.week import Week
from shared.jobs.task import Exit, Task
from shared.monitoring.history import HistoryKind
from shared.monitoring.latency.histogram import Histogram
from shared.monitoring.latency.latencies import Latencies
from shared.monitoring.latency.measured import Measured, Requests
from shared.monitoring.reports import Report, ReportKind, ReportStatus
from shared.monitoring.reports.periods import bounds, last_week, week_of
from shared.platform.ports import Event, Put
from tests.alerts.receivers import Certificate, Mailbox, certificate, mailbox
from tests.jobs.reported import Seen, instance_at, page, requested
from tests.jobs.scored import PassedOn
from tests.packages import active
from tests.predicted import FIRST, Market

DAYS = 30
PLATFORM = Task(is_by_hand=False, retries=3)
LAST = replace(PLATFORM, attempt=3)
MADE_AT = "2026-02-09T06:00:00Z"
USER, PASSWORD = "ann", "a-password"
HOSTILE = "<script>alert('x')</script> &amp; \x00 字"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A market in the middle of a week: predictions, some settled, a check, an alert, requests."""
    market = Market(tmp_path_factory.mktemp("weekly") / "home", 3, FIRST + DAYS)
    active(market.instance.registry)
    market.close(FIRST + DAYS - 1)
    for day in range(DAYS):
        market.instance.audit.store(market.predict(FIRST + day))
    instance, now = market.instance, market.clock()
    instance.outcomes.settle("1d", list(market.series))
    found = {"verdict": "drift", "excess": {"5": 1.4, "20": None}, "moved": ["rsi_14"], "unit": "sessions"}
    values = {**found, "model_id": "market-signal-v1", "check_id": "c1"}
    instance.history.add(HistoryKind.DRIFT, "market-signal", now, values, "c1")
    alert = Alert(type="drift", severity=Severity.WARNING, cause="m", title="It drifts", body="Far.")
    instance.alert_ledger.hear(instance.alert_bell("//test").raised(alert))
    Latencies(instance.platform.documents, market.clock).merge(
        [(Event("m1", "//test", "measurements.made", now, {}), _requests(now))]
    )
    return market


def _requests(at: datetime) -> Measured:
    histogram = Histogram()
    for _ in range(50):
        histogram.record(0.02)

    def told(status: int) -> Requests:
        return Requests(
            at=at,
            function="predict",
            route="GET /predict",
            model_id="market-signal-v1",
            status=status,
            counts=histogram.counts_text(),
            sum_us=histogram.sum_us,
        )

    return Measured(instance_id="i1", requests=(told(200), told(500)), cold_starts=())


def asked(instance: Instance, report_id: str = "r1") -> Report:
    period = week_of(instance.platform.now())
    return requested(instance, report_id, kind=ReportKind.WEEKLY, check_id=None, period=period)


def work(instance: Instance, report_id: str = "r1", *, by: Task = PLATFORM) -> Exit:
    return ReportJob(instance, by).work_on(report_id)


def file(instance: Instance, name: str, report_id: str = "r1") -> bytes:
    return instance.reports.content(
        next(one for one in instance.reports.get(report_id).files if one.name == name)
    )


def sections(instance: Instance, report_id: str = "r1") -> dict[str, Any]:
    found = json.loads(file(instance, "summary.json", report_id))["sections"]
    return {section["title"]: section for section in found}


def words_of(pdf: bytes) -> str:
    reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def test_a_week_without_anything_says_so_plainly(tmp_path: Path) -> None:
    instance = instance_at(tmp_path / "home")
    asked(instance)
    assert work(instance) is Exit.DONE
    told = sections(instance)
    assert {title: section["headline"] for title, section in told.items()} == {
        "Predictions": "No predictions this week.",
        "Performance": "No model is live.",
        "Drift": "No model was checked for drift this week.",
        "Alerts": "No alerts.",
        "Freshness": "No candles are stored, or a model was never checked.",
        "Data quality": "No findings about candles.",
        "Models": "No model is live, and none was registered.",
        "Latency and errors": "No requests were measured.",
        "Cost": told["Cost"]["headline"],
    }
    assert "by estimate" in told["Cost"]["headline"]
    seen = Seen(page(instance))
    assert seen.wrong == []
    for section in told.values():
        for shown in (seen.text, " ".join(page(instance, name="report.txt").split())):
            assert section["headline"] in shown


def test_a_busy_week_is_told_section_by_section(busy: Market) -> None:
    instance, now = busy.instance, busy.clock()
    asked(instance)
    assert work(instance) is Exit.DONE
    week = Week.of(week_of(now), now)
    told = sections(instance)
    predicted = 3 * sum(week.has(now - timedelta(days=day)) for day in range(DAYS))
    assert told["Predictions"]["headline"] == f"{predicted} predictions by 1 model."
    assert sum(amount for _, amount in told["Predictions"]["bars"][0]["values"]) == predicted
    assert told["Drift"]["headline"] == "Drift of market-signal."
    assert told["Drift"]["tables"][0]["rows"][0][2:] == ["drift", "1.40", "rsi_14"]
    assert told["Alerts"]["headline"] == "1 alert this week, 1 open now."
    assert told["Latency and errors"]["headline"] == "Of 100 requests 50 failed by our fault."
    assert told["Latency and errors"]["tables"][0]["rows"][0][:3] == ["predict", "100", "50"]
    assert told["Models"]["headline"].startswith("Live: market-signal-v1; ")
    rows = told["Performance"]["tables"][0]["rows"]
    assert rows[0][0] == "market-signal-v1"
    assert {"always up", "base rate"} <= {row[0] for row in rows[1:]}
    assert all(section["state"] == "told" or section["title"] == "Data quality" for section in told.values())
    needing = {title for title, section in told.items() if section["needs_attention"]}
    assert {"Drift", "Alerts", "Latency and errors"} <= needing
    report = instance.reports.get("r1")
    assert report.summary.startswith("Drift of market-signal.")
    assert Seen(page(instance)).wrong == []


def test_page_pdf_and_text_say_the_same(busy: Market) -> None:
    instance = busy.instance
    asked(instance, "r2")
    assert work(instance, "r2") is Exit.DONE
    summary = Summary.from_json(json.loads(file(instance, "summary.json", "r2")))
    assert Summary.from_json(json.loads(json.dumps(summary.json()))) == summary
    shown = {
        "page": Seen(page(instance, "r2")).text,
        "pdf": words_of(file(instance, "report.pdf", "r2")),
        "text": " ".join(file(instance, "report.txt", "r2").decode().split()),
        "mail": Seen(as_mail(summary)).text,
    }
    for name, said in shown.items():
        for part in summary.sections:
            assert part.headline in said, (name, part.headline)
            for table in part.tables:
                for cell in (cell for row in table.rows for cell in row if " " not in cell):
                    assert cell in said.replace(" ", "") or cell in said, (name, cell)
    assert as_pdf(summary) == file(instance, "report.pdf", "r2")


def test_a_section_whose_source_fails_says_why_and_the_others_are_told(tmp_path: Path) -> None:
    instance = instance_at(tmp_path / "home")
    now = instance.platform.now()
    broken = {"kind": "drift", "subject": "m", "at": now.isoformat().replace("+00:00", "Z"), "values": {}}
    instance.platform.documents.commit([Put("monitoring-history", "x", broken)])
    asked(instance)
    assert work(instance) is Exit.DONE
    told = sections(instance)
    assert (told["Drift"]["state"], "KeyError" in told["Drift"]["headline"]) == ("failed", True)
    assert [title for title, section in told.items() if section["state"] == "failed"] == ["Drift"]
    assert told["Drift"]["headline"] in instance.reports.get("r1").notes
    assert "Drift couldn't be told" in Seen(page(instance)).text


def test_what_may_pass_is_tried_again_and_told_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))
    instance = instance_at(tmp_path / "home")

    class Documents:
        def query(self, collection: str, **options: Any) -> Any:
            if collection == "predictions":
                raise PlatformUnavailable("The store is away.")
            return instance.platform.documents.query(collection, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(instance.platform.documents, name)

    away = Instance(instance.settings, replace(instance.platform, documents=Documents()))
    asked(instance)
    assert work(away) is Exit.TRY_AGAIN
    assert instance.reports.get("r1").status is ReportStatus.RUNNING
    assert work(away, by=LAST) is Exit.DONE
    told = sections(instance)
    assert [title for title, section in told.items() if section["state"] == "failed"] == [
        "Predictions",
        "Cost",
    ]
    assert instance.reports.get("r1").status is ReportStatus.SUCCEEDED


def test_what_an_attempt_has_told_the_next_one_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))
    instance = instance_at(tmp_path / "home")

    class Away(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            if name.endswith("report.pdf"):
                raise PlatformUnavailable("The store is away.")
            return super().put(name, content)

    blobs = Away(instance.platform.blobs)
    asked(instance)
    assert work(Instance(instance.settings, replace(instance.platform, blobs=blobs))) is Exit.TRY_AGAIN
    active(instance.registry)
    assert work(instance, by=replace(PLATFORM, attempt=1)) is Exit.DONE
    assert sections(instance)["Models"]["headline"] == "No model is live, and none was registered."
    assert "No model is live, and none was registered." in words_of(file(instance, "report.pdf"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def box(made: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    with mailbox(made.context, security="starttls", user=USER, password=PASSWORD) as one:
        yield one


def mailing(home: Path, port: int) -> Instance:
    server = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_user": USER, "smtp_password": PASSWORD}
    to = ("ops@example.com", "boss@example.com")
    return instance_at(home, **server, smtp_from="Engine <engine@example.com>", smtp_to=to)


def test_it_is_mailed_once_with_text_html_and_pdf(tmp_path: Path, box: Mailbox) -> None:
    instance = mailing(tmp_path / "home", box.port)
    asked(instance)
    assert work(instance) is Exit.DONE
    assert instance.reports.get("r1").notes == ()
    summary = Summary.from_json(json.loads(file(instance, "summary.json")))
    assert mailed(instance, summary, is_patient=True) == ()  # as an attempt that was killed after the mail
    (envelope,) = box.envelopes
    assert envelope.rcpt_tos == ["ops@example.com", "boss@example.com"]
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert mail["Subject"] == f"ML Engine, week {week_of(instance.platform.now())}"
    assert mail["Message-ID"] == "<r1@reports.mlengine.invalid>"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "No predictions this week." in text.get_content()
    seen = Seen(html.get_content())
    assert (seen.wrong, "No predictions this week." in seen.text) == ([], True)
    (pdf,) = mail.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("report.pdf", file(instance, "report.pdf"))


def test_a_mail_server_that_refuses_is_noted_and_the_report_is_made(tmp_path: Path, box: Mailbox) -> None:
    box.after_data = "554 no"
    instance = mailing(tmp_path / "home", box.port)
    asked(instance)
    assert work(instance) is Exit.DONE
    report = instance.reports.get("r1")
    assert (report.status, "554" in report.notes[0]) == (ReportStatus.SUCCEEDED, True)


def test_a_mail_server_that_is_busy_is_asked_again_and_noted_in_the_end(
    tmp_path: Path, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))
    box.after_data = "451 later"
    instance = mailing(tmp_path / "home", box.port)
    asked(instance)
    assert work(instance) is Exit.TRY_AGAIN
    assert work(instance, by=LAST) is Exit.DONE
    assert "451" in instance.reports.get("r1").notes[0]


def test_names_are_text_in_every_form() -> None:
    bars = Bars(HOSTILE, ((HOSTILE, 3.0), ("nothing", 0.0)))
    table = Table(HOSTILE, (HOSTILE, "n"), ((HOSTILE, "1"), ("x" * 400, "2")))
    section = Section(title=HOSTILE, headline=HOSTILE, said=(HOSTILE,), bars=(bars,), tables=(table,))
    failed = replace(section, state=State.FAILED, needs_attention=True)
    summary = Summary(
        report_id="r1",
        title=HOSTILE,
        period=HOSTILE,
        made_at=MADE_AT,
        sections=(section, failed),
    )
    for shown in (render(summary), as_mail(summary)):
        seen = Seen(shown)
        assert seen.wrong == []
        assert seen.text.count("<script>alert('x')</script>") >= 10
    assert "<script>" in as_text(summary)
    assert "alert('x')" in words_of(as_pdf(summary))


def test_a_long_table_goes_on_over_pages() -> None:
    rows = tuple((f"S{number}", f"{number}") for number in range(200))
    section = Section(title="Long", headline="Long.", tables=(Table("Many", ("Symbol", "n"), rows),))
    summary = Summary(report_id="r1", title="T", period="P", made_at=MADE_AT, sections=(section,))
    pdf = as_pdf(summary)
    assert len(pypdf.PdfReader(io.BytesIO(pdf)).pages) > 2
    words = words_of(pdf).split()
    assert [word for word in words if word.startswith("S") and word[1:].isdigit()] == [row[0] for row in rows]


@pytest.mark.parametrize(
    ("moment", "week", "last"),
    [
        ("2026-01-04T23:59:59", "2026-W01", "2025-W52"),
        ("2026-01-05T00:00:00", "2026-W02", "2026-W01"),
        ("2021-01-03T12:00:00", "2020-W53", "2020-W52"),
    ],
)
def test_weeks_are_those_of_iso_8601(moment: str, week: str, last: str) -> None:
    time = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert (week_of(time), last_week(time)) == (week, last)
    begin, end = bounds(week)
    assert begin <= time < end
    assert (begin.weekday(), end - begin) == (0, timedelta(days=7))
