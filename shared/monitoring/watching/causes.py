"""Which causes have an alert now, and what a new look at them changes: one document per monitor.

An alert ends after `CALM_RUNS` clear readings in a row, each of another run. A run that comes again after it
was settled changes nothing. Alerts are published before they are noted: a run that breaks off in between is
done again, and tells the same, under the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.alerts.raising import AlertBell, alert_key
from shared.monitoring.watching.readings import Level, Reading
from shared.platform.cas import retry_conflicts
from shared.platform.names import key
from shared.platform.ports import Create, Documents, Replace

COLLECTION: Final = "watch-causes"
CALM_RUNS: Final = 2

_GONE = "It isn't found any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The keys of the alerts that a run has rung, resolved, and kept without ringing."""

    rung: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Active:
    """An alert that was rung and not resolved: since when, and how many clear readings there were since."""

    type: str
    cause: str
    since: str
    calm: int

    @property
    def key(self) -> str:
        return alert_key(self.type, self.cause)

    def data(self) -> Mapping[str, Any]:
        return {"type": self.type, "cause": self.cause, "since": self.since, "calm": self.calm}


class Causes:
    """Rings and resolves for all monitors."""

    def __init__(self, documents: Documents, bell: AlertBell) -> None:
        self._documents = documents
        self._bell = bell

    def settle(self, monitor: str, readings: Sequence[Reading], *, run_id: str, at: str) -> Decision:
        """Ring and resolve by what `monitor` has read in run `run_id`; durable on return.

        Raises:
            PlatformUnavailable: some of it may be told; the same run can be settled again.
        """
        return retry_conflicts(lambda: self._settle(monitor, readings, run_id, at))

    def _settle(self, monitor: str, readings: Sequence[Reading], run_id: str, at: str) -> Decision:
        found = self._documents.get(COLLECTION, monitor)
        data = {"run": None, "active": []} if found is None else found.data
        active = {one.key: one for one in (_Active(**fields) for fields in data["active"])}
        if data["run"] == run_id:
            return Decision(held=tuple(active))
        decision, after = self._decided(active, readings, run_id, at)
        fresh = {"run": run_id, "at": at, "active": [one.data() for one in after]}
        write = (
            Create(COLLECTION, monitor, fresh)
            if found is None
            else Replace(COLLECTION, monitor, fresh, found.revision)
        )
        self._documents.commit([write])
        return decision

    def _decided(
        self, active: Mapping[str, _Active], readings: Sequence[Reading], run_id: str, at: str
    ) -> tuple[Decision, Sequence[_Active]]:
        by_key = {reading.key: reading for reading in readings}
        after = [self._rung(one, active, run_id, at) for one in readings if one.level is Level.OVER]
        rung, resolved = [one.key for one in after], []
        for known in active.values():
            reading = by_key.get(known.key)
            calm = _calm(known, reading)
            if known.key in rung:
                continue
            if calm < CALM_RUNS:
                after.append(_Active(known.type, known.cause, known.since, calm))
                continue
            self._bell.resolve(known.type, known.cause, _GONE if reading is None else reading.body)
            resolved.append(known.key)
        held = [one.key for one in after if one.key not in rung]
        return Decision(rung=tuple(rung), resolved=tuple(resolved), held=tuple(held)), after

    def _rung(self, reading: Reading, active: Mapping[str, _Active], run_id: str, at: str) -> _Active:
        self._bell.ring(reading.alert, id=key(run_id, reading.key))
        known = active.get(reading.key)
        return _Active(reading.type, reading.cause, at if known is None else known.since, 0)


def _calm(known: _Active, reading: Reading | None) -> int:
    """How many clear readings there have been in a row."""
    if reading is None or reading.level is Level.CLEAR:
        return known.calm + 1
    return known.calm if reading.level is Level.UNKNOWN else 0
