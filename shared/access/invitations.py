"""Invitations: an admin's word that an address may register, with a role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.access.credentials import INVITATION, Credential, new_credential, read_credential
from shared.access.roles import Role
from shared.access.users import normalised
from shared.errors import Forbidden
from shared.platform.ports import Create, Delete, Documents, Now
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
        expires_at = utc(self._now() + INVITATION_TTL)
        data = {
            "email": address,
            "role": role.label,
            "invited_by": invited_by,
            "hash": credential.hash,
            "expires_at": expires_at,
        }
        self._documents.commit([Create(INVITATIONS, credential.id, data)])
        return Invitation(credential.id, address, role, invited_by, expires_at), credential

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
                role = Role[data["role"].upper()]
                return Invitation(found.id, data["email"], role, data["invited_by"], data["expires_at"])
        raise Forbidden("The invitation isn't good for this address: ask an admin for a new one.")

    def used(self, invitation: Invitation) -> None:
        self._documents.commit([Delete(INVITATIONS, invitation.id)])
