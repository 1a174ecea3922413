"""The sections of a weekly summary on how things stand: drift, freshness, quality, alerts, models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from shared.alerts.desk import OPEN
from shared.alerts.record import AlertRecord
from shared.drift import Verdict
from shared.instance import Instance
from shared.jobs.reports.document import Section, State, Table
from shared.jobs.reports.html import NOTHING, counted, number
from shared.jobs.reports.week import Source, Week, pages
from shared.monitoring.freshness import SubjectKind
from shared.monitoring.freshness import Verdict as Age
from shared.monitoring.history import HistoryKind, Point
from shared.monitoring.quality.report import QualityVerdict
from shared.platform.times import utc
from shared.registry import Promotion, Version

SHOWN: Final = 20
SUBJECTS: Final = 10
_PAGE: Final = 200


def drift(source: Source) -> Section:
    """The checks of the week, and the reports on those that found drift."""
    instance, week = source.instance, source.week

    def read(cursor: str | None) -> tuple[Sequence[Point], str | None]:
        page = instance.history.page(
            kind=HistoryKind.DRIFT, subject=None, start=week.begin, end=week.end, limit=_PAGE, cursor=cursor
        )
        return page.points, page.cursor

    found = [point for point in pages(read) if point.at < utc(week.end)]
    if not found:
        return Section(title="Drift", headline="No model was checked for drift this week.", state=State.EMPTY)
    verdicts = Counter(point.values["verdict"] for point in found)
    drifted = sorted({point.subject for point in found if point.values["verdict"] == Verdict.DRIFT})
    unjudged = verdicts[Verdict.INSUFFICIENT_DATA]
    quiet = "Too few data to say whether any model has drifted." if unjudged == len(found) else "No drift."
    headline = f"Drift of {', '.join(drifted)}." if drifted else quiet
    told = f"{counted(len(found), 'checks')}: {verdicts[Verdict.DRIFT]:,} found drift, "
    told += f"{verdicts[Verdict.OK]:,} none, {unjudged:,} had too few data."
    reports = list(_reports(instance, found))
    return Section(
        title="Drift",
        headline=headline,
        needs_attention=bool(drifted),
        said=(told,),
        tables=(
            Table(
                "The last checks",
                ("Checked (UTC)", "Model", "Verdict", "Statistic / limit", "Most moved"),
                tuple(map(_check_row, found[:SHOWN])),
                left=(0, 1, 2, 4),
            ),
            *(
                [_named("Reports on those that found drift", ("Checked (UTC)", "Report"), reports)]
                if reports
                else []
            ),
        ),
    )


def freshness(source: Source) -> Section:
    """How old the candles, the live models and the last drift checks are now."""
    page = source.instance.freshness.page(limit=SUBJECTS)
    is_bad = page.verdict in (Age.STALE, Age.LATE)
    words = {
        Age.FRESH: "Candles, models and checks are fresh.",
        Age.GONE: "All is fresh, but for symbols that seem not to be traded any more.",
        Age.MISSING: "No candles are stored, or a model was never checked.",
        Age.LATE: "Something is overdue, within what is borne.",
        Age.STALE: "Something is older than is borne.",
    }
    rows = [
        (one.subject, one.kind.replace("_", " "), one.verdict, (one.at or NOTHING)[:10], one.why)
        for one in page.subjects
        if one.verdict is not Age.FRESH or one.kind is not SubjectKind.CANDLES
    ]
    more = (
        ("There are more symbols that are overdue: 'mlengine freshness' lists them.",) if page.cursor else ()
    )
    return Section(
        title="Freshness",
        headline=words[page.verdict],
        needs_attention=is_bad,
        said=(f"As of {_minute(page.checked_at)} UTC.", *more),
        tables=(_named("What is watched", ("Subject", "Kind", "Verdict", "From", "Why"), rows),)
        if rows
        else (),
    )


def quality(source: Source) -> Section:
    """What was found about the candles of the week's sessions."""
    instance, week = source.instance, source.week
    report = instance.quality.report(start=week.begin, end=min(week.end, week.now))
    total = sum(kind.count for kind in report.kinds)
    if not total:
        return Section(title="Data quality", headline="No findings about candles.", state=State.EMPTY)
    rising = [kind.kind for kind in report.kinds if kind.verdict is QualityVerdict.RISING]
    rows = [
        (
            kind.kind.replace("_", " "),
            f"{kind.count:,}",
            f"{kind.symbols:,}",
            kind.policy,
            kind.verdict,
            kind.why,
        )
        for kind in report.kinds
    ]
    head = ("Finding", "Candles", "Symbols", "Policy", "Verdict", "Why")
    rise = (
        f"more {', '.join(rising).replace('_', ' ')} than the past explains"
        if rising
        else "none of a kind that rises"
    )
    return Section(
        title="Data quality",
        headline=f"{counted(total, 'findings')} about candles, {rise}.",
        needs_attention=bool(rising),
        tables=(Table("Findings by kind", head, tuple(rows), left=(0, 3, 4, 5)),),
    )


def alerts(source: Source) -> Section:
    """The alerts that were first seen this week, and those that are open."""
    instance, week = source.instance, source.week
    opened = list(_alerts(instance, OPEN))
    seen = list(takewhile(lambda a: a.first_seen >= utc(week.begin), _alerts(instance, None)))
    new = [one for one in seen if one.first_seen < utc(week.end)]
    if not opened and not new:
        return Section(title="Alerts", headline="No alerts.", state=State.EMPTY)
    kinds = Counter(one.type for one in new)
    said = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in kinds.most_common())
    shown = {one.id: one for one in (*opened, *new)}
    rows = [
        (one.title, one.severity, one.state, _minute(one.first_seen), f"{one.count:,}")
        for one in list(shown.values())[:SHOWN]
    ]
    head = ("Alert", "Severity", "State", "First seen (UTC)", "Seen")
    return Section(
        title="Alerts",
        headline=f"{counted(len(new), 'alerts')} this week, {len(opened):,} open now.",
        needs_attention=bool(opened),
        said=(f"First seen this week: {said or 'none'}.",),
        tables=(Table("Open alerts, and those of the week", head, tuple(rows), left=(0, 1, 2, 3)),),
    )


def models(source: Source) -> Section:
    """What was registered and promoted this week, and what is live."""
    instance, week = source.instance, source.week
    registry = instance.registry

    def read(cursor: str | None) -> tuple[Sequence[Version], str | None]:
        page = registry.list(limit=_PAGE, cursor=cursor)
        return page.versions, page.cursor

    recent = takewhile(lambda version: version.created_at >= week.begin, pages(read))
    registered = [version for version in recent if version.created_at < week.end]
    names = sorted(registry.names())
    promoted = [change for name in names for change in _promotions(instance, week, name)]
    live = [active for name in names if (active := registry.active(name)) is not None]
    if not live and not registered:
        return Section(
            title="Models", headline="No model is live, and none was registered.", state=State.EMPTY
        )
    ages = [
        (
            active.version_id,
            f"{(week.now - registry.get(active.version_id).created_at).days:,}",
            f"{active.last.at:%Y-%m-%d}",
        )
        for active in live
    ]
    new = [
        (
            version.id,
            version.algorithm,
            "passed" if version.gates_passed else "failed",
            f"{version.created_at:%Y-%m-%d}",
        )
        for version in registered[:SHOWN]
    ]
    changes = [
        (
            f"{change.at:%Y-%m-%d %H:%M}",
            change.action.replace("_", " "),
            change.version_id,
            change.by,
            change.reason,
        )
        for change in promoted[:SHOWN]
    ]
    words = ", ".join(active.version_id for active in live) or "no model"
    changed = counted(len(promoted), "changes")
    tables = (
        Table("Live", ("Model", "Days since it was registered", "Live since"), tuple(ages), left=(0, 2)),
        _named("Registered this week", ("Model", "Algorithm", "Gates", "On"), new),
        _named("Changes of what is live", ("At (UTC)", "What", "Model", "By", "Reason"), changes),
    )
    return Section(
        title="Models",
        headline=f"Live: {words}; {len(registered):,} registered, {changed} of what is live.",
        tables=tuple(table for table in tables if table.rows),
    )


def _check_row(point: Point) -> tuple[str, ...]:
    values = point.values
    excess = [value for value in values["excess"].values() if value is not None]
    furthest = number(max(excess)) if excess else NOTHING
    moved = ", ".join(values["moved"][:3]) or NOTHING
    return _minute(point.at), values["model_id"], str(values["verdict"]).replace("_", " "), furthest, moved


def _reports(instance: Instance, found: Sequence[Point]) -> Iterator[tuple[str, ...]]:
    for point in [one for one in found if one.values["verdict"] == Verdict.DRIFT][:SHOWN]:
        check = instance.drift_checks.find(point.values["check_id"])
        if check is not None and check.report_url is not None:
            yield _minute(point.at), check.report_url.removeprefix("/reports/")


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _alerts(instance: Instance, state: str | None) -> Iterator[AlertRecord]:
    def read(cursor: str | None) -> tuple[Sequence[AlertRecord], str | None]:
        page = instance.alert_desk.list(state=state, severity=None, type=None, limit=_PAGE, cursor=cursor)
        return page.alerts, page.cursor

    return pages(read)


def _promotions(instance: Instance, week: Week, name: str) -> Sequence[Promotion]:
    def read(cursor: str | None) -> tuple[Sequence[Promotion], str | None]:
        page = instance.registry.promotions(name, limit=_PAGE, cursor=cursor)
        return page.promotions, page.cursor

    recent = takewhile(lambda change: change.at >= week.begin, pages(read))
    return [change for change in recent if change.at < week.end]


def _named(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    """A table of words alone."""
    return Table(caption, head, tuple(rows), left=tuple(range(len(head))))
