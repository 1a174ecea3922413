"""Credentials that we make: random, shown once, and kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

API_KEY: Final = "mlk"
REFRESH: Final = "mlr"
INVITATION: Final = "mli"

_FORM = re.compile(r"(mlk|mlr|mli)_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z")
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Credential:
    """`<kind>_<id>_<secret>`: the id finds the record, and may be shown; 256 random bits prove the rest."""

    kind: str
    id: str
    secret: str

    @property
    def text(self) -> str:
        return f"{self.kind}_{self.id}_{self.secret}"

    @property
    def prefix(self) -> str:
        """What may be shown of it."""
        return f"{self.kind}_{self.id}"

    @property
    def hash(self) -> str:
        """What is kept of it. Nothing slow: nobody guesses 256 random bits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def matches(self, stored_hash: str) -> bool:
        """In constant time."""
        return hmac.compare_digest(self.hash, stored_hash)

    def __repr__(self) -> str:
        return f"Credential({self.prefix}_...)"


def new_credential(kind: str, id: str | None = None) -> Credential:
    """A fresh one; with `id`, another secret of the same record."""
    return Credential(kind, id or secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES))


def read_credential(text: str, kind: str) -> Credential | None:
    """The credential that `text` is, or None where it isn't one of this kind."""
    match = _FORM.match(text)
    if match is None or match[1] != kind:
        return None
    return Credential(match[1], match[2], match[3])
