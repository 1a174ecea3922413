"""Where models are taken in, watched and handed on. The work is done by the job `convert`."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from shared.access.identity import Identity
from shared.access.roles import Role
from shared.errors import (
    AlreadyExists,
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
)
from shared.names import WORDS_OF_ROUTES
from shared.platform.ports import Blobs, Event, Events, Jobs, NewId, Now, UploadUrl
from shared.platform.times import utc
from shared.registry import Registry
from shared.registry.versions import UPLOADED
from shared.uploads.records import Upload, UploadPage, UploadStatus
from shared.uploads.request import UploadRequest
from shared.uploads.sniffing import POINTER, refuse_unlike
from shared.uploads.uploads import Uploads

TOPIC: Final = "uploads.requested"
JOB: Final = "convert"
SOURCE: Final = "//mlengine/uploads"

URL_SECONDS: Final = 3_600
MAX_UNDER_WAY: Final = 10
"""Of one owner: each conversion is a machine for a while."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that awaits its file, and how its sender puts that."""

    upload: Upload
    url: UploadUrl


@dataclass(frozen=True, slots=True)
class UploadDesk:
    """A file becomes an event before it is answered, and a job when the event is delivered.

    The upload's id is the event's and the execution's: however often either is repeated, one job runs. What
    can be seen at a glance is refused at once; all else is the job's, in a process of its own.
    """

    uploads: Uploads
    registry: Registry
    blobs: Blobs
    events: Events
    jobs: Jobs
    now: Now
    new_id: NewId
    is_reserved: Callable[[str], bool]
    """Whether a name belongs to the models of a problem, be there any or not."""

    def take(self, request: UploadRequest, content: bytes, by: Identity) -> Upload:
        """A queued upload; durable on return.

        Raises:
            Unauthenticated, Forbidden: not the caller's to upload.
            InvalidInput: the request or the file can't be used, at a glance.
            Conflict: the name is somebody else's, or too many uploads are under way.
        """
        self._check(request, by)
        refuse_unlike(content, request.format)
        upload = self._made(request, len(content), hashlib.sha256(content).hexdigest(), by)
        self.blobs.put(upload.request_blob, request.to_json())
        self.blobs.put(upload.model_blob, content)
        return self._queued(upload)

    def begin(self, request: UploadRequest, *, size_bytes: int, sha256: str, by: Identity) -> Begun:
        """An upload that awaits its file, which is put to a URL of its own.

        Raises:
            Unauthenticated, Forbidden, InvalidInput, Conflict: as `take`.
        """
        self._check(request, by)
        upload = self._made(request, size_bytes, sha256, by)
        self.blobs.put(upload.request_blob, request.to_json())
        url = self.blobs.upload_url(upload.model_blob, size_bytes=size_bytes, seconds=URL_SECONDS)
        token_hash = None
        if url is None:
            token = secrets.token_urlsafe(32)
            token_hash = _hash(token)
            path = f"/models/uploads/{upload.upload_id}/content?token={token}"
            url = UploadUrl(path, "PUT", {"content-type": "application/octet-stream"})
        expires_at = utc(self.now() + timedelta(seconds=URL_SECONDS))
        status = UploadStatus.RECEIVING
        awaiting = replace(upload, status=status, expires_at=expires_at, token_hash=token_hash)
        return Begun(self.uploads.create(awaiting), url)

    def awaited(self, upload_id: str, token: str) -> Upload:
        """The upload whose file may be put with this token.

        Raises:
            NotFound: there is none, or its time is over.
        """
        unknown = NotFound("Nothing is awaited here: the URL is wrong, was used, or its time is over.")
        try:
            upload = self._looked_after(self.uploads.get(upload_id))
        except NotFound as error:
            raise unknown from error
        if upload.token_hash is None or not hmac.compare_digest(upload.token_hash, _hash(token)):
            raise unknown
        return upload

    def receive(self, upload_id: str, token: str, content: bytes) -> Upload:
        """Take the file of an upload that was begun, where the store takes none itself.

        Raises:
            NotFound: there is no such upload for this token, or its time is over.
            InvalidInput: another size or sha256 than was announced, or it isn't what it was said to be.
        """
        upload = self.awaited(upload_id, token)
        _check_announced(upload, content)
        refuse_unlike(content, upload.format)
        with suppress(AlreadyExists):  # it has come before, with the same sha256
            self.blobs.put(upload.model_blob, content)
        return upload

    def complete(self, upload_id: str, by: Identity) -> Upload:
        """The file has been put: have it converted. Saying so twice is fine.

        Raises:
            NotFound: no such upload of the caller's.
            Conflict: the file isn't there, or too many uploads are under way.
        """
        upload = self.status(upload_id, by)
        if upload.status is not UploadStatus.RECEIVING:
            return upload
        self._require_file(upload)
        self._require_few_under_way(upload.owner)
        return self._queued(upload)

    def start(self, announced: Upload) -> Upload:
        """Start the job of an upload; nothing happens when it was started or has ended."""
        upload = self.uploads.create(announced)
        if upload.status is UploadStatus.RECEIVING:
            upload = self.uploads.queue(upload.upload_id)
        if not upload.status.has_ended:
            self.jobs.start(JOB, ["--upload", upload.upload_id], execution_id=upload.upload_id)
        return upload

    def status(self, upload_id: str, by: Identity) -> Upload:
        """The upload; one whose job is gone is ended here.

        Raises:
            NotFound: no such upload that the caller may see.
        """
        upload = self.uploads.get(upload_id)
        if not _is_theirs(upload, by):
            raise NotFound(f"There is no upload {upload_id!r}: GET /models/uploads lists those there are.")
        return self._looked_after(upload)

    def list(self, by: Identity, *, limit: int, cursor: str | None) -> UploadPage:
        """The newest first: an operator sees all, others their own."""
        if by.role >= Role.OPERATOR:
            page = self.uploads.list(limit=limit, cursor=cursor)
        else:
            page = self.uploads.of_owner(by.user_id, limit=limit, cursor=cursor)
        shown = [upload for upload in page.uploads if by.may_use(upload.name)]
        return UploadPage([self._looked_after(upload) for upload in shown], page.cursor)

    def _check(self, request: UploadRequest, by: Identity) -> None:
        if by.user_id is None and by.role < Role.OPERATOR:
            raise Unauthenticated(
                "A model needs an owner: log in, or send a key of yours as 'X-API-Key: <key>'."
            )
        if request.shared and by.role < Role.OPERATOR:
            raise Forbidden("Only operators give a model to everybody: leave 'shared' out, and it is yours.")
        by.require_model(request.name)
        request.check()
        if request.name in WORDS_OF_ROUTES or self.is_reserved(request.name):
            raise Conflict(f"The name {request.name!r} belongs to another model: choose another one.")
        owner = _owner(request, by)
        self.registry.require_free(request.name, origin=UPLOADED, owner=owner)
        self._require_few_under_way(owner)

    def _require_few_under_way(self, owner: str | None) -> None:
        if self.uploads.under_way(owner, limit=MAX_UNDER_WAY) >= MAX_UNDER_WAY:
            raise Conflict(f"{MAX_UNDER_WAY} of your uploads are under way: wait until one has ended.")

    def _require_file(self, upload: Upload) -> None:
        """Of the announced size; what is in it is read by the job."""
        try:
            found = self.blobs.part(upload.model_blob, start=0, size_bytes=1).total_bytes
        except NotFound as error:
            raise Conflict(
                "The file hasn't come: put it to the URL that POST /models/uploads gave, until "
                f"{upload.expires_at}; then say so again."
            ) from error
        if found != upload.size_bytes:
            raise Conflict(
                f"The file has {found} bytes, and {upload.size_bytes} were announced: begin another upload."
            )

    def _made(self, request: UploadRequest, size_bytes: int, sha256: str, by: Identity) -> Upload:
        return Upload(
            upload_id=self.new_id(),
            name=request.name,
            format=request.format,
            size_bytes=size_bytes,
            sha256=sha256,
            owner=_owner(request, by),
            created_by=by.name,
            created_at=utc(self.now()),
            status=UploadStatus.QUEUED,
        )

    def _queued(self, upload: Upload) -> Upload:
        """The event goes first: so there is no upload that waits for an event which was never sent."""
        facts: dict[str, Any] = upload.announcement()
        self.events.publish(TOPIC, [Event(upload.upload_id, SOURCE, TOPIC, self.now(), facts)])
        if upload.status is UploadStatus.RECEIVING:
            return self.uploads.queue(upload.upload_id)
        return self.uploads.create(upload)

    def _looked_after(self, upload: Upload) -> Upload:
        if upload.status.has_ended:
            return upload
        return self.uploads.reconcile(upload, self.jobs.status(upload.upload_id))


def _owner(request: UploadRequest, by: Identity) -> str | None:
    return None if request.shared else by.user_id


def _is_theirs(upload: Upload, by: Identity) -> bool:
    is_theirs = upload.owner is None or upload.owner == by.user_id or by.role >= Role.OPERATOR
    return is_theirs and by.may_use(upload.name)


def _check_announced(upload: Upload, content: bytes) -> None:
    found = len(content), hashlib.sha256(content).hexdigest()
    if found != (upload.size_bytes, upload.sha256):
        why = (
            f"must have the {upload.size_bytes} bytes with sha256 {upload.sha256} that were announced; found "
            f"{found[0]} bytes with {found[1]}"
        )
        raise InvalidInput(f"The file {why}.", errors=[FieldError(POINTER, why)])


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
