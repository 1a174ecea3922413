"""Upload documents: what became of every file that somebody has sent. Light: no library is imported.

An upload awaits its file, is queued, then running, then ends as succeeded, refused or failed; what has ended
never changes again. Every change is a compare-and-swap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.errors import AlreadyExists, Conflict, NotFound
from shared.platform.cas import update
from shared.platform.ports import (
    Create,
    Data,
    Documents,
    Filter,
    JobState,
    JobStatus,
    Now,
    Order,
    Replace,
    Write,
)
from shared.platform.times import utc
from shared.uploads.records import MAX_REASONS, Upload, UploadPage, UploadStatus, upload_data, upload_of

COLLECTION: Final = "uploads"
LONGEST_SECONDS: Final = 900.0
"""After so long without a word, an upload whose job the platform doesn't know is given up."""


class Uploads:
    """The collection of uploads."""

    def __init__(self, documents: Documents, now: Now, *, wall: Now) -> None:
        """Whether a worker has fallen silent is seen on the clock `wall`."""
        self._documents = documents
        self._now = now
        self._wall = wall

    def create(self, upload: Upload) -> Upload:
        """Record an upload; the one of that id where there is one already."""
        try:
            self._documents.commit([Create(COLLECTION, upload.upload_id, upload_data(upload))])
        except AlreadyExists:
            return self.get(upload.upload_id)
        return upload

    def get(self, upload_id: str) -> Upload:
        """
        Raises:
            NotFound: no such upload.
        """
        document = self._documents.get(COLLECTION, upload_id)
        return _known(upload_id, None if document is None else document.data)

    def list(self, *, limit: int, cursor: str | None) -> UploadPage:
        """All uploads, the newest first."""
        order = Order("created_at", descending=True)
        page = self._documents.query(COLLECTION, order_by=[order], limit=limit, cursor=cursor)
        return UploadPage([upload_of(document.data) for document in page.documents], page.cursor)

    def of_owner(self, owner: str | None, *, limit: int, cursor: str | None) -> UploadPage:
        """Somebody's uploads, the newest first; everybody's for None."""
        page = self._documents.query(
            COLLECTION,
            where=[Filter("owner", "==", owner)],
            order_by=[Order("created_at", descending=True)],
            limit=limit,
            cursor=cursor,
        )
        return UploadPage([upload_of(document.data) for document in page.documents], page.cursor)

    def under_way(self, owner: str | None, *, limit: int) -> int:
        """How many of somebody's uploads are queued or running, up to `limit`."""
        under_way = [UploadStatus.QUEUED, UploadStatus.RUNNING]
        where = [Filter("owner", "==", owner), Filter("status", "in", under_way)]
        return len(self._documents.query(COLLECTION, where=where, limit=limit).documents)

    def queue(self, upload_id: str) -> Upload:
        """The file has come. An upload that goes on already is given as it is.

        Raises:
            NotFound
        """

        def change(upload: Upload) -> Upload:
            if upload.status is not UploadStatus.RECEIVING:
                return upload
            return replace(upload, status=UploadStatus.QUEUED, token_hash=None, expires_at=None)

        return self._change(upload_id, change)

    def start(self, upload_id: str) -> Upload:
        """An attempt to convert it begins. An upload that has ended is given as it is.

        Raises:
            NotFound
        """

        def change(upload: Upload) -> Upload:
            if upload.status.has_ended:
                return upload
            return replace(
                upload,
                status=UploadStatus.RUNNING,
                token_hash=None,
                expires_at=None,
                started_at=self._time(),
                heard_at=utc(self._wall()),
                attempts=upload.attempts + 1,
            )

        return self._change(upload_id, change)

    def success(self, upload_id: str, version_id: str, checks: Sequence[str]) -> Sequence[Write]:
        """The write that ends an upload as the version it has become: for the batch that makes the version.

        Raises:
            Conflict: it has ended meanwhile.
        """
        document = self._documents.get(COLLECTION, upload_id)
        upload = _known(upload_id, None if document is None else document.data)
        if document is None or upload.status.has_ended:
            raise Conflict(f"The upload {upload_id!r} has ended: it is {upload.status}.")
        ended = replace(
            self._ended(upload, UploadStatus.SUCCEEDED), version_id=version_id, checks=tuple(checks)
        )
        return [Replace(COLLECTION, upload_id, upload_data(ended), document.revision)]

    def end(self, upload_id: str, status: UploadStatus, reasons: Sequence[str]) -> Upload:
        """End an upload without a version; one that has ended stays as it is."""

        def change(upload: Upload) -> Upload:
            if upload.status.has_ended:
                return upload
            return replace(self._ended(upload, status), reasons=tuple(reasons[:MAX_REASONS]))

        return self._change(upload_id, change)

    def reconcile(self, upload: Upload, job: JobStatus) -> Upload:
        """End an upload whose file never came, or whose job is gone without having said so."""
        if upload.status is UploadStatus.RECEIVING:
            if upload.expires_at is None or self._now() < datetime.fromisoformat(upload.expires_at):
                return upload
            return self.end(upload.upload_id, UploadStatus.REFUSED, ["Its file never came: upload it again."])
        if upload.status.has_ended or not self._is_gone(upload, job.state):
            return upload
        why = job.detail or "It has been silent for too long, and the job platform doesn't know it."
        return self.end(upload.upload_id, UploadStatus.FAILED, [f"The conversion's job is gone. {why}"])

    def _is_gone(self, upload: Upload, job: JobState) -> bool:
        if job is not JobState.UNKNOWN:
            return job is not JobState.RUNNING
        if upload.heard_at is None:  # its event is under way
            return False
        heard = datetime.fromisoformat(upload.heard_at)
        return (self._wall() - heard).total_seconds() > LONGEST_SECONDS

    def _ended(self, upload: Upload, status: UploadStatus) -> Upload:
        return replace(
            upload,
            status=status,
            finished_at=self._time(),
            token_hash=None,
            expires_at=None,
            seq=upload.seq + 1,
        )

    def _change(self, upload_id: str, change: Callable[[Upload], Upload]) -> Upload:
        """Compare-and-swap; `change` gives the upload itself where there is nothing to change."""

        def of_data(data: Data | None) -> Data | None:
            upload = _known(upload_id, data)
            changed = change(upload)
            return None if changed is upload else upload_data(replace(changed, seq=upload.seq + 1))

        document = update(self._documents, COLLECTION, upload_id, of_data)
        return _known(upload_id, None if document is None else document.data)

    def _time(self) -> str:
        return utc(self._now())


def _known(upload_id: str, data: Data | None) -> Upload:
    if data is None:
        raise NotFound(f"There is no upload {upload_id!r}: GET /models/uploads lists those there are.")
    return upload_of(data)
