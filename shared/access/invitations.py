"""Invitations: an admin's word that an address may register, with a role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.access.credentials import INVITATION, Credential, new_credential, read_credential
from shared.access.roles import Role
from shared.access.users import normalised
from shared.errors import Forbidden, NotFound
from shared.platform.ports import MAX_LIMIT, Create, Data, Delete, Documents, Filter, Now, Order
from shared.platform.times import utc

INVITATIONS: Final = "invitations"
INVITATION_TTL: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Invitation:
    id: str
    email: str
    role: Role
    invited_by: str
    expires_at: str

    def shown(self) -> dict[str, Any]:
        """What admins may see: all but the token."""
        return {
            "id": self.id,
            "email": self.email,
            "role": self.role.label,
            "invited_by": self.invited_by,
            "expires_at": self.expires_at,
        }


@dataclass(frozen=True, slots=True)
class InvitationPage:
    invitations: Sequence[Invitation]
    cursor: str | None


class Invitations:
    """Each is good for one address, one registration and seven days."""

    def __init__(self, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now

    def create(self, email: str, role: Role, invited_by: str) -> tuple[Invitation, Credential]:
        """A new invitation, and the only sight of its token.

        Raises:
            InvalidInput: not an address.
        """
        credential = new_credential(INVITATION)
        address = normalised(email)
        data = {
            "email": address,
            "role": role.label,
            "invited_by": invited_by,
            "hash": credential.hash,
            "expires_at": utc(self._now() + INVITATION_TTL),
        }
        self._documents.commit([Create(INVITATIONS, credential.id, data)])
        return _invitation(credential.id, data), credential

    def read(self, token: str, email: str) -> Invitation:
        """The invitation that `token` is of, for this address.

        Raises:
            Forbidden: unknown, used, expired or for somebody else: which, isn't said.
        """
        credential = read_credential(token, INVITATION)
        found = None if credential is None else self._documents.get(INVITATIONS, credential.id)
        if credential is not None and found is not None:
            data = found.data
            is_good = (
                credential.matches(data["hash"])
                and data["email"] == normalised(email)
                and datetime.fromisoformat(data["expires_at"]) > self._now()
            )
            if is_good:
                return _invitation(found.id, data)
        raise Forbidden("The invitation isn't good for this address: ask an admin for a new one.")

    def list(self, *, limit: int, cursor: str | None) -> InvitationPage:
        """Those that are still good, by address. A page may hold fewer than `limit`, and others follow."""
        page = self._documents.query(INVITATIONS, order_by=[Order("email")], limit=limit, cursor=cursor)
        now = utc(self._now())
        found = [_invitation(document.id, document.data) for document in page.documents]
        return InvitationPage([one for one in found if one.expires_at > now], page.cursor)

    def revoke(self, invitation_id: str) -> Invitation:
        """It is good no more; gives what it was.

        Raises:
            NotFound: no such invitation: it was used or revoked, or has ended.
        """
        found = self._documents.get(INVITATIONS, invitation_id)
        if found is None:
            raise NotFound(
                f"There is no invitation {invitation_id!r}. GET /auth/invitations lists those that are good."
            )
        self._documents.commit([Delete(INVITATIONS, invitation_id)])
        return _invitation(found.id, found.data)

    def used(self, invitation: Invitation) -> None:
        """Whoever has registered needs none: neither this one nor another to the same address."""
        where = [Filter("email", "==", invitation.email)]
        page = self._documents.query(INVITATIONS, where=where, limit=MAX_LIMIT)
        ids = {invitation.id, *(document.id for document in page.documents)}
        self._documents.commit([Delete(INVITATIONS, one) for one in sorted(ids)])


def _invitation(invitation_id: str, data: Data) -> Invitation:
    role = Role[data["role"].upper()]
    return Invitation(invitation_id, data["email"], role, data["invited_by"], data["expires_at"])
