"""What the model is given: the traffic, the design, and what is assumed as it can't be measured here."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

HOURS: Final = 730
"""Of a month."""

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class Traffic(BaseModel):
    """The predictions of a month, one a request, and the size of what they are about.

    They come at random in `hours` of the month's 730, on at least `instances` of each function, and ask
    for each of the symbols equally often: the worst that a cache can meet.
    """

    model_config = _FROZEN

    predictions: float = Field(1_000_000, ge=1)
    hours: float = Field(HOURS, gt=0, le=HOURS)
    instances: int = Field(1, ge=1)
    symbols: int = Field(500, ge=1)
    candles: int = Field(2_520, ge=1)
    """Stored of each symbol: ten years of days."""
    candle_cache_seconds: float = Field(30, ge=0)
    model_cache_seconds: float = Field(5, ge=0)

    @property
    def seconds(self) -> float:
        return self.hours * 3_600

    @property
    def each_second(self) -> float:
        return self.predictions / self.seconds


class Design(BaseModel):
    """What can be chosen. The defaults are what Terraform makes for production, without its front door."""

    model_config = _FROZEN

    audit_documents: bool = True
    """Whether the function `audit` keeps predictions in Firestore."""
    audit_rows: bool = True
    """Whether a BigQuery subscription keeps them in the warehouse."""
    front_door: bool = False
    """The load balancer with Cloud Armor."""
    warm_predicts: int = Field(0, ge=0)
    """Instances of predict that are kept."""
    logged_share: float = Field(1, ge=0, le=1)
    """Of the engine's lines about requests."""
    request_logs: bool = True
    """Whether Cloud Run's own lines about requests are kept."""
    every_field_indexed: bool = False
    """Whether each field of predictions has an index, as Firestore makes them unless told otherwise."""
    recovery: bool = True
    """Point-in-time recovery of documents."""
    backup_days: int = Field(14, ge=0)
    alerts_charged: bool = False
    """Whether alert policies are charged for, as is announced."""


class Assumptions(BaseModel):
    """What can be known for certain on a real project only. Each is on the dear side."""

    model_config = _FROZEN

    slower_processor: float = Field(2, description="times the processor time measured here")
    used_processor: float = Field(0.6, description="of a processor, at which Cloud Run adds an instance")
    billed_step_seconds: float = Field(0.1, description="to which an instance's time is rounded up")
    kept_seconds: float = Field(900, description="that an instance without requests stays")
    container_seconds: float = Field(
        2, description="billed at the start of an instance besides the process's own"
    )
    publish_seconds: float = Field(0.03, description="that Pub/Sub takes for a publication")
    read_seconds: float = Field(0.015, description="that Firestore takes for a read")
    commit_seconds: float = Field(0.03, description="that Firestore takes for a commit")
    blob_seconds: float = Field(0.1, description="that Cloud Storage takes for a write")
    upstream_seconds: float = Field(0.15, description="that the upstream takes for the candles of a symbol")
    upstream_request_bytes: float = Field(500, description="sent to ask it")
    ingest_at_once: int = Field(8, description="symbols at once: UPSTREAM_CONCURRENCY")
    event_seconds: float = Field(1, description="that a function takes for a schedule's event")
    event_operations: float = Field(10, description="document reads, and as many writes, of such an event")
    job_seconds: float = Field(60, description="of a job of which nothing is known: the least that is billed")
    log_entry_bytes: float = Field(500, description="that Cloud Logging adds to a line: names, labels, times")
    request_log_bytes: float = Field(1_200, description="of Cloud Run's own line about a request")
    request_bytes: float = Field(600, description="of a request as the load balancer takes it")
    entry_bytes: float = Field(3_000, description="of the other documents of a symbol, with index entries")
    kept_models: int = Field(52, description="versions: one a week for a year")
    base_image_bytes: float = Field(150e6, description="of the layers that all images of a kind share")
    kept_function_images: int = Field(5, description="versions of each function's packages, none alike")
    kept_job_images: int = Field(10, description="versions of the jobs' packages, none alike")
    forwarding_rules_billed: int = Field(1, description="up to five cost as much as one")
    armor_rules: int = Field(8, description="rules of the policy: the rate limit and seven rule sets")
    balanced_log_share: float = Field(0.1, description="of requests that the load balancer logs")
    alert_references: int = Field(10, description="metrics that alert policies refer to")
    alert_points: float = Field(86_400, description="a month and reference: one each 30 seconds")
