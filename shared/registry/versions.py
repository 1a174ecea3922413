"""Versions: which package is which version of which model, and what has become of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.errors import InvalidInput, NotFound
from shared.platform.cas import retry_conflicts
from shared.platform.ports import Create, Data, Documents, Filter, Order, Replace
from shared.registry.package import Package

VERSIONS = "model-versions"
COUNTERS = "model-counters"

_NAME = re.compile(r"(?!.*-v[0-9]+\Z)[a-z][a-z0-9-]{0,62}\Z")


class Status(StrEnum):
    """Rejected: its gates failed. Archived: it was live and isn't any more."""

    CANDIDATE = "candidate"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered package. Nothing of it changes but its status."""

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

    def to_data(self) -> Data:
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "created_at": to_text(self.created_at),
        }

    @staticmethod
    def from_data(data: Data) -> Version:
        changed: dict[str, Any] = {
            "status": Status(data["status"]),
            "failed_gates": tuple(data["failed_gates"]),
            "created_at": datetime.fromisoformat(data["created_at"]),
        }
        return Version(**{**data, **changed})


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Part of a list; `cursor` asks for what follows, None at the end."""

    versions: Sequence[Version]
    cursor: str | None


def to_text(time: datetime) -> str:
    """RFC 3339 in UTC with microseconds: text that sorts as time does."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def check_name(name: str) -> None:
    """
    Raises:
        InvalidInput: not a name for a model.
    """
    if not _NAME.match(name):
        raise InvalidInput(
            "A model's name is 1 to 63 of a-z, 0-9 and '-', begins with a letter, and doesn't end like a "
            f"version ('-v7'); found {name!r}."
        )


class Versions:
    """The versions' documents. Numbers of a name grow by one, without gaps, whoever adds at once."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, package: Package, *, created_at: datetime, created_by: str, run_id: str | None) -> Version:
        """A new version of this package, whose name is a checked one."""
        return retry_conflicts(lambda: self._add(package, created_at, created_by, run_id))

    def get(self, version_id: str) -> Version:
        """
        Raises:
            NotFound: no such version.
        """
        document = self._documents.get(VERSIONS, version_id)
        if document is None:
            raise NotFound(f"There is no model version {version_id!r}: GET /models lists those there are.")
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

    def move(self, version_id: str, status: Status) -> Replace:
        """The write that gives a version this status, if nobody else changes it meanwhile."""
        document = self._documents.get(VERSIONS, version_id)
        if document is None:
            raise NotFound(f"There is no model version {version_id!r}.")
        return Replace(VERSIONS, version_id, {**document.data, "status": status}, document.revision)

    def _add(self, package: Package, created_at: datetime, created_by: str, run_id: str | None) -> Version:
        manifest = package.manifest
        counter = self._documents.get(COUNTERS, manifest.name)
        number = 1 if counter is None else counter.data["last"] + 1
        version = Version(
            id=f"{manifest.name}-v{number}",
            name=manifest.name,
            version=number,
            status=Status.CANDIDATE if manifest.gates_passed else Status.REJECTED,
            package_hash=package.hash,
            problem=manifest.problem,
            algorithm=manifest.algorithm,
            gates_passed=manifest.gates_passed,
            failed_gates=tuple(gate.name for gate in manifest.gates if not gate.passed),
            suspected_leak=manifest.suspected_leak,
            created_at=created_at,
            created_by=created_by,
            run_id=run_id,
        )
        count: Create | Replace
        if counter is None:
            count = Create(COUNTERS, manifest.name, {"last": number})
        else:
            count = Replace(COUNTERS, manifest.name, {"last": number}, counter.revision)
        self._documents.commit([count, Create(VERSIONS, version.id, version.to_data())])
        return version
