"""Accounts: registering, logging in and out, and changing a password."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.access import backoff
from shared.access.backoff import LoginBackoff
from shared.access.credentials import Credential
from shared.access.invitations import Invitation, Invitations
from shared.access.passwords import Passwords, require_password
from shared.access.roles import Role
from shared.access.sessions import Session, Sessions
from shared.access.tokens import ACCESS_TTL, AccessTokens
from shared.access.users import User, Users, normalised
from shared.config import Registration
from shared.errors import Conflict, Forbidden, NotFound, Unauthenticated
from shared.platform.ports import Now, Secrets

BOOTSTRAP_SECRET: Final = "bootstrap-secret"  # noqa: S105 - the secret's name, not its value
SELF: Final = "self"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives. Both are secrets."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name

    def __repr__(self) -> str:
        return "Tokens(...)"


class Accounts:
    """What users do with their own accounts; each takes the address that the call came from."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        invitations: Invitations,
        tokens: AccessTokens,
        passwords: Passwords,
        login_backoff: LoginBackoff,
        secrets: Secrets,
        registration: Registration,
        now: Now,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._invitations = invitations
        self._tokens = tokens
        self._passwords = passwords
        self._backoff = login_backoff
        self._secrets = secrets
        self._registration = registration
        self._now = now

    def register(
        self,
        email: str,
        password: str,
        *,
        ip: str,
        invitation: str | None = None,
        bootstrap: str | None = None,
    ) -> User:
        """A new user: the first admin with the bootstrap secret, another with an invitation or, where that
        is open, a predictor without.

        Raises:
            InvalidInput: the address or the password.
            Forbidden: registration isn't open to this caller.
            Conflict: the address has a user, or the first admin is there already.
            TooManyRequests: too many wrong secrets from this address.
        """
        address = normalised(email)
        require_password(password, address)
        if bootstrap is not None:
            self._require_bootstrap(bootstrap, ip)
            hashed = self._passwords.hash(password)
            return self._users.create(address, hashed, Role.ADMIN, created_by=SELF, is_first_admin=True)
        if self._registration is Registration.CLOSED:
            raise Forbidden("Registration is closed here (REGISTRATION=closed).")
        invited = self._invited(invitation, address, ip)
        if invited is None and self._registration is Registration.INVITED:
            raise Forbidden(
                "Registration needs an invitation here (REGISTRATION=invited): ask an admin for one."
            )
        hashed = self._passwords.hash(password)
        if invited is None:
            return self._users.create(address, hashed, Role.PREDICTOR, created_by=SELF)
        user = self._users.create(address, hashed, invited.role, created_by=invited.invited_by)
        self._invitations.used(invited)
        return user

    def invite(self, email: str, role: Role, invited_by: str) -> tuple[Invitation, Credential]:
        """
        Raises:
            InvalidInput, Forbidden
            Conflict: the address has a user.
        """
        if self._registration is Registration.CLOSED:
            raise Forbidden("Registration is closed here (REGISTRATION=closed): nobody can be invited.")
        if self._users.by_email(email) is not None:
            raise Conflict(f"{normalised(email)} has a user already: give it another role instead.")
        return self._invitations.create(email, role, invited_by)

    def login(self, email: str, password: str, *, ip: str) -> tuple[User, Tokens]:
        """
        Raises:
            Unauthenticated: which of the two is wrong, isn't said, and takes as long.
            TooManyRequests: too many failed for this account or from this address.
            Conflict: the password was changed in the same instant.
        """
        proven_at = self._now()
        user = self._proven(lambda: self._users.by_email(email), email, password, ip)
        if self._passwords.is_outdated(user.password_hash):
            user = self._users.set_password(user, self._passwords.hash(password), ends_sessions=False)
        return user, self._tokens_of(self._sessions.begin(user.id, proven_at))

    def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for a refresh token, which is good no more.

        Raises:
            Unauthenticated
        """
        session = self._sessions.refresh(refresh_token)
        user = self._users.find(session.user_id)
        if user is None or user.disabled or session.began_at < user.sessions_from:
            self._sessions.end(session.id, "the user's sessions were ended")
            raise Unauthenticated("The session has ended: log in again.")
        return self._tokens_of(session)

    def logout(self, session_id: str) -> None:
        self._sessions.end(session_id, "logged out")

    def change_password(self, user_id: str, old: str, new: str, *, ip: str) -> tuple[User, Tokens]:
        """A new password; all sessions end, and a new one begins.

        Raises:
            Unauthenticated: the old one is wrong.
            InvalidInput: the new one.
            Conflict: it was changed in the same instant.
            TooManyRequests
        """
        user = self._users.get(user_id)
        require_password(new, user.email, "/new_password")
        proven = self._proven(lambda: self._users.find(user_id), user.email, old, ip)
        changed = self._users.set_password(proven, self._passwords.hash(new))
        session = self._sessions.begin(user_id, datetime.fromisoformat(changed.sessions_from))
        return changed, self._tokens_of(session)

    def _proven(self, find: Callable[[], User | None], email: str, password: str, ip: str) -> User:
        """The user, once the password is right. Asked again afterwards, whoever waits hears nothing: so that
        many guesses at once learn no more than as many in a row.
        """
        account = backoff.account(email)
        subjects = (account, backoff.address(ip))
        self._backoff.require_free(subjects)
        user = find()
        is_right = self._passwords.verify(password, None if user is None else user.password_hash)
        if user is None or not is_right or user.disabled:
            self._backoff.failed(subjects)
            raise Unauthenticated("The email address or the password is wrong.")
        self._backoff.require_free(subjects)
        self._backoff.succeeded(account)
        return user

    def _tokens_of(self, session: Session) -> Tokens:
        access = self._tokens.sign(session.user_id, session.id)
        return Tokens(access, session.refresh_token.text, int(ACCESS_TTL.total_seconds()))

    def _invited(self, invitation: str | None, email: str, ip: str) -> Invitation | None:
        if invitation is None:
            return None
        self._backoff.require_free([backoff.address(ip)])
        try:
            return self._invitations.read(invitation, email)
        except Forbidden:
            self._backoff.failed([backoff.address(ip)])
            raise

    def _require_bootstrap(self, presented: str, ip: str) -> None:
        """
        Raises:
            Forbidden, Conflict, TooManyRequests
        """
        self._backoff.require_free([backoff.address(ip)])
        try:
            expected = self._secrets.get(BOOTSTRAP_SECRET)
        except NotFound as error:
            raise Forbidden("There is no bootstrap secret here: an admin can invite you.") from error
        if not hmac.compare_digest(presented.encode(), expected.encode()):
            self._backoff.failed([backoff.address(ip)])
            raise Forbidden("The bootstrap secret is wrong.")
        if self._users.has_first_admin():
            raise Conflict("The first admin has been made: ask an admin for an invitation.")
