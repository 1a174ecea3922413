"""Guessing gets slow: after a few failed logins, an account and an address wait, longer each time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.access.addresses import network_of
from shared.access.users import folded
from shared.errors import TooManyRequests
from shared.platform.cas import update
from shared.platform.ports import Data, Delete, Documents, Now
from shared.platform.times import utc

FAILURES: Final = "login-failures"
FORGOTTEN_AFTER: Final = timedelta(hours=1)
LONGEST: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose failures are counted, and how many cost nothing. An address may stand for a whole office."""

    kind: str
    value: str
    free: int

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{self.kind}:{self.value}".encode()).hexdigest()


def account(email: str) -> Subject:
    return Subject("account", folded(email), free=5)


def address(ip: str) -> Subject:
    return Subject("address", network_of(ip), free=25)


class LoginBackoff:
    """Counts failures per account and per address; the wait doubles from a second to a quarter of an hour.

    Whoever fails at somebody else's account on purpose makes its owner wait too, a quarter of an hour
    at most: that is the price of not letting anybody guess.
    """

    def __init__(self, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now

    def require_free(self, subjects: Sequence[Subject]) -> None:
        """
        Raises:
            TooManyRequests: one of them waits still.
        """
        now = self._now()
        found = [self._documents.get(FAILURES, subject.id) for subject in subjects]
        ends = [datetime.fromisoformat(one.data["until"]) for one in found if one is not None]
        seconds = (max(ends, default=now) - now).total_seconds()
        if seconds > 0:
            raise TooManyRequests("Too many failed logins. Wait, and try again.", retry_after_seconds=seconds)

    def failed(self, subjects: Sequence[Subject]) -> None:
        for subject in subjects:
            self._count(subject)

    def succeeded(self, account: Subject) -> None:
        """The account's failures are forgotten; those of the address stay, since it tries others too."""
        self._documents.commit([Delete(FAILURES, account.id)])

    def _count(self, subject: Subject) -> None:
        now = self._now()

        def change(data: Data | None) -> Data:
            known = data is not None and datetime.fromisoformat(data["expires_at"]) > now
            failures = (data["failures"] if data is not None and known else 0) + 1
            wait = _wait(failures - subject.free)
            expires_at = now + FORGOTTEN_AFTER
            return {"failures": failures, "until": utc(now + wait), "expires_at": utc(expires_at)}

        update(self._documents, FAILURES, subject.id, change)


def _wait(beyond: int) -> timedelta:
    if beyond <= 0:
        return timedelta(0)
    return min(LONGEST, timedelta(seconds=2.0 ** min(beyond - 1, 20)))
