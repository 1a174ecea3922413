"""Makes the summary of a week: a page, a PDF, text and a mail, all from the same kept facts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from shared.errors import EngineError, InvalidInput
from shared.instance import Instance
from shared.jobs.reports import weekly_state as state
from shared.jobs.reports import weekly_use as use
from shared.jobs.reports.document import Section, State, Summary
from shared.jobs.reports.summary_mail import mailed
from shared.jobs.reports.summary_page import as_text, render
from shared.jobs.reports.summary_pdf import as_pdf
from shared.jobs.reports.week import Source, Week
from shared.logs import LOGGER
from shared.monitoring.reports import Report
from shared.monitoring.reports.records import PAGE, Made
from shared.platform.times import utc

SUMMARY: Final = "summary.json"
PDF: Final = "report.pdf"
TEXT: Final = "report.txt"

SECTIONS: Final[tuple[tuple[str, Callable[[Source], Section]], ...]] = (
    ("Predictions", use.predictions),
    ("Performance", use.performance),
    ("Drift", state.drift),
    ("Alerts", state.alerts),
    ("Freshness", state.freshness),
    ("Data quality", state.quality),
    ("Models", state.models),
    ("Latency and errors", use.latency),
    ("Cost", use.cost),
)


def make_weekly(instance: Instance, report: Report, check: Callable[[], None], *, is_patient: bool) -> Made:
    """The files of a weekly summary; `check` is called between the steps, and may raise.

    With `is_patient` what may pass ends the attempt, so that the next one tells all; without, the section
    that it hits says so, and the others are told.
    """
    if report.request.period is None:
        raise InvalidInput("A weekly summary names its week.")
    reports, platform = instance.reports, instance.platform
    week = Week.of(report.request.period, platform.now(), is_replay=platform.is_replay)

    def facts() -> bytes:
        source = Source(instance, week)
        sections = tuple(_told(title, tell, source, check, is_patient) for title, tell in SECTIONS)
        made_at, title = utc(week.now), f"ML Engine, week {week.period}"
        summary = Summary(
            report_id=report.report_id, title=title, period=week.words, made_at=made_at, sections=sections
        )
        return json.dumps(summary.json(), allow_nan=False).encode()

    kept = reports.keep(report.report_id, SUMMARY, facts)
    summary = Summary.from_json(json.loads(reports.content(kept)))
    made = [
        reports.keep(report.report_id, name, content)
        for name, content in (
            (PAGE, lambda: render(summary).encode()),
            (PDF, lambda: as_pdf(summary)),
            (TEXT, lambda: as_text(summary).encode()),
        )
    ]
    check()
    failed = [part.headline for part in summary.sections if part.state is State.FAILED]
    notes = (*failed, *mailed(instance, summary, is_patient=is_patient))
    return Made(summary.title, summary.conclusion, (*made, kept), notes)


def _told(
    title: str, tell: Callable[[Source], Section], source: Source, check: Callable[[], None], is_patient: bool
) -> Section:
    """The section; where its source fails, one that says why."""
    check()
    try:
        return tell(source)
    except EngineError as error:
        if error.retryable and is_patient:
            raise
        return _failed(title, str(error))
    except Exception as error:  # noqa: BLE001 - one section must not take the others with it
        LOGGER.exception("a section failed", extra={"facts": {"section": title}})
        return _failed(title, f"{type(error).__name__}: {error}")


def _failed(title: str, why: str) -> Section:
    headline = f"{title} couldn't be told: {why}"
    return Section(title=title, headline=headline, state=State.FAILED, needs_attention=True)
