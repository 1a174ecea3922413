"""The collections of documents: what each holds, the shape its documents have, and when they expire.

The one list that migrations, backups and Terraform read. A change of a collection's shape is a new
`schema` with a migration from the last one; old documents stay readable for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from shared.errors import ConfigurationError
from shared.platform.ports import Data

Migration: TypeAlias = Callable[[Data], Data]
"""Brings a document from one schema to the next. It is pure, and what it gives has all that it needs."""

SCHEMA_FIELD: Final = "schema_version"


@dataclass(frozen=True, slots=True)
class Collection:
    """`migrations[n]` brings schema n + 1 to n + 2. Documents without a schema have the first.

    Documents expire at the time in their `expires_field`; readers must check it, since deletion lags.
    What isn't `kept` is of use for a short while only, and in no backup.
    """

    holds: str
    migrations: tuple[Migration, ...] = ()
    expires_field: str | None = None
    kept: bool = True

    @property
    def schema(self) -> int:
        return len(self.migrations) + 1


def _of_everybody(data: Data) -> Data:
    """Versions and names from before there were uploads: trained here, and nobody's own."""
    return {**data, "origin": "trained", "owner": None}


def _undescribed(data: Data) -> Data:
    return {**_of_everybody(data), "description": "", "tags": [], "deleted_at": None, "deleted_by": None}


def _of_no_declaration(data: Data) -> Data:
    """Runs from before they said which version of a declaration they learn from."""
    return {**data, "problem_version": None}


def _of_no_tracking(data: Data) -> Data:
    """Runs from before it was kept whether a tracking server is to be told of them."""
    return {**data, "track_from": None}


def _of_items(data: Data) -> Data:
    """Tasks from before files were scored: of symbols."""

    def renamed(fields: Data) -> Data:
        return {("items" if name == "symbols" else name): value for name, value in fields.items()}

    return {**renamed(data), "parts": [renamed(part) for part in data["parts"]]}


COLLECTIONS: Final[Mapping[str, Collection]] = MappingProxyType(
    {
        # In this order they are backed up: a pointer before what it points to, which was written before it.
        "active-models": Collection("which version of each model is live"),
        "promotions": Collection("every change of what is live"),
        "model-versions": Collection("the registered versions", migrations=(_undescribed,)),
        "model-counters": Collection(
            "the last version number of each model, and whose it is", migrations=(_of_everybody,)
        ),
        "model-history": Collection("what was done to each version"),
        "uploads": Collection("models that users have uploaded: what they sent, and what became of it"),
        "problems": Collection("problems that were declared, with the names of their data"),
        "runs": Collection("training runs", migrations=(_of_no_declaration, _of_no_tracking)),
        "searches": Collection("what the studies of a search for hyper-parameters have tried"),
        "scorings": Collection("scorings of symbols or of files: what was asked, and how they ended"),
        "scoring-tasks": Collection("how far each task of a scoring is", migrations=(_of_items,)),
        "candles": Collection("which Parquet parts hold each symbol's candles"),
        "candle_tails": Collection("each symbol's last candles"),
        "candle-findings": Collection("how often each symbol's candles had which findings, by session"),
        "schedules": Collection("the twin's schedules, and which are paused"),
        "predictions": Collection("the audit of answered predictions", expires_field="expires_at"),
        "unsettled-predictions": Collection("the predictions whose outcome isn't known yet"),
        "outcomes": Collection("what became of each prediction, for its performance"),
        "reports": Collection("reports: what was asked for, how they ended, and their files"),
        "drift-checks": Collection("checks of drift, with all that was found"),
        "monitoring-history": Collection("what was watched, point by point"),
        "latency": Collection(
            "how long requests took, by function and interval", expires_field="expires_at", kept=False
        ),
        "alert-causes": Collection("the last alert of each cause, and when it was said to be over"),
        "alerts": Collection("alerts: what was seen, how often, and who looks after it"),
        "notifications": Collection("what was told on which channel", expires_field="expires_at"),
        "heard-alerts": Collection(
            "which events of alerts were applied, and what goes out of them",
            expires_field="expires_at",
            kept=False,
        ),
        "watch-causes": Collection("which causes the monitors have an alert for"),
        "dead-letters": Collection("events that were given up, and why"),
        "dead-letter-parts": Collection("the parts of those that don't fit into one document"),
        "executions": Collection(
            "which execution each id has started", expires_field="expires_at", kept=False
        ),
        "users": Collection("who may log in, and their roles"),
        "user-emails": Collection("which user each address belongs to"),
        "bootstraps": Collection("that the first admin has been made"),
        "api-keys": Collection("API keys, by their hashes"),
        "admin-audit": Collection("who changed what"),
        "idempotency": Collection(
            "what calls were answered, by their keys", expires_field="expires_at", kept=False
        ),
        "invitations": Collection("who may register", expires_field="expires_at", kept=False),
        "sessions": Collection("who is logged in", expires_field="expires_at", kept=False),
        "login-failures": Collection("who has to wait", expires_field="expires_at", kept=False),
        "delivery-failures": Collection("what deliveries failed of", expires_field="expires_at", kept=False),
    }
)


def upgrade(collection: str, data: Data) -> Data:
    """The document in its collection's present shape, without the schema's number.

    Raises:
        ConfigurationError: a newer version of the engine wrote it.
    """
    known = COLLECTIONS.get(collection)
    if known is None:
        return data
    fields = dict(data)
    found = fields.pop(SCHEMA_FIELD, 1)
    if found > known.schema:
        raise ConfigurationError(
            f"A document of {collection} has schema {found}, this version of the engine knows up to "
            f"{known.schema}: a newer one wrote it. Deploy that again, or restore a backup."
        )
    migrated: Data = fields
    for migration in known.migrations[found - 1 :]:
        migrated = migration(migrated)
    return migrated


def stamped(collection: str, data: Data) -> Data:
    """The document with its schema's number."""
    known = COLLECTIONS.get(collection)
    return data if known is None else {**data, SCHEMA_FIELD: known.schema}


def is_outdated(collection: str, data: Data) -> bool:
    """Whether a stored document has an older schema than its collection."""
    return bool(data.get(SCHEMA_FIELD, 1) < COLLECTIONS[collection].schema)


def kept() -> Sequence[str]:
    """The collections that a backup holds, in the order to read them in."""
    return [name for name, collection in COLLECTIONS.items() if collection.kept]
