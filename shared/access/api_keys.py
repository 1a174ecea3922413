"""API keys: made once, shown once, kept as a hash, and gone within seconds of being revoked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.access.credentials import API_KEY, Credential, new_credential
from shared.access.roles import Role
from shared.errors import NotFound
from shared.platform.cas import update
from shared.platform.ports import Create, Data, Documents, Filter, Now, Order
from shared.platform.times import utc

KEYS: Final = "api-keys"
USED_EVERY: Final = timedelta(minutes=10)
"""How exact `last_used_at` is: a write for every call would cost more than the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """`models` are the names of those it may use; None: all. Times are RFC 3339 text in UTC."""

    id: str
    prefix: str
    name: str
    role: Role
    models: tuple[str, ...] | None
    owner_id: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    hash: str

    def __repr__(self) -> str:
        return f"ApiKey({self.prefix}, {self.name!r}, {self.role.label})"

    def seconds_left(self, at: datetime) -> float:
        """How long it is good; 0 where it is revoked or expired, infinite where nothing ends it."""
        if self.revoked_at is not None:
            return 0.0
        if self.expires_at is None:
            return math.inf
        return max(0.0, (datetime.fromisoformat(self.expires_at) - at).total_seconds())

    def shown(self) -> dict[str, Any]:
        """What may be told of it, as JSON."""
        return {
            "id": self.id,
            "prefix": self.prefix,
            "name": self.name,
            "role": self.role.label,
            "models": None if self.models is None else list(self.models),
            "owner_id": self.owner_id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "last_used_at": self.last_used_at,
            "revoked_at": self.revoked_at,
        }


@dataclass(frozen=True, slots=True)
class ApiKeyPage:
    keys: Sequence[ApiKey]
    cursor: str | None


class ApiKeys:
    """One document per key, found by the id that the key itself holds."""

    def __init__(self, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now

    def create(
        self,
        name: str,
        role: Role,
        owner_id: str,
        *,
        models: Sequence[str] | None = None,
        lives: timedelta | None = None,
    ) -> tuple[ApiKey, Credential]:
        """A new key, and the only sight of it."""
        credential = new_credential(API_KEY)
        at = self._now()
        data = {
            "name": name,
            "role": role.label,
            "models": None if models is None else sorted(set(models)),
            "owner_id": owner_id,
            "created_at": utc(at),
            "expires_at": None if lives is None else utc(at + lives),
            "last_used_at": None,
            "revoked_at": None,
            "hash": credential.hash,
        }
        self._documents.commit([Create(KEYS, credential.id, data)])
        return _key(credential.id, data), credential

    def find(self, key_id: str) -> ApiKey | None:
        found = self._documents.get(KEYS, key_id)
        return None if found is None else _key(key_id, found.data)

    def list(self, *, owner_id: str | None, limit: int, cursor: str | None) -> ApiKeyPage:
        """The newest first; of one owner where asked."""
        where = [] if owner_id is None else [Filter("owner_id", "==", owner_id)]
        page = self._documents.query(
            KEYS, where=where, order_by=[Order("created_at", descending=True)], limit=limit, cursor=cursor
        )
        return ApiKeyPage([_key(document.id, document.data) for document in page.documents], page.cursor)

    def revoke(self, key_id: str) -> ApiKey:
        """The key opens nothing more; instances that have just seen it forget it within seconds.

        Raises:
            NotFound
        """
        at = utc(self._now())

        def change(data: Data | None) -> Data | None:
            return None if data is None or data["revoked_at"] is not None else {**data, "revoked_at": at}

        document = update(self._documents, KEYS, key_id, change)
        if document is None:
            raise NotFound(f"There is no key {key_id!r}. GET /auth/keys lists them.")
        return _key(key_id, document.data)

    def note_use(self, key: ApiKey) -> None:
        """Note that it was used, where the last note is older than ten minutes."""
        at = self._now()
        oldest = utc(at - USED_EVERY)
        if key.last_used_at is not None and key.last_used_at > oldest:
            return

        def change(data: Data | None) -> Data | None:
            if data is None or (data["last_used_at"] or "") > oldest:
                return None
            return {**data, "last_used_at": utc(at)}

        update(self._documents, KEYS, key.id, change)


def _key(key_id: str, data: Data) -> ApiKey:
    models = data["models"]
    special = ("id", "prefix", "role", "models")
    fields = {name: data[name] for name in ApiKey.__dataclass_fields__ if name not in special}
    return ApiKey(
        id=key_id,
        prefix=f"{API_KEY}_{key_id}",
        role=Role[data["role"].upper()],
        models=None if models is None else tuple(models),
        **fields,
    )
