"""Versions: which package is which version of which model, and what has become of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from shared.errors import Conflict, InvalidInput, NotFound
from shared.names import fault_of_model_name
from shared.platform.cas import retry_conflicts
from shared.platform.ports import Create, Data, Document, Documents, Filter, NewId, Order, Replace, Write
from shared.platform.times import utc
from shared.registry.history import Deed, HistoryEntry
from shared.registry.package import Package

VERSIONS = "model-versions"
COUNTERS = "model-counters"

TRAINED: Final = "trained"
UPLOADED: Final = "uploaded"
"""The origins of models: made here, or elsewhere."""

_VERSION_ID = re.compile(r".*-v[0-9]+\Z", re.DOTALL)


class Status(StrEnum):
    """Rejected: its gates failed. Archived: it was live and isn't any more, or somebody has deleted it."""

    CANDIDATE = "candidate"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered package. Nothing of it changes but its status, and what people say of it.

    `run_id` is what made it: a training run, or an upload. `owner` is the user whose it is; None: of all.
    What is deleted is archived, with `deleted_at`: the bytes stay, since predictions refer to them.
    """

    id: str
    name: str
    version: int
    status: Status
    package_hash: str
    problem: str
    algorithm: str
    gates_passed: bool
    failed_gates: tuple[str, ...]
    suspected_leak: bool
    created_at: datetime
    created_by: str
    run_id: str | None
    origin: str = TRAINED
    owner: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    deleted_at: str | None = None
    deleted_by: str | None = None

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    def require_kept(self) -> None:
        """
        Raises:
            NotFound: it was deleted: nobody predicts by it until it is activated again.
        """
        if self.is_deleted:
            raise NotFound(
                f"{self.id} was deleted by {self.deleted_by} at {self.deleted_at}: name another version, or "
                f"the model {self.name!r} for the live one. Activating {self.id} brings it back."
            )

    def to_data(self) -> Data:
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "created_at": utc(self.created_at),
        }

    @staticmethod
    def from_data(data: Data) -> Version:
        changed: dict[str, Any] = {
            "status": Status(data["status"]),
            "failed_gates": tuple(data["failed_gates"]),
            "tags": tuple(data["tags"]),
            "created_at": datetime.fromisoformat(data["created_at"]),
        }
        return Version(**{**data, **changed})


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Part of a list; `cursor` asks for what follows, None at the end."""

    versions: Sequence[Version]
    cursor: str | None


AlsoOf: TypeAlias = Callable[[Version], Sequence[Write]]
"""Gives writes that go with a version, made anew at every attempt."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a package doesn't say of itself, and its version keeps."""

    created_at: datetime
    created_by: str
    run_id: str | None = None
    owner: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


def is_version_id(text: str) -> bool:
    """Whether it has the form of a version's id; model names never have."""
    return _VERSION_ID.match(text) is not None


def name_of(model: str) -> str:
    """The model's name, of a name or a version's id."""
    return model.rpartition("-v")[0] if is_version_id(model) else model


def check_name(name: str) -> None:
    """
    Raises:
        InvalidInput: not a name for a model.
    """
    fault = fault_of_model_name(name)
    if fault is not None:
        raise InvalidInput(fault)


class Versions:
    """The versions' documents. Numbers of a name grow by one, without gaps, whoever adds at once. A name is
    of one owner and one origin: nobody adds versions to somebody else's model.
    """

    def __init__(self, documents: Documents, new_id: NewId) -> None:
        self._documents = documents
        self._new_id = new_id

    def add(self, package: Package, registration: Registration, also: AlsoOf) -> Version:
        """A new version of this package, whose name is a checked one. What `also` gives for it is written in
        the same batch.

        Raises:
            Conflict: the name is somebody else's.
        """
        return retry_conflicts(lambda: self._add(package, registration, also))

    def require_free(self, name: str, *, origin: str, owner: str | None) -> None:
        """
        Raises:
            Conflict: the name is somebody else's.
        """
        self._require_theirs(self._documents.get(COUNTERS, name), name, origin, owner)

    def get(self, version_id: str) -> Version:
        """
        Raises:
            NotFound: no such version.
        """
        document = self._documents.get(VERSIONS, version_id)
        if document is None:
            raise unknown(version_id)
        return Version.from_data(document.data)

    def list(self, name: str | None, *, limit: int, cursor: str | None) -> VersionPage:
        """Newest first, of one model or of all."""
        order = Order("created_at" if name is None else "version", descending=True)
        where = [] if name is None else [Filter("name", "==", name)]
        page = self._documents.query(VERSIONS, where=where, order_by=[order], limit=limit, cursor=cursor)
        return VersionPage([Version.from_data(document.data) for document in page.documents], page.cursor)

    def of_run(self, run_id: str) -> Sequence[Version]:
        """Those that a training run has registered: one, or a few."""
        page = self._documents.query(VERSIONS, where=[Filter("run_id", "==", run_id)])
        return [Version.from_data(document.data) for document in page.documents]

    def change(
        self,
        version_id: str,
        change: Callable[[Version], Version],
        *,
        deed: Deed,
        at: datetime,
        by: str,
        reason: str = "",
    ) -> Version:
        """Write what `change` makes of the version, and the entry of its history that tells of it. `change`
        may be called often, and gives the version itself where there is nothing to change.

        Raises:
            NotFound: no such version; and what `change` raises.
        """

        def attempt() -> Version:
            document = self._documents.get(VERSIONS, version_id)
            if document is None:
                raise unknown(version_id)
            version = Version.from_data(document.data)
            changed = change(version)
            if changed is version:
                return version
            entry = HistoryEntry(self._new_id(), version.name, version_id, deed, at, by, reason)
            self._documents.commit(
                [Replace(VERSIONS, version_id, changed.to_data(), document.revision), entry.write()]
            )
            return changed

        return retry_conflicts(attempt)

    def move(self, version_id: str, status: Status, *, brings_back: bool = False) -> Replace:
        """The write that gives a version this status, if nobody else changes it meanwhile. With `brings_back`
        it isn't deleted any more.

        Raises:
            Conflict: it shall go live, was deleted, and isn't to be brought back.
        """
        document = self._documents.get(VERSIONS, version_id)
        if document is None:
            raise unknown(version_id)
        version = replace(Version.from_data(document.data), status=status)
        if brings_back:
            version = replace(version, deleted_at=None, deleted_by=None)
        elif version.is_deleted and status is Status.PRODUCTION:
            raise Conflict(
                f"{version.id} was live before, and {version.deleted_by} has deleted it: activate it by its "
                "id, if that is what you want."
            )
        return Replace(VERSIONS, version_id, version.to_data(), document.revision)

    def _add(self, package: Package, registration: Registration, also: AlsoOf) -> Version:
        manifest, owner = package.manifest, registration.owner
        counter = self._documents.get(COUNTERS, manifest.name)
        self._require_theirs(counter, manifest.name, manifest.origin, owner)
        number = 1 if counter is None else counter.data["last"] + 1
        version = Version(
            id=f"{manifest.name}-v{number}",
            name=manifest.name,
            version=number,
            status=Status.REJECTED if any(not gate.passed for gate in manifest.gates) else Status.CANDIDATE,
            package_hash=package.hash,
            problem=manifest.problem,
            algorithm=manifest.algorithm,
            gates_passed=manifest.gates_passed,
            failed_gates=tuple(gate.name for gate in manifest.gates if not gate.passed),
            suspected_leak=manifest.suspected_leak,
            created_at=registration.created_at,
            created_by=registration.created_by,
            run_id=registration.run_id,
            origin=manifest.origin,
            owner=owner,
            description=registration.description,
            tags=registration.tags,
        )
        count: Create | Replace
        counted = {"last": number, "origin": manifest.origin, "owner": owner}
        if counter is None:
            count = Create(COUNTERS, manifest.name, counted)
        else:
            count = Replace(COUNTERS, manifest.name, counted, counter.revision)
        at, by = registration.created_at, registration.created_by
        entry = HistoryEntry(version.id, version.name, version.id, Deed.REGISTERED, at, by)
        create = Create(VERSIONS, version.id, version.to_data())
        self._documents.commit([count, create, entry.write(), *also(version)])
        return version

    @staticmethod
    def _require_theirs(counter: Document | None, name: str, origin: str, owner: str | None) -> None:
        if counter is not None and (counter.data["origin"], counter.data["owner"]) != (origin, owner):
            raise Conflict(f"The name {name!r} belongs to another model: choose another one.")


def unknown(version_id: str) -> NotFound:
    """What is said of a version that isn't there, or mustn't be told of."""
    return NotFound(f"There is no model version {version_id!r}: GET /models lists those there are.")
