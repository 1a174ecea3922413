"""What is answered about uploads."""

from __future__ import annotations

from collections.abc import Mapping

from shared.schema import Answer
from shared.uploads.desk import Begun
from shared.uploads.records import Upload


class UploadAnswer(Answer):
    """An upload. Where it is refused, `reasons` say why and what to do; where it succeeded, `version_id` is
    what it has become, and `checks` are what was compared.
    """

    upload_id: str
    name: str
    format: str
    size_bytes: int
    sha256: str
    owner: str | None
    created_by: str
    created_at: str
    status: str
    expires_at: str | None
    started_at: str | None
    finished_at: str | None
    attempts: int
    version_id: str | None
    reasons: list[str]
    checks: list[str]

    @staticmethod
    def of(upload: Upload) -> UploadAnswer:
        return UploadAnswer(**upload.json())


class UploadList(Answer):
    """Newest first."""

    uploads: list[UploadAnswer]
    cursor: str | None


class UploadUrlAnswer(UploadAnswer):
    """Send the file's bytes to `url` by `method` with these `headers` and no key, until `expires_at`; then
    say that it is complete. A `url` without a host is one of this engine. It is a secret: whoever has it may
    use it.
    """

    url: str
    method: str
    headers: Mapping[str, str]

    @staticmethod
    def begun(begun: Begun) -> UploadUrlAnswer:
        url = begun.url
        return UploadUrlAnswer(**begun.upload.json(), url=url.url, method=url.method, headers=url.headers)
