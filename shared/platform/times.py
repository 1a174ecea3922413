"""Times as documents and events hold them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: datetime) -> str:
    """RFC 3339 text in UTC, always with microseconds: such texts compare as their times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
