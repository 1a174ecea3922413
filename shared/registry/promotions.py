"""What is live: one pointer per model, and the log of all its changes.

The pointer is one document. It changes by compare-and-swap, in one batch with its entry in the log and
with the statuses of the versions that come and go: so there is one live version at any time, and one entry
for each change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from shared.errors import Conflict, GatesNotPassed, NoActiveModel
from shared.platform.cas import retry_conflicts
from shared.platform.ports import Create, Data, Document, Documents, Filter, NewId, Now, Order, Replace, Write
from shared.platform.times import utc
from shared.registry.history import Deed, HistoryEntry
from shared.registry.versions import UPLOADED, Status, Version, Versions

POINTERS = "active-models"
PROMOTIONS = "promotions"
MAX_HISTORY = 50

Also: TypeAlias = Callable[[], Sequence[Write]]
"""Gives writes, made anew at every attempt."""


class Action(StrEnum):
    ACTIVATED = "activated"
    ROLLED_BACK = "rolled_back"
    RELOADED = "reloaded"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One change of what is live. `seq` counts a model's changes from 1; `at` never falls with it.

    `previous` is the version that was replaced: None for the first activation and for a reload.
    """

    id: str
    name: str
    seq: int
    action: Action
    version_id: str
    package_hash: str
    gates_passed: bool
    previous: str | None
    at: datetime
    by: str
    reason: str

    def to_data(self) -> Data:
        return {**{name: getattr(self, name) for name in self.__slots__}, "at": utc(self.at)}

    @staticmethod
    def from_data(data: Data) -> Promotion:
        return Promotion(
            **{**data, "action": Action(data["action"]), "at": datetime.fromisoformat(data["at"])}
        )


@dataclass(frozen=True, slots=True)
class Active:
    """What is live. `revision` changes with every change, a reload included.

    `history` are the versions to roll back to, last first to be taken; `last` is the latest change.
    """

    name: str
    version_id: str
    package_hash: str
    gates_passed: bool
    history: tuple[str, ...]
    last: Promotion
    revision: str

    @property
    def previous(self) -> str | None:
        """The version that a rollback makes live."""
        return self.history[-1] if self.history else None


@dataclass(frozen=True, slots=True)
class PromotionPage:
    """Part of a log; `cursor` asks for what follows, None at the end."""

    promotions: Sequence[Promotion]
    cursor: str | None


class Pointers:
    """The live versions of all models, and their log."""

    def __init__(self, documents: Documents, versions: Versions, now: Now, new_id: NewId) -> None:
        self._documents = documents
        self._versions = versions
        self._now = now
        self._new_id = new_id

    def get(self, name: str) -> Active | None:
        """One read."""
        document = self._documents.get(POINTERS, name)
        return None if document is None else _active(document)

    def require(self, name: str) -> Active:
        """
        Raises:
            NoActiveModel
        """
        active = self.get(name)
        if active is None:
            raise NoActiveModel(f"No version of {name!r} is active: train one, then activate it.")
        return active

    def names(self) -> Sequence[str]:
        """The models that have a live version."""
        found: list[str] = []
        cursor = None
        while True:
            page = self._documents.query(POINTERS, limit=500, cursor=cursor)
            found += [document.id for document in page.documents]
            if page.cursor is None:
                return found
            cursor = page.cursor

    def activate(
        self, version: Version, *, by: str, reason: str, allow_failed_gates: bool, also: Also = tuple
    ) -> Promotion:
        """Make `version` live; when it is, its latest change is given and nothing written.

        What `also` gives is written in the same batch.

        Raises:
            GatesNotPassed
        """

        def attempt() -> Promotion:
            active = self.get(version.name)
            if active is not None and active.version_id == version.id:
                return active.last
            check_gates(version, active, allow_failed_gates=allow_failed_gates, reason=reason)
            history = () if active is None else (*active.history, active.version_id)
            return self._change(active, version, Action.ACTIVATED, history, by, reason, also)

        return retry_conflicts(attempt)

    def roll_back(self, seen: Active, version: Version, *, by: str, reason: str) -> Promotion:
        """Make `version`, the one before `seen`, live again.

        Raises:
            Conflict: `seen` isn't live any more, or `version` was deleted.
        """

        def attempt() -> Promotion:
            active = self.require(seen.name)
            if (active.version_id, active.history) != (seen.version_id, seen.history):
                raise Conflict(
                    f"{seen.version_id} was live when you asked to roll back; now it is {active.version_id}."
                    " Look again."
                )
            return self._change(active, version, Action.ROLLED_BACK, active.history[:-1], by, reason)

        return retry_conflicts(attempt)

    def touch(self, name: str, *, by: str, reason: str) -> Promotion:
        """Change nothing but the pointer's revision.

        Raises:
            NoActiveModel
        """

        def attempt() -> Promotion:
            active = self.require(name)
            version = self._versions.get(active.version_id)
            return self._change(active, version, Action.RELOADED, active.history, by, reason)

        return retry_conflicts(attempt)

    def log(self, name: str, *, limit: int, cursor: str | None) -> PromotionPage:
        """The changes, newest first."""
        page = self._documents.query(
            PROMOTIONS,
            where=[Filter("name", "==", name)],
            order_by=[Order("seq", descending=True)],
            limit=limit,
            cursor=cursor,
        )
        return PromotionPage([Promotion.from_data(document.data) for document in page.documents], page.cursor)

    def live_at(self, name: str, time: datetime) -> Promotion | None:
        """The change that made live what was live at `time`; None before the first."""
        page = self._documents.query(
            PROMOTIONS,
            where=[Filter("name", "==", name), Filter("at", "<=", utc(time))],
            order_by=[Order("at", descending=True), Order("seq", descending=True)],
            limit=1,
        )
        return Promotion.from_data(page.documents[0].data) if page.documents else None

    def _change(
        self,
        active: Active | None,
        version: Version,
        action: Action,
        history: tuple[str, ...],
        by: str,
        reason: str,
        also: Also = tuple,
    ) -> Promotion:
        replaced = None if active is None or active.version_id == version.id else active.version_id
        promotion = Promotion(
            id=self._new_id(),
            name=version.name,
            seq=1 if active is None else active.last.seq + 1,
            action=action,
            version_id=version.id,
            package_hash=version.package_hash,
            gates_passed=version.gates_passed,
            previous=replaced,
            at=self._now() if active is None else max(self._now(), active.last.at),
            by=by,
            reason=reason,
        )
        writes: list[Write] = [_point(active, promotion, history)]
        writes.append(Create(PROMOTIONS, promotion.id, promotion.to_data()))
        writes.append(_told(promotion, version.id, Deed(action)))
        if replaced is not None:
            writes.append(self._versions.move(replaced, Status.ARCHIVED))
            writes.append(_told(promotion, replaced, Deed.ARCHIVED))
        if action is not Action.RELOADED:
            brings_back = action is Action.ACTIVATED
            writes.append(self._versions.move(version.id, Status.PRODUCTION, brings_back=brings_back))
        self._documents.commit([*writes, *also()])
        return promotion


def check_gates(
    version: Version, active: Active | None, *, allow_failed_gates: bool, reason: str = ""
) -> None:
    """No gate has judged an uploaded model: a human's word stands in for them, as the reason, which is kept.

    Raises:
        GatesNotPassed: it failed its gates, unless `allow_failed_gates`, which counts only where nothing is
            live; or it was uploaded, and no reason is given.
    """
    if version.origin == UPLOADED:
        if reason.strip():
            return
        raise GatesNotPassed(
            f"{version.id} was uploaded: no gate has judged it, and only a human's word makes it live. Say "
            "in 'reason' who vouches for it, and on what evidence."
        )
    if version.gates_passed or (allow_failed_gates and active is None):
        return
    raise GatesNotPassed(
        f"{version.id} failed its gates ({', '.join(version.failed_gates)}) and can't be activated: "
        "train a better version."
    )


def _told(promotion: Promotion, version_id: str, deed: Deed) -> Create:
    return HistoryEntry(
        f"{promotion.id}.{deed}",
        promotion.name,
        version_id,
        deed,
        promotion.at,
        promotion.by,
        promotion.reason,
    ).write()


def _point(active: Active | None, promotion: Promotion, history: tuple[str, ...]) -> Create | Replace:
    data = {"history": list(history[-MAX_HISTORY:]), "last": promotion.to_data()}
    if active is None:
        return Create(POINTERS, promotion.name, data)
    return Replace(POINTERS, promotion.name, data, active.revision)


def _active(document: Document) -> Active:
    last = Promotion.from_data(document.data["last"])
    return Active(
        name=last.name,
        version_id=last.version_id,
        package_hash=last.package_hash,
        gates_passed=last.gates_passed,
        history=tuple(document.data["history"]),
        last=last,
        revision=document.revision,
    )
