"""Idempotency keys: a mutating call that comes again with its key is carried out once.

In the spirit of the IETF's draft "The Idempotency-Key HTTP Header Field": the same key and body replay the
answer, another body is refused, and a call that still runs is a conflict.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.errors import AlreadyExists, Conflict, FieldError, InvalidInput, RevisionConflict
from shared.platform.ports import Create, Data, Delete, Documents, Now, Replace
from shared.platform.times import utc

COLLECTION: Final = "idempotency"
HEADER: Final = "idempotency-key"
KEPT_FOR: Final = timedelta(hours=24)
MAX_ANSWER_BYTES: Final = 600_000
"""Of an answer that is kept: in Base64, with what is around it, that fits into a document."""

_KEY = re.compile(r"[!-~]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call was answered."""

    status: int
    media_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """A call that is being carried out, under its key."""

    id: str
    revision: str
    data: Data


class IdempotencyKeys:
    """One document per caller, route and key; it expires a day after the call."""

    def __init__(self, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now

    def begin(
        self, *, caller: str, route: str, key: str, request: bytes, lease_seconds: float
    ) -> Begun | Answered:
        """Begin the call, or give what it was answered before. `request` is all that makes it this call:
        path, query, body. One that hasn't ended after `lease_seconds` counts as lost, and may be begun again.

        Raises:
            InvalidInput: not a key, or it was used for another request.
            Conflict: the call still runs, or its answer can't be repeated.
        """
        require_key(key)
        document_id = hashlib.sha256(f"{caller}\n{route}\n{key}".encode()).hexdigest()
        now = self._now()
        data = {
            "fingerprint": hashlib.sha256(request).hexdigest(),
            "running_until": utc(now + timedelta(seconds=lease_seconds)),
            "status": None,
            "media_type": None,
            "body": None,
            "expires_at": utc(now + KEPT_FOR),
        }
        known = self._documents.get(COLLECTION, document_id)
        if known is not None and datetime.fromisoformat(known.data["expires_at"]) > now:
            answered = _earlier(known.data, data["fingerprint"], now)
            if answered is not None:
                return answered
        write = (
            Create(COLLECTION, document_id, data)
            if known is None
            else Replace(COLLECTION, document_id, data, known.revision)
        )
        try:
            return Begun(document_id, self._documents.commit([write])[0], data)
        except (AlreadyExists, RevisionConflict) as error:
            raise _still_running() from error

    def finish(self, begun: Begun, answer: Answered, *, holds_secret: bool) -> None:
        """Keep the answer. One that holds a secret isn't kept: asked again, the caller is told so."""
        is_kept = not holds_secret and len(answer.body) <= MAX_ANSWER_BYTES
        data = {
            **begun.data,
            "status": answer.status,
            "media_type": answer.media_type,
            "body": base64.b64encode(answer.body).decode() if is_kept else None,
        }
        try:
            self._documents.commit([Replace(COLLECTION, begun.id, data, begun.revision)])
        except (
            RevisionConflict
        ):  # it took longer than its lease, and was begun again: that one's answer counts
            return

    def forget(self, begun: Begun) -> None:
        """The call wasn't carried out: it may be tried again under the same key."""
        try:
            self._documents.commit([Delete(COLLECTION, begun.id, begun.revision)])
        except RevisionConflict:  # as above
            return


def require_key(key: str) -> None:
    """
    Raises:
        InvalidInput
    """
    if not _KEY.match(key):
        expected = "must be 1 to 200 visible ASCII characters"
        raise InvalidInput(f"Idempotency-Key {expected}.", errors=[FieldError("Idempotency-Key", expected)])


def _earlier(known: Data, fingerprint: str | None, now: datetime) -> Answered | None:
    """What the earlier call was answered; None where it was lost.

    Raises:
        InvalidInput, Conflict
    """
    if known["fingerprint"] != fingerprint:
        wrong = "was used for another request"
        raise InvalidInput(
            f"The Idempotency-Key {wrong}: take a new one.", errors=[FieldError("Idempotency-Key", wrong)]
        )
    if known["status"] is not None:
        return _answered(known)
    if datetime.fromisoformat(known["running_until"]) > now:
        raise _still_running()
    return None


def _answered(data: Data) -> Answered:
    """
    Raises:
        Conflict: it isn't kept.
    """
    if data["body"] is None:
        raise Conflict(
            "This was done before, with the same Idempotency-Key. Its answer was shown once and isn't kept."
        )
    return Answered(data["status"], data["media_type"], base64.b64decode(data["body"]))


def _still_running() -> Conflict:
    return Conflict(
        "A call with this Idempotency-Key is still running: ask again in a moment.", retry_after_seconds=1.0
    )
