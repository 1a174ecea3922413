"""Sessions: a family of refresh tokens, each good for one use.

Every refresh gives a new token and ends the old one. An old one that comes again was stolen, from the
user or by the user's own client losing an answer: nobody can tell, so the whole family ends (RFC 9700,
section 4.14.2). However often it is refreshed, a session ends 90 days after its login: what somebody got
hold of unseen isn't good for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.access.credentials import REFRESH, Credential, new_credential, read_credential
from shared.errors import RevisionConflict, Unauthenticated
from shared.platform.cas import update
from shared.platform.ports import Create, Data, Documents, Now, Replace
from shared.platform.times import utc

SESSIONS: Final = "sessions"
REFRESH_TTL: Final = timedelta(days=7)
SESSION_TTL: Final = timedelta(days=90)
_REFUSED: Final = "The refresh token isn't good any more: log in again."


@dataclass(frozen=True, slots=True)
class Session:
    """`refresh_token` is shown once, and nowhere kept."""

    id: str
    user_id: str
    refresh_token: Credential
    began_at: str


class Sessions:
    def __init__(self, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now

    def begin(self, user_id: str, proven_at: datetime) -> Session:
        """A new session of a user who has just logged in. It counts from `proven_at`, when the user was read
        whose password was right: what has ended the user's sessions since, has ended this one, too.
        """
        token = new_credential(REFRESH)
        at = self._now()
        data: dict[str, Any] = {
            "user_id": user_id,
            "began_at": utc(proven_at),
            "hash": token.hash,
            "ended_at": None,
            "why_ended": None,
            "refreshed_at": utc(at),
            "expires_at": utc(at + REFRESH_TTL),
        }
        self._documents.commit([Create(SESSIONS, token.id, data)])
        return Session(token.id, user_id, token, data["began_at"])

    def refresh(self, presented: str) -> Session:
        """The same session with its next token; the presented one is good no more.

        Raises:
            Unauthenticated: unknown, expired, ended, or used before: that ends the session.
        """
        token = read_credential(presented, REFRESH)
        found = None if token is None else self._documents.get(SESSIONS, token.id)
        if token is None or found is None or not self._is_live(found.data):
            raise Unauthenticated(_REFUSED)
        if not token.matches(found.data["hash"]):
            self._end_stolen(token.id)
        following = new_credential(REFRESH, token.id)
        at = self._now()
        data = {
            **found.data,
            "hash": following.hash,
            "refreshed_at": utc(at),
            "expires_at": utc(
                min(at + REFRESH_TTL, datetime.fromisoformat(found.data["began_at"]) + SESSION_TTL)
            ),
        }
        try:
            self._documents.commit([Replace(SESSIONS, token.id, data, found.revision)])
        except RevisionConflict:
            self._end_stolen(token.id)  # somebody used it in the same instant
        return Session(token.id, data["user_id"], following, data["began_at"])

    def end(self, session_id: str, why: str) -> None:
        """The session is over; it may be already."""
        at = utc(self._now())

        def change(data: Data | None) -> Data | None:
            if data is None or data["ended_at"] is not None:
                return None
            return {**data, "ended_at": at, "why_ended": why}

        update(self._documents, SESSIONS, session_id, change)

    def is_live(self, session_id: str, sessions_from: str) -> bool:
        """Whether it goes on, and began no sooner than the user's sessions count from."""
        found = self._documents.get(SESSIONS, session_id)
        return found is not None and self._is_live(found.data) and found.data["began_at"] >= sessions_from

    def _is_live(self, data: Data) -> bool:
        return data["ended_at"] is None and datetime.fromisoformat(data["expires_at"]) > self._now()

    def _end_stolen(self, session_id: str) -> None:
        """
        Raises:
            Unauthenticated: always.
        """
        self.end(session_id, "a refresh token came twice")
        raise Unauthenticated(
            "This refresh token was used before: the session has ended, for whoever holds it. Log in again."
        )
