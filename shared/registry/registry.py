"""The registry: keeps packages as versions, and says which one is live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.errors import AlreadyExists, Conflict, CorruptBlob, EngineError, NotFound, PackageRefused
from shared.logs import LOGGER
from shared.platform.ports import Blobs, Data, Documents, Event, Events, NewId, Now
from shared.platform.times import utc
from shared.registry import history
from shared.registry.history import Deed, HistoryPage
from shared.registry.manifest import Manifest
from shared.registry.package import MANIFEST, Package
from shared.registry.promotions import Active, Also, Pointers, Promotion, PromotionPage, check_gates
from shared.registry.versions import (
    AlsoOf,
    Registration,
    Status,
    Version,
    VersionPage,
    Versions,
    check_name,
    is_version_id,
)

SOURCE = "//mlengine/registry"
REGISTERED = "model.registered"
ACTIVATED = "model.activated"


class Registry:
    """Model packages as immutable versions, with one live version per model name.

    Events are sent when a change is durable already, and one that can't be sent is only logged. Who must
    not miss a change reads the pointer (`active`, as serving does), or the log down to the `seq` it knows.
    """

    def __init__(self, documents: Documents, blobs: Blobs, events: Events, now: Now, new_id: NewId) -> None:
        self._documents = documents
        self._versions = Versions(documents, new_id)
        self._pointers = Pointers(documents, self._versions, now, new_id)
        self._blobs = blobs
        self._events = events
        self._now = now

    def register(
        self,
        package: Package,
        *,
        created_by: str,
        run_id: str | None = None,
        owner: str | None = None,
        description: str = "",
        tags: Sequence[str] = (),
        also: AlsoOf = lambda _: (),
    ) -> Version:
        """Keep `package` as the next version of its model. What `also` gives for the version is written in
        the same batch.

        Raises:
            InvalidInput: not a name for a model.
            Conflict: the name belongs to a model of another owner, or of another origin.
            PackageRefused: its files aren't what its manifest says.
        """
        check_name(package.manifest.name)
        self._store(package)
        registration = Registration(self._now(), created_by, run_id, owner, description, tuple(tags))
        version = self._versions.add(package, registration, also)
        self._announce(REGISTERED, version.id, version.created_at, version.to_data())
        return version

    def get(self, version_id: str) -> Version:
        """
        Raises:
            NotFound: no such version.
        """
        return self._versions.get(version_id)

    def list(self, name: str | None = None, *, limit: int = 100, cursor: str | None = None) -> VersionPage:
        """Versions, newest first."""
        return self._versions.list(name, limit=limit, cursor=cursor)

    def require_free(self, name: str, *, origin: str, owner: str | None) -> None:
        """
        Raises:
            InvalidInput: not a name for a model.
            Conflict: the name belongs to a model of another owner, or of another origin.
        """
        check_name(name)
        self._versions.require_free(name, origin=origin, owner=owner)

    def edit(
        self, version_id: str, *, description: str | None, tags: Sequence[str] | None, by: str
    ) -> Version:
        """Change what people say of a version; None leaves it.

        Raises:
            NotFound: no such version.
        """

        def change(version: Version) -> Version:
            changed = replace(
                version,
                description=version.description if description is None else description,
                tags=version.tags if tags is None else tuple(tags),
            )
            return version if changed == version else changed

        return self._versions.change(version_id, change, deed=Deed.EDITED, at=self._now(), by=by)

    def delete(self, version_id: str, *, by: str, reason: str = "") -> Version:
        """Archive a version, and leave it out of lists; deleting twice is fine. Its bytes stay, since audited
        predictions refer to them, and whoever activates it has it back.

        Raises:
            NotFound: no such version.
            Conflict: it is live.
        """
        at = self._now()

        def change(version: Version) -> Version:
            active = self.active(version.name)  # after the version was read: an activation since replaces it
            if active is not None and active.version_id == version.id:
                raise Conflict(f"{version.id} is live, and can't be deleted: activate another version first.")
            if version.is_deleted:
                return version
            return replace(version, status=Status.ARCHIVED, deleted_at=utc(at), deleted_by=by)

        return self._versions.change(version_id, change, deed=Deed.DELETED, at=at, by=by, reason=reason)

    def history(self, id: str, *, limit: int = 100, cursor: str | None = None) -> HistoryPage:
        """What was done to a version, or by a model's name to all of its versions, newest first."""
        ask = history.of_version if is_version_id(id) else history.of_model
        return ask(self._documents, id, limit=limit, cursor=cursor)

    def of_run(self, run_id: str) -> Sequence[Version]:
        """The versions that a training run, or an upload, has registered."""
        return self._versions.of_run(run_id)

    def describe(self, id: str) -> tuple[Version, Manifest]:
        """A version by its id, or the live one by the model's name, with its manifest.

        Raises:
            NotFound: neither.
            PackageRefused: the manifest isn't the one that was registered.
        """
        active = self.active(id)
        version = self.get(id if active is None else active.version_id)
        return version, self._open(version).manifest

    def open_package(self, version_id: str) -> Package:
        """A version's package; each file is checked when it is read.

        Raises:
            NotFound: no such version.
            PackageRefused: the manifest isn't the one that was registered.
        """
        return self._open(self.get(version_id))

    def file(self, version_id: str, name: str) -> bytes:
        """One checked file of a version's package.

        Raises:
            NotFound: no such version, or packages have no such file.
            PackageRefused: the bytes aren't those that were registered.
        """
        package = self.open_package(version_id)
        if name == MANIFEST:
            return package.manifest_bytes
        if name not in package.manifest.files:
            raise NotFound(
                f"A package has no file {name!r}; it has {', '.join(sorted(package.manifest.files))}."
            )
        return package.file(name)

    def active(self, name: str) -> Active | None:
        """What is live, or None. One read of one document."""
        return self._pointers.get(name)

    def names(self) -> Sequence[str]:
        """The models that have a live version."""
        return self._pointers.names()

    def active_ids(self, names: Sequence[str]) -> frozenset[str]:
        """The live versions of these models."""
        found = map(self.active, set(names))
        return frozenset(active.version_id for active in found if active is not None)

    def activate(
        self,
        version_id: str,
        *,
        by: str,
        reason: str = "",
        allow_failed_gates: bool = False,
        also: Also = tuple,
    ) -> Promotion:
        """Make a version live, after checking its bytes and its golden vectors again.

        What is live already stays so, and the change that made it live is given again.
        `allow_failed_gates` counts only where nothing is live: for the first start. An uploaded version needs
        a `reason`, since no gate has judged it. What `also` gives is written in the same batch as the change.

        Raises:
            NotFound: no such version.
            GatesNotPassed
            PackageRefused: nothing has changed.
        """
        version = self.get(version_id)
        active = self.active(version.name)
        if active is not None and active.version_id == version_id:
            return active.last
        check_gates(version, active, allow_failed_gates=allow_failed_gates, reason=reason)
        self._verify(version)
        promotion = self._pointers.activate(
            version, by=by, reason=reason, allow_failed_gates=allow_failed_gates, also=also
        )
        return self._announced(promotion)

    def rollback(self, name: str, *, by: str, reason: str = "") -> Promotion:
        """Make the version live that was live before the present one; again for the one before that.

        Raises:
            NoActiveModel
            Conflict: there is none before, it was deleted, or the present one was replaced meanwhile.
            PackageRefused: the one before isn't what it was; nothing has changed.
        """
        active = self._pointers.require(name)
        if active.previous is None:
            raise Conflict(
                f"{active.version_id} is the first live version of {name!r}: there is none before it."
            )
        version = self.get(active.previous)
        self._verify(version)
        return self._announced(self._pointers.roll_back(active, version, by=by, reason=reason))

    def touch(self, name: str, *, by: str, reason: str = "") -> Promotion:
        """Let every instance read, verify and load the live version anew.

        Raises:
            NoActiveModel
        """
        return self._announced(self._pointers.touch(name, by=by, reason=reason))

    def touch_all(self, *, by: str, reason: str = "") -> Sequence[str]:
        """`touch` every model; gives the live versions."""
        return [self.touch(name, by=by, reason=reason).version_id for name in self._pointers.names()]

    def promotions(self, name: str, *, limit: int = 100, cursor: str | None = None) -> PromotionPage:
        """All changes of what is live, newest first."""
        return self._pointers.log(name, limit=limit, cursor=cursor)

    def live_at(self, name: str, time: datetime) -> Promotion | None:
        """The change that made live what was live at `time`; None before the first."""
        return self._pointers.live_at(name, time)

    def _store(self, package: Package) -> None:
        """Put the files where their hash says, so that equal packages share them."""
        for name, content in package.files().items():
            try:
                self._blobs.put(_blob(package.manifest.name, package.hash, name), content)
            except AlreadyExists:
                self._check_stored(package, name, content)

    def _check_stored(self, package: Package, name: str, content: bytes) -> None:
        stored = self._read(package.manifest.name, package.hash, name)
        if stored != content:
            raise PackageRefused(f"{name} of package {package.hash} is stored with other bytes.")

    def _open(self, version: Version) -> Package:
        def read(name: str) -> bytes:
            return self._read(version.name, version.package_hash, name)

        return Package.open(read(MANIFEST), read, expected_hash=version.package_hash)

    def _read(self, model: str, package_hash: str, name: str) -> bytes:
        try:
            return self._blobs.get(_blob(model, package_hash, name))
        except (NotFound, CorruptBlob) as error:
            raise PackageRefused(f"{name} of package {package_hash} can't be read: {error}") from error

    def _verify(self, version: Version) -> None:
        package = self._open(version)
        package.files()
        package.verified_scorer()

    def _announced(self, promotion: Promotion) -> Promotion:
        self._announce(ACTIVATED, promotion.id, promotion.at, promotion.to_data())
        return promotion

    def _announce(self, topic: str, id: str, time: datetime, data: Data) -> None:
        try:
            self._events.publish(topic, [Event(id, SOURCE, topic, time, data)])
        except EngineError as error:
            LOGGER.warning("event not sent", extra={"facts": {"topic": topic, "id": id, "why": error.detail}})


def _blob(model: str, package_hash: str, file: str) -> str:
    return f"models/{model}/{package_hash}/{file}"
