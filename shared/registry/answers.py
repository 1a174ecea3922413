"""What is answered about models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.schema import Answer


class ModelSummary(Answer):
    """A version. `origin` says whether it was trained here or uploaded; `owner` is the user whose it is, or
    null: everybody's.
    """

    id: str
    name: str
    version: int
    active: bool
    status: str
    gates_passed: bool
    suspected_leak: bool
    algorithm: str
    package_hash: str
    run_id: str | None
    created_at: datetime
    created_by: str
    origin: str
    owner: str | None
    description: str
    tags: tuple[str, ...]
    deleted_at: datetime | None


class ModelList(Answer):
    models: list[ModelSummary]
    cursor: str | None


class ModelDetails(ModelSummary):
    """A version with its manifest: metrics, gates, schema, lineage."""

    manifest: dict[str, Any]


class PromotionEntry(Answer):
    """One change of what is live. `version_id` is what went live, `previous` what it replaced."""

    name: str
    action: str
    version_id: str
    previous: str | None
    at: datetime
    by: str
    reason: str


class PromotionList(Answer):
    """Newest first. With `at`, the one change that made live what was live then."""

    promotions: list[PromotionEntry]
    cursor: str | None


class HistoryEntryAnswer(Answer):
    """One thing that was done to a version: registered, activated, rolled_back (it went live again),
    reloaded, archived (another went live in its place), edited or deleted.
    """

    version_id: str
    deed: str
    at: datetime
    by: str
    reason: str


class HistoryAnswer(Answer):
    """Newest first."""

    history: list[HistoryEntryAnswer]
    cursor: str | None


class ClassShare(Answer):
    """How often this was answered."""

    label: str
    count: int
    share: float


class StatsAnswer(Answer):
    """How a version was used from `since` until `until`. `calls` are requests, of one row or many, with how
    long they took; `errors` are those that failed by our fault (5xx). `predictions` are rows, by what was
    answered; where there are more than are looked at, the newest, and `is_sample` says so.
    """

    model_id: str
    window: str
    since: str
    until: str
    calls: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    predictions: int
    is_sample: bool
    classes: list[ClassShare]


class Reloaded(Answer):
    """Which versions every instance verifies and loads anew, and within which time."""

    reloaded: list[str]
    effective_within_seconds: float
