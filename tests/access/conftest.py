from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.access.accounts import BOOTSTRAP_SECRET, Accounts
from shared.access.api_keys import ApiKeys
from shared.access.authenticator import Authenticator
from shared.access.backoff import LoginBackoff
from shared.access.invitations import Invitations
from shared.access.passwords import Passwords
from shared.access.sessions import Sessions
from shared.access.tokens import SIGNING_KEYS_SECRET, AccessTokens, new_signing_key
from shared.access.users import Users
from shared.config import Registration
from shared.platform.local.documents import SqliteDocuments
from shared.platform.local.secrets import LocalSecrets

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
BOOTSTRAP = "only-once-and-never-again"


class House:
    """All parts of access on one store, with a clock that tests turn."""

    def __init__(self, folder: Path, registration: Registration = Registration.OPEN) -> None:
        self.time = datetime(2024, 6, 1, tzinfo=UTC)
        self.ticks = 0.0
        self.folder = folder
        self.documents = SqliteDocuments(folder / "documents.sqlite3")
        self.secrets = LocalSecrets(folder / "secrets", {})
        self.secrets.ensure(SIGNING_KEYS_SECRET, lambda: new_signing_key("one"))
        self.secrets.ensure(BOOTSTRAP_SECRET, lambda: BOOTSTRAP)
        self.users = Users(self.documents, self.now, lambda: uuid.uuid4().hex)
        self.sessions = Sessions(self.documents, self.now)
        self.invitations = Invitations(self.documents, self.now)
        self.keys = ApiKeys(self.documents, self.now)
        self.tokens = AccessTokens(self.secrets, "mlengine:test", self.now)
        self.backoff = LoginBackoff(self.documents, self.now)
        self.passwords = Passwords()
        self.accounts = self.with_registration(registration)
        self.authenticator = Authenticator(
            self.keys,
            self.users,
            self.sessions,
            self.tokens,
            cache_seconds=5.0,
            now=self.now,
            monotonic=lambda: self.ticks,
        )

    def now(self) -> datetime:
        return self.time

    def passes(self, **of: float) -> None:
        """Turn both clocks."""
        step = timedelta(**of)
        self.time += step
        self.ticks += step.total_seconds()

    def with_registration(self, registration: Registration) -> Accounts:
        parts = (self.users, self.sessions, self.invitations, self.tokens, self.passwords, self.backoff)
        return Accounts(*parts, self.secrets, registration, self.now)

    def rotate(self, keys: Sequence[str]) -> None:
        (self.folder / "secrets" / SIGNING_KEYS_SECRET).write_text(",".join(keys))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
