"""What is known of an upload, and how documents hold it. Light: no library is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from shared.platform.ports import Data
from shared.uploads.formats import Format

MAX_REASONS: Final = 20


class UploadStatus(StrEnum):
    """Receiving: its file is awaited. Refused: the file can't be a model here, for the `reasons`. Failed: it
    may be one, and something of ours went wrong.
    """

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def has_ended(self) -> bool:
        return self in (UploadStatus.SUCCEEDED, UploadStatus.REFUSED, UploadStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload as it is recorded. Times are RFC 3339 text in UTC. `version_id` is what it has become.

    `owner` is the user whose model it will be; None: everybody's. `sha256` and `size_bytes` are the file's,
    as they were announced or as it came. `token_hash` is of what lets its sender put the file until
    `expires_at`, where the store has no address of its own. `heard_at` is on the machine's clock.
    """

    upload_id: str
    name: str
    format: Format
    size_bytes: int
    sha256: str
    owner: str | None
    created_by: str
    created_at: str
    status: UploadStatus
    expires_at: str | None = None
    token_hash: str | None = None
    started_at: str | None = None
    heard_at: str | None = None
    finished_at: str | None = None
    attempts: int = 0
    version_id: str | None = None
    reasons: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    seq: int = 0

    @property
    def model_blob(self) -> str:
        return f"uploads/{self.upload_id}/model"

    @property
    def request_blob(self) -> str:
        return f"uploads/{self.upload_id}/request.json"

    def announcement(self) -> dict[str, Any]:
        """What the event says of it: enough to record it."""
        names = ("upload_id", "name", "format", "size_bytes", "sha256", "owner", "created_by", "created_at")
        return {name: getattr(self, name) for name in names}

    def json(self) -> dict[str, Any]:
        """The upload for its readers."""
        hidden = ("heard_at", "token_hash", "seq")
        return {name: value for name, value in upload_data(self).items() if name not in hidden}


@dataclass(frozen=True, slots=True)
class UploadPage:
    """Part of a list; `cursor` asks for what follows, None at the end."""

    uploads: Sequence[Upload]
    cursor: str | None


def upload_data(upload: Upload) -> dict[str, Any]:
    return {**asdict(upload), "reasons": list(upload.reasons), "checks": list(upload.checks)}


def upload_of(data: Data) -> Upload:
    changed: dict[str, Any] = {
        "format": Format(data["format"]),
        "status": UploadStatus(data["status"]),
        "reasons": tuple(data["reasons"]),
        "checks": tuple(data["checks"]),
    }
    return Upload(**{**data, **changed})
