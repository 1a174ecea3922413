"""From an API key or an access token to who it is, remembered for seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.access.api_keys import ApiKey, ApiKeys
from shared.access.credentials import API_KEY, read_credential
from shared.access.identity import Identity
from shared.access.sessions import Sessions
from shared.access.tokens import AccessTokens
from shared.access.users import User, Users
from shared.errors import ConfigurationError, EngineError, Unauthenticated
from shared.logs import LOGGER
from shared.platform.ports import Now

MAX_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    identity: Identity
    until: float


class Authenticator:
    """Who presents a credential. What is found counts for `cache_seconds`: so long may a revoked key, an
    ended session or a taken role still open doors on an instance that has just seen it.

    Only good credentials are remembered: wrong ones cost a read each, and the limits come before.
    """

    def __init__(
        self,
        keys: ApiKeys,
        users: Users,
        sessions: Sessions,
        tokens: AccessTokens,
        *,
        cache_seconds: float,
        now: Now,
        monotonic: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._users = users
        self._sessions = sessions
        self._tokens = tokens
        self._cache_seconds = cache_seconds
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[str, _Remembered] = {}
        self._notes_uses = True

    def remembered(self, presented: str) -> Identity | None:
        """Who it is, where that was found a moment ago. Never blocks."""
        known = self._known.get(presented)
        if known is None or known.until <= self._monotonic():
            return None
        return known.identity

    def find(self, presented: str) -> Identity:
        """Who it is. Blocks while it reads.

        Raises:
            Unauthenticated: unknown, revoked, expired, or a session that has ended.
        """
        started = self._monotonic()  # what is read may be as old as this
        is_key = presented.startswith(f"{API_KEY}_")
        identity, seconds_left = self._key(presented) if is_key else self._user(presented)
        until = started + min(self._cache_seconds, seconds_left)
        self._remember(presented, _Remembered(identity, until))
        return identity

    def _key(self, presented: str) -> tuple[Identity, float]:
        credential = read_credential(presented, API_KEY)
        key = None if credential is None else self._keys.find(credential.id)
        if credential is None or key is None or not credential.matches(key.hash):
            raise Unauthenticated("The API key isn't known here. 'mlengine keys create' makes one.")
        seconds_left = key.seconds_left(self._now())
        if seconds_left <= 0:
            raise Unauthenticated(f"The API key {key.prefix} was revoked or has expired.")
        owner = self._users.find(key.owner_id)
        if owner is not None and owner.disabled:
            raise Unauthenticated(f"The owner of the API key {key.prefix} is disabled.")
        self._note_use(key)
        return _identity(key, owner), seconds_left

    def _note_use(self, key: ApiKey) -> None:
        """Best effort: a good key opens doors also where nobody can write down that it did. Functions that
        only read, as those that predict, find that out once."""
        if not self._notes_uses:
            return
        try:
            self._keys.note_use(key)
        except ConfigurationError:
            self._notes_uses = False
        except EngineError as error:
            facts = {"key": key.prefix, "why": error.detail}
            LOGGER.warning("the use of a key isn't noted", extra={"facts": facts})

    def _user(self, presented: str) -> tuple[Identity, float]:
        claims = self._tokens.verify(presented)
        user = self._users.find(claims.user_id)
        is_live = user is not None and self._sessions.is_live(claims.session_id, user.sessions_from)
        if user is None or user.disabled or not is_live:
            raise Unauthenticated("The session has ended: log in again.")
        identity = Identity(user.email, user.role, user_id=user.id, session_id=claims.session_id)
        return identity, claims.seconds_left

    def _remember(self, presented: str, found: _Remembered) -> None:
        with self._lock:
            self._known[presented] = found
            while len(self._known) > MAX_REMEMBERED:
                del self._known[next(iter(self._known))]


def _identity(key: ApiKey, owner: User | None) -> Identity:
    """A key can do no more than its owner, who may have lost a role since. The key of the operator who set
    the platform up is nobody's: what it made keeps its role.
    """
    models = None if key.models is None else frozenset(key.models)
    role = key.role if owner is None else min(key.role, owner.role)
    return Identity(key.prefix, role, user_id=key.owner_id, key_id=key.id, models=models)
