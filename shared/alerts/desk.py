"""Where people look at alerts, look after them, and say that they are over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.alerts.changes import COLLECTION
from shared.alerts.channels.table import CHANNELS
from shared.alerts.ledger import SOURCE, AlertLedger
from shared.alerts.notifier import COLLECTION as NOTIFICATIONS
from shared.alerts.raising import TOPIC, Alert, AlertBell, Severity
from shared.alerts.record import AlertRecord, State, Told, record_of, told_of
from shared.errors import Conflict, FieldError, InvalidInput, NotFound
from shared.platform.ports import Documents, Event, Events, Filter, NewId, Now, Order

OPEN: Final = "open"
"""A filter for active and acknowledged alerts together."""

MAX_TOLD: Final = 200


@dataclass(frozen=True, slots=True)
class AlertPage:
    alerts: tuple[AlertRecord, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """What people do goes the way of every alert: an event first, which is then applied at once. So it is
    done, and told, also when this process dies in between.
    """

    documents: Documents
    events: Events
    ledger: AlertLedger
    now: Now
    new_id: NewId

    def list(
        self,
        *,
        state: str | None,
        severity: Severity | None,
        type: str | None,
        limit: int,
        cursor: str | None,
    ) -> AlertPage:
        """Those that were first seen last first. `state` may be `open`.

        Raises:
            InvalidInput: not a cursor of this listing.
        """
        equal = {"severity": severity and str(severity), "type": type}
        where = [Filter(field, "==", value) for field, value in equal.items() if value is not None]
        if state == OPEN:
            where.append(Filter("state", "in", [str(one) for one in State if one.is_open]))
        elif state is not None:
            where.append(Filter("state", "==", state))
        order = [Order("first_seen", descending=True)]
        page = self.documents.query(COLLECTION, where=where, order_by=order, limit=limit, cursor=cursor)
        return AlertPage(tuple(record_of(document.data) for document in page.documents), page.cursor)

    def get(self, alert_id: str) -> AlertRecord:
        """
        Raises:
            NotFound
        """
        found = self.documents.get(COLLECTION, alert_id)
        if found is None:
            raise NotFound(f"There is no alert {alert_id!r}. GET /alerts lists them.")
        return record_of(found.data)

    def told(self, alert_id: str) -> Sequence[Told]:
        """What became of its notifications, the newest last."""
        where = [Filter("alert_id", "==", alert_id)]
        page = self.documents.query(NOTIFICATIONS, where=where, limit=MAX_TOLD)
        return sorted(map(told_of, page.documents), key=lambda told: told.at)

    def acknowledge(self, alert_id: str, *, by: str, note: str | None) -> AlertRecord:
        """`by` looks after the alert: nobody is reminded of it unless it gets more severe.

        Raises:
            NotFound
            Conflict: somebody does already, or it is over.
        """
        alert = self.get(alert_id)
        if alert.state is State.ACKNOWLEDGED:
            raise Conflict(f"{alert.acknowledged_by} looks after the alert {alert_id} already.")
        self._require_open(alert)
        words = {"body": f"{by} looks after it.", **({} if note is None else {"note": note})}
        return self._said(alert, {"state": "acknowledged", "by": by, **words})

    def resolve(self, alert_id: str, *, by: str, why: str) -> AlertRecord:
        """`by` says that it is over. When it is seen again, that is a new alert.

        Raises:
            NotFound
            Conflict: it is over already.
        """
        alert = self.get(alert_id)
        self._require_open(alert)
        return self._said(alert, {"state": "resolved", "by": by, "body": why})

    def test(self, *, channel: str | None, by: str) -> AlertRecord:
        """Raise an alert that is none, to see whether it arrives: on `channel`, else where the routes say.

        Raises:
            InvalidInput: no such channel.
        """
        if channel is not None and channel not in CHANNELS:
            why = f"one of {', '.join(CHANNELS)}, found {channel!r}"
            raise InvalidInput(f"The channel must be {why}.", errors=[FieldError("/channel", why)])
        alert = Alert(
            type="test",
            severity=Severity.INFO,
            cause=f"test-{self.new_id()[:8]}",
            title="This is a test",
            body=f"{by} tries whether alerts arrive. If you read this, they do.",
        )
        event = AlertBell(self.events, self.now, self.new_id, SOURCE).raised(alert)
        chosen = {} if channel is None else {"channels": [channel]}
        self._apply(Event(event.id, SOURCE, TOPIC, event.time, {**event.data, **chosen}))
        return self.get(self.ledger.alert_id(alert.key))

    def _require_open(self, alert: AlertRecord) -> None:
        if not alert.state.is_open:
            by = f" by {alert.resolved_by}" if alert.resolved_by else ""
            raise Conflict(f"The alert {alert.id} was resolved{by} at {alert.resolved_at}.")

    def _said(self, alert: AlertRecord, said: dict[str, Any]) -> AlertRecord:
        known = {"type": alert.type, "cause": alert.cause, "key": alert.key, "alert_id": alert.id}
        self._apply(Event(self.new_id(), SOURCE, TOPIC, self.now(), {**known, **said}))
        return self.get(alert.id)

    def _apply(self, event: Event) -> None:
        self.events.publish(TOPIC, [event])
        self.ledger.hear(event)
