"""Tells of a check: to who takes `drift.reported`, to people by an alert, to the maker of reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared.alerts.raising import Alert, AlertBell, Severity
from shared.drift import Verdict
from shared.monitoring.drift.checks import DriftChecks
from shared.monitoring.drift.record import DriftCheck
from shared.platform.names import key
from shared.platform.ports import Event, Events, Now

SOURCE: Final = "//mlengine/drift"
REPORTED: Final = "drift.reported"
REPORT_REQUESTED: Final = "reports.requested"
ALERT: Final = "drift"


@dataclass(frozen=True, slots=True)
class Announcer:
    """Each event has an id made of the check's: telling of a check again is the same event."""

    checks: DriftChecks
    bell: AlertBell
    events: Events
    now: Now

    def announce(self, check: DriftCheck) -> None:
        """Durable on return. A check of a version that wasn't live, or that is no longer the model's newest,
        raises no alert and ends none.
        """
        self._publish(REPORTED, key(REPORTED, check.check_id), check.summary())
        if check.verdict == Verdict.DRIFT:
            request = {"kind": "drift", "check_id": check.check_id}
            self._publish(REPORT_REQUESTED, key(REPORT_REQUESTED, check.check_id), request)
        if check.is_live and self._is_newest(check):
            self._ring(check)

    def _ring(self, check: DriftCheck) -> None:
        if check.verdict == Verdict.DRIFT:
            self.bell.ring(_alert(check), id=key(ALERT, check.check_id))
        elif check.verdict == Verdict.OK:
            self.bell.resolve(ALERT, check.model, f"No drift of {check.model_id}: {check.why}")

    def _is_newest(self, check: DriftCheck) -> bool:
        newest = self.checks.newest(check.model)
        return newest is None or newest.checked_at <= check.checked_at

    def _publish(self, topic: str, id: str, data: dict[str, Any]) -> None:
        self.events.publish(topic, [Event(id, SOURCE, topic, self.now(), data)])


def _alert(check: DriftCheck) -> Alert:
    lengths = " and ".join(str(length) for length in check.drifted_lengths)
    return Alert(
        type=ALERT,
        severity=Severity.WARNING,
        cause=check.model,
        title=f"{check.model} meets other data than it was trained on",
        body=f"{check.model_id}, over the last {lengths} {check.unit}: {check.why} See 'mlengine drift'; "
        "if it lasts, train the model anew with 'mlengine train'.",
        facts=check.summary(),
    )
