"""Who may start an execution, and which one was started: a document per execution id."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from shared.platform.ports import Data

COLLECTION: Final = "executions"

LEASE_SECONDS: Final = 30.0
"""So long a caller has to start an execution, before another one may."""

KEPT_DAYS: Final = 40
"""Claims expire then: no message waits longer than 31 days, and asks for the start again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`job` is Cloud Run's; `claimed_by` names one caller of `start`; times are RFC 3339 text in UTC.

    `name` is the execution's full name, once it is known to have started.
    """

    job: str
    claimed_at: str
    claimed_by: str
    expires_at: str
    name: str | None = None

    @classmethod
    def by(cls, caller: str, job: str, now: datetime) -> Self:
        return cls(
            job=job,
            claimed_at=_text(now),
            claimed_by=caller,
            expires_at=_text(now + timedelta(days=KEPT_DAYS)),
        )

    @classmethod
    def from_data(cls, data: Data) -> Self:
        return cls(**{field.name: data[field.name] for field in fields(cls)})

    def data(self) -> dict[str, Any]:
        return asdict(self)

    def seconds_left(self, now: datetime) -> float:
        """Until others may start the execution; below 0 when they may."""
        return LEASE_SECONDS - (now - datetime.fromisoformat(self.claimed_at)).total_seconds()


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
