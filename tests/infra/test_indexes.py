"""The indexes that Firestore must be told to keep. Its emulator never misses one, so this has to."""

from __future__ import annotations

import ast
import itertools
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.access.admin_audit import AdminAudit
from shared.access.api_keys import ApiKeys
from shared.access.invitations import Invitation, Invitations
from shared.access.roles import Role
from shared.access.users import Users
from shared.alerts.changes import Rules
from shared.alerts.desk import AlertDesk
from shared.alerts.ledger import AlertLedger
from shared.alerts.raising import AlertBell, Severity
from shared.alerts.routes import Routes
from shared.market.calendar import calendar_named
from shared.market.store import CandleStore
from shared.market.tallies import Tallies
from shared.monitoring.audit import Audit
from shared.monitoring.deadletters import DeadLetters, State
from shared.monitoring.drift.checks import DriftChecks
from shared.monitoring.failures import DeliveryFailures
from shared.monitoring.freshness import CandleAges, CandleLimits
from shared.monitoring.history import History, HistoryKind
from shared.monitoring.latency.latencies import Latencies, Window
from shared.monitoring.metrics.providers import alert_gauges
from shared.monitoring.outcomes import Outcomes
from shared.monitoring.reports import Reports
from shared.platform.collections import COLLECTIONS
from shared.platform.gcp.indexes import Index, index_for, single_fields
from shared.platform.gcp.values import EXPIRY_FIELD, WRITE_FIELD
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.events import SqliteEvents
from shared.platform.migration import migrate
from shared.platform.ports import Document, Documents, Event, Filter, Order, Page, Write
from shared.platform.topics import TOPICS
from shared.platform.versioned import VersionedDocuments
from shared.problems.declared import Problems
from shared.registry import Registry
from shared.serving.scorings import Scorings
from shared.training.run_records import RunStatus
from shared.training.runs import Runs
from shared.uploads.uploads import Uploads

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "infra" / "firestore.indexes.json"
NOW = datetime(2020, 1, 1, tzinfo=UTC)

ELSEWHERE = {"shared/platform/local": "never on Firestore", "shared/platform/versioned.py": "passes on"}
"""Whose queries are no shapes of their own."""


@dataclass(frozen=True)
class Asked:
    """A query, and the file and line that asked."""

    file: str
    line: int
    collection: str
    where: tuple[Filter, ...]
    order_by: tuple[Order, ...]

    @property
    def needs(self) -> Index | None:
        return index_for(self.collection, self.where, self.order_by)


class RecordingDocuments:
    """Notes what is asked, and passes it on."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.asked: list[Asked] = []

    def get(self, collection: str, id: str) -> Document | None:
        return self._documents.get(collection, id)

    def query(
        self,
        collection: str,
        *,
        where: Sequence[Filter] = (),
        order_by: Sequence[Order] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        caller = sys._getframe(1)
        file = Path(caller.f_code.co_filename).relative_to(ROOT).as_posix()
        self.asked.append(Asked(file, caller.f_lineno, collection, tuple(where), tuple(order_by)))
        return self._documents.query(collection, where=where, order_by=order_by, limit=limit, cursor=cursor)

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        return self._documents.commit(writes)


@dataclass(frozen=True)
class Parts:
    documents: RecordingDocuments
    blobs: FolderBlobs
    events: SqliteEvents


def any_of(*values: Any) -> tuple[Any, ...]:
    """Each, and none: for filters that may be left out."""
    return (None, *values)


def ask_access(parts: Parts) -> None:
    Users(parts.documents, lambda: NOW, lambda: "id").list(limit=10, cursor=None)
    invitations = Invitations(parts.documents, lambda: NOW)
    invitations.list(limit=10, cursor=None)
    invitations.used(Invitation("id", "ada@example.org", Role.VIEWER, "root", NOW.isoformat()))
    for owner_id in any_of("somebody"):
        ApiKeys(parts.documents, lambda: NOW).list(owner_id=owner_id, limit=10, cursor=None)
    changes = AdminAudit(parts.documents, lambda: NOW, lambda: "id")
    moment = NOW.isoformat()
    for who, route, start, end in itertools.product(
        any_of("somebody"), any_of("POST /models/activate/{id}"), any_of(moment), any_of(moment)
    ):
        changes.list(who=who, route=route, start=start, end=end, limit=10, cursor=None)
    changes.clear(spare="none")


def ask_market(parts: Parts) -> None:
    list(CandleStore(parts.documents, parts.blobs).entries("1d"))


def bell(parts: Parts) -> AlertBell:
    return AlertBell(parts.events, lambda: NOW, lambda: "id", "//test")


def ask_alerts(parts: Parts) -> None:
    ledger = AlertLedger(parts.documents, parts.events, Rules(Routes(()), (), None), lambda: NOW)
    desk = AlertDesk(parts.documents, parts.events, ledger, lambda: NOW, lambda: "id")
    for state, severity, type_ in itertools.product(
        any_of("open", "resolved"), any_of(Severity.ERROR), any_of("drift")
    ):
        desk.list(state=state, severity=severity, type=type_, limit=10, cursor=None)
    desk.told("alert")


def ask_monitoring(parts: Parts) -> None:
    for symbol, model_id in itertools.product(any_of("AAPL"), any_of("market-signal-v1")):
        for since, until in itertools.product(any_of(NOW), any_of(NOW)):
            Audit(parts.documents, lambda: NOW).records(
                symbol=symbol, model_id=model_id, since=since, until=until, limit=10, cursor=None
            )
    letters = DeadLetters(parts.documents, parts.events, bell(parts), TOPICS, lambda: NOW)
    for state, function in itertools.product(any_of(State.DEAD), any_of("audit")):
        letters.list(state=state, function=function, limit=10, cursor=None)
    for function in any_of("predict"):
        Latencies(parts.documents, lambda: NOW).report(Window.HOUR, function=function)
    list(alert_gauges(parts.documents))
    event = Event("1", "//pubsub.googleapis.com/t", "t", NOW, {})
    DeliveryFailures(parts.documents, lambda: NOW).reason("audit", event)


def ask_freshness(parts: Parts) -> None:
    Tallies(parts.documents).since("1d", "2024-01-01", limit=10)
    limits = CandleLimits(missed=2, grace_seconds=0)
    ages = CandleAges(
        parts.documents, timeframe="1d", calendar=calendar_named("24/7"), limits=limits, now=lambda: NOW
    )
    for is_all in (False, True):
        ages.page(is_all=is_all, limit=10, cursor=None)
    ages.summary()


def ask_drift(parts: Parts) -> None:
    for model in ("market-signal", "market-signal-v1"):
        DriftChecks(parts.documents).newest(model)
    for kind, subject in itertools.product(any_of(HistoryKind.DRIFT), any_of("market-signal")):
        for start, end in itertools.product(any_of(NOW), any_of(NOW)):
            History(parts.documents).page(
                kind=kind, subject=subject, start=start, end=end, limit=10, cursor=None
            )


def ask_reports(parts: Parts) -> None:
    reports = Reports(parts.documents, parts.blobs, lambda: NOW, wall=lambda: NOW)
    for kind in any_of("drift"):
        reports.list(kind=kind, limit=10)


def ask_outcomes(parts: Parts) -> None:
    registry = Registry(parts.documents, parts.blobs, parts.events, lambda: NOW, lambda: uuid.uuid4().hex)
    outcomes = Outcomes(parts.documents, CandleStore(parts.documents, parts.blobs), registry, lambda: NOW)
    outcomes.settle("1d", ["AAPL", "MSFT"])
    outcomes.give_up_overdue()
    outcomes.waiting("market-signal-v1")
    for since in any_of(0):
        list(outcomes.of_model("market-signal-v1", since=since, limit=10))


def ask_registry(parts: Parts) -> None:
    registry = Registry(parts.documents, parts.blobs, parts.events, lambda: NOW, lambda: uuid.uuid4().hex)
    for name in any_of("market-signal"):
        registry.list(name)
    registry.of_run("run")
    registry.promotions("market-signal")
    registry.live_at("market-signal", NOW)
    for model in ("market-signal", "market-signal-v1"):
        registry.history(model)
    registry.touch_all(by="tester")


def ask_training(parts: Parts) -> None:
    for status in any_of(RunStatus.QUEUED):
        Runs(parts.documents, lambda: NOW).list(status=status)
    Runs(parts.documents, lambda: NOW).to_track(limit=1)
    Problems(parts.documents).names()


def ask_serving(parts: Parts) -> None:
    scorings = Scorings(parts.documents, lambda: NOW)
    scorings.list(limit=10, cursor=None)
    scorings.tasks("scoring")


def ask_uploads(parts: Parts) -> None:
    uploads = Uploads(parts.documents, lambda: NOW, wall=lambda: NOW)
    uploads.list(limit=10, cursor=None)
    uploads.under_way("owner", limit=10)
    uploads.of_owner("owner", limit=10, cursor=None)


def ask_platform(parts: Parts) -> None:
    migrate(VersionedDocuments(parts.documents), lambda _: None)


ASKERS: tuple[Callable[[Parts], None], ...] = (
    ask_access,
    ask_alerts,
    ask_market,
    ask_monitoring,
    ask_freshness,
    ask_outcomes,
    ask_drift,
    ask_registry,
    ask_reports,
    ask_training,
    ask_serving,
    ask_uploads,
    ask_platform,
)
"""A new query of the engine goes into one of these, with every combination of its filters."""


@pytest.fixture
def asked(tmp_path: Path) -> list[Asked]:
    """Every query of the engine, made once."""
    documents = RecordingDocuments(SqliteDocuments(tmp_path / "documents.sqlite3"))
    events = SqliteEvents(tmp_path / "events.sqlite3", TOPICS)
    parts = Parts(documents, FolderBlobs(tmp_path / "blobs"), events)
    for ask in ASKERS:
        ask(parts)
    return documents.asked


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def call_sites() -> Iterator[tuple[str, range]]:
    """Where the engine asks a store of documents: file and lines."""
    for path in sorted((ROOT / "shared").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if file.startswith(tuple(ELSEWHERE)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_query(node.func):
                yield file, range(node.lineno, (node.end_lineno or node.lineno) + 1)


def is_query(function: ast.expr) -> bool:
    if not (isinstance(function, ast.Attribute) and function.attr == "query"):
        return False
    asked = function.value
    name = asked.attr if isinstance(asked, ast.Attribute) else asked.id if isinstance(asked, ast.Name) else ""
    return name.lstrip("_") in ("documents", "stored")


def test_every_query_is_looked_at(asked: list[Asked]) -> None:
    sites = list(call_sites())
    assert len(sites) > 5
    missed = [
        f"{file}:{lines.start}"
        for file, lines in sites
        if not any(one.file == file and one.line in lines for one in asked)
    ]
    assert not missed, (
        f"No asker in {Path(__file__).name} makes the query at {', '.join(missed)}: add a call that does, "
        "with every combination of its filters, so that the index it needs is known."
    )


def test_the_list_has_the_indexes_that_are_needed_and_no_other(
    asked: list[Asked], listed: dict[str, Any]
) -> None:
    needed = {one.needs: f"{one.file}:{one.line}" for one in asked}
    wanted = {json.dumps(index.json()): by for index, by in needed.items() if index is not None}
    present = [json.dumps(index) for index in listed["indexes"]]
    gaps = "".join(f"\n  {index}   needed by {by}" for index, by in wanted.items() if index not in present)
    unused = "".join(f"\n  {index}" for index in present if index not in wanted)
    assert not gaps, f'Add to "indexes" in {FILE.relative_to(ROOT)}:{gaps}'
    assert not unused, f"No query needs these; remove from {FILE.relative_to(ROOT)}:{unused}"
    assert len(set(present)) == len(present)


def test_no_query_reads_an_index_that_is_switched_off(asked: list[Asked], listed: dict[str, Any]) -> None:
    fields = {(one["collectionGroup"], one["fieldPath"]): one["indexes"] for one in listed["fieldOverrides"]}
    clashes = {
        f"{one.file}:{one.line} reads {field} of {one.collection}"
        for one in asked
        if one.needs is None
        for field in single_fields(one.where, one.order_by)
        if not fields.get((one.collection, field), fields.get((one.collection, "*"), ["the usual ones"]))
    }
    assert not clashes, f'Remove these from "fieldOverrides" in {FILE.relative_to(ROOT)}: {sorted(clashes)}'


def test_what_stands_beside_a_document_is_in_no_index(asked: list[Asked], listed: dict[str, Any]) -> None:
    """Random tokens cost an index entry per write, and nobody asks for them."""
    off = {(one["collectionGroup"], one["fieldPath"]): one for one in listed["fieldOverrides"]}
    collections = {*COLLECTIONS, *(one.collection for one in asked)}
    missing = [
        name for name in sorted(collections) if (name, WRITE_FIELD) not in off and (name, "*") not in off
    ]
    lines = "".join(
        f'\n  {{"collectionGroup": "{name}", "fieldPath": "{WRITE_FIELD}", "indexes": []}}'
        for name in missing
    )
    assert not missing, f'Add to "fieldOverrides" in {FILE.relative_to(ROOT)}:{lines}'
    kept = {(name, field) for (name, field), one in off.items() if one["indexes"]}
    queried = {(one.collection, field) for one in asked for field in single_fields(one.where, one.order_by)}
    assert kept <= queried, "an index of its own that no query reads"


def test_what_expires_is_deleted_by_firestore(listed: dict[str, Any]) -> None:
    expiring = {
        (one["collectionGroup"], one["fieldPath"]) for one in listed["fieldOverrides"] if one.get("ttl")
    }
    wanted = {(name, EXPIRY_FIELD) for name, known in COLLECTIONS.items() if known.expires_field}
    assert expiring == wanted, 'An override with "ttl": true for each collection with an expires_field.'


A, B = Filter("a", "==", 1), Filter("b", "==", 1)
UP, DOWN = Order("x"), Order("x", descending=True)
RANGE = Filter("x", ">", 1)


@pytest.mark.parametrize(
    ("where", "order_by", "fields"),
    [
        ([], [], None),
        ([A], [], None),
        ([A, B], [], None),
        ([Filter("a", "in", [1, 2])], [], None),
        ([], [DOWN], None),
        ([RANGE], [], None),
        ([RANGE, Filter("x", "<", 9)], [DOWN], None),
        ([Filter("x", "!=", 1)], [], None),
        ([A], [Order("a", descending=True)], None),
        ([A], [DOWN], ["a", "-x"]),
        ([B, A], [UP], ["a", "b", "x"]),
        ([Filter("a", "in", [1, 2])], [UP], ["a", "x"]),
        ([A, RANGE], [], ["a", "x"]),
        ([RANGE], [Order("y", descending=True)], ["-y", "-x"]),
        ([RANGE, Filter("y", "<", 1)], [], ["x", "y"]),
        ([], [DOWN, Order("y")], ["-x", "y"]),
        ([A, RANGE], [DOWN, Order("y", descending=True)], ["a", "-x", "-y"]),
        ([Filter("m.n", "==", 1)], [UP], ["m.n", "x"]),
    ],
)
def test_a_query_needs_the_index_that_its_shape_says(
    where: list[Filter], order_by: list[Order], fields: list[str] | None
) -> None:
    expected = None
    if fields is not None:
        expected = Index("things", tuple((field.lstrip("-"), field.startswith("-")) for field in fields))
    assert index_for("things", where, order_by) == expected
