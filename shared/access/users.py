"""Users: who they are, by their email addresses, and which role they have."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.access.roles import Role
from shared.errors import AlreadyExists, Conflict, FieldError, InvalidInput, NotFound
from shared.platform.cas import update
from shared.platform.ports import Create, Data, Document, Documents, NewId, Now, Order
from shared.platform.times import utc

USERS: Final = "users"
EMAILS: Final = "user-emails"
BOOTSTRAPS: Final = "bootstraps"
FIRST_ADMIN: Final = "first-admin"
"""The document whose being there says that the first admin has been made."""

_SHOWN: Final = 80
_NOBODY: Final = "nobody"  # no user has this id
_LOCAL_PART = r"[^@\s\x00-\x1f\x7f<>()\[\],;:\\\"]{1,64}"
_EMAIL = re.compile(_LOCAL_PART + r"@(?=.{1,253}\Z)[^@\s.]{1,63}(\.[^@\s.]{1,63})+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Times are RFC 3339 text in UTC. Sessions that began before `sessions_from` count no more."""

    id: str
    email: str
    role: Role
    password_hash: str
    created_at: str
    created_by: str
    disabled: bool
    sessions_from: str

    def __repr__(self) -> str:
        return f"User({self.id}, {self.email}, {self.role.label})"

    def shown(self) -> dict[str, Any]:
        """What may be told of it, as JSON."""
        return {
            "id": self.id,
            "email": self.email,
            "role": self.role.label,
            "created_at": self.created_at,
            "created_by": self.created_by,
            "disabled": self.disabled,
        }


@dataclass(frozen=True, slots=True)
class UserPage:
    users: Sequence[User]
    cursor: str | None


class Users:
    """One document per user, and one per address that points to it: an address has one user at most."""

    def __init__(self, documents: Documents, now: Now, new_id: NewId) -> None:
        self._documents = documents
        self._now = now
        self._new_id = new_id

    def create(
        self, email: str, password_hash: str, role: Role, *, created_by: str, is_first_admin: bool = False
    ) -> User:
        """A new user.

        Raises:
            InvalidInput: not an address.
            Conflict: the address has a user, or the first admin has been made already.
        """
        address = normalised(email)
        at = utc(self._now())
        data = {
            "email": address,
            "role": role.label,
            "password_hash": password_hash,
            "created_at": at,
            "created_by": created_by,
            "disabled": False,
            "sessions_from": at,
        }
        user_id = self._new_id()
        writes = [Create(EMAILS, _email_id(address), {"user_id": user_id}), Create(USERS, user_id, data)]
        if is_first_admin:
            writes.append(Create(BOOTSTRAPS, FIRST_ADMIN, {"user_id": user_id, "at": at}))
        try:
            self._documents.commit(writes)
        except AlreadyExists as error:
            if is_first_admin and self.has_first_admin():
                raise Conflict("The first admin has been made: ask an admin for an invitation.") from error
            raise Conflict("The email address has a user already: log in.") from error
        return _user(user_id, data)

    def has_first_admin(self) -> bool:
        return self._documents.get(BOOTSTRAPS, FIRST_ADMIN) is not None

    def by_email(self, email: str) -> User | None:
        """The user with this address, or None: also where it isn't one. It reads as often then, so that the
        time doesn't tell.
        """
        found = self._documents.get(EMAILS, _email_id(folded(email)))
        return self.find(_NOBODY if found is None else found.data["user_id"])

    def find(self, user_id: str) -> User | None:
        found = self._documents.get(USERS, user_id)
        return None if found is None else _user(user_id, found.data)

    def get(self, user_id: str) -> User:
        """
        Raises:
            NotFound
        """
        user = self.find(user_id)
        if user is None:
            raise NotFound(f"There is no user {user_id!r}. GET /auth/users lists them.")
        return user

    def list(self, *, limit: int, cursor: str | None) -> UserPage:
        """All users by address."""
        page = self._documents.query(USERS, order_by=[Order("email")], limit=limit, cursor=cursor)
        return UserPage([_user_of(document) for document in page.documents], page.cursor)

    def set_password(self, proven: User, password_hash: str, *, ends_sessions: bool = True) -> User:
        """A new password, which ends all sessions; not where only its hash was renewed. `proven` is the user
        as it was when the present password was shown.

        Raises:
            Conflict: the password was changed since.
        """
        changes: dict[str, Any] = {"password_hash": password_hash}
        if ends_sessions:
            changes["sessions_from"] = utc(self._now())

        def change(data: Data | None) -> Data | None:
            if data is None or data["password_hash"] != proven.password_hash:
                raise Conflict("The password was changed a moment ago: log in with that one.")
            return {**data, **changes}

        document = update(self._documents, USERS, proven.id, change)
        return self.get(proven.id) if document is None else _user_of(document)

    def set_role(self, user_id: str, role: Role) -> User:
        return self._changed(user_id, {"role": role.label})

    def set_disabled(self, user_id: str, *, disabled: bool) -> User:
        """A disabled user gets in no more, and the sessions end."""
        return self._changed(user_id, {"disabled": disabled, "sessions_from": utc(self._now())})

    def _changed(self, user_id: str, changes: Data) -> User:
        def change(data: Data | None) -> Data | None:
            return None if data is None else {**data, **changes}

        document = update(self._documents, USERS, user_id, change)
        if document is None:
            return self.get(user_id)
        return _user_of(document)


def folded(email: str) -> str:
    """Composed, and in small letters: addresses that are the same to us are the same text."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def normalised(email: str) -> str:
    """The address as it is kept and compared.

    Raises:
        InvalidInput
    """
    address = folded(email)
    if _EMAIL.match(address) is None or not address.isprintable():
        raise InvalidInput(
            f"The email address must look like name@example.org, found {email[:_SHOWN]!r}.",
            errors=[FieldError("/email", "must look like name@example.org")],
        )
    return address


def _email_id(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def _user_of(document: Document) -> User:
    return _user(document.id, document.data)


def _user(user_id: str, data: Data) -> User:
    fields = {name: data[name] for name in User.__dataclass_fields__ if name not in ("id", "role")}
    return User(id=user_id, role=Role[data["role"].upper()], **fields)
