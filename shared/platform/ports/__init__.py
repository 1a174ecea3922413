"""The ports: what the engine asks of the platform, as narrow protocols.

All calls block and are safe from many threads and processes. Time and ids are made by the caller.
Any call may raise `PlatformUnavailable`; the other errors are in each docstring. One conformance
suite per port, in `tests/contracts`, runs on every adapter.
"""

from shared.platform.ports.blobs import BlobInfo, BlobPart, Blobs, UploadUrl
from shared.platform.ports.documents import (
    MAX_BATCH_WRITES,
    MAX_DOCUMENT_BYTES,
    MAX_IN_VALUES,
    MAX_LIMIT,
    Create,
    Delete,
    Document,
    Documents,
    Filter,
    Order,
    Page,
    Put,
    Replace,
    Write,
)
from shared.platform.ports.events import Event, Events
from shared.platform.ports.jobs import Jobs, JobState, JobStatus
from shared.platform.ports.platform import Platform
from shared.platform.ports.schedules import Schedule, Schedules, ScheduleState
from shared.platform.ports.trust import Identities, Secrets
from shared.platform.ports.values import Data, NewId, Now

__all__ = [
    "MAX_BATCH_WRITES",
    "MAX_DOCUMENT_BYTES",
    "MAX_IN_VALUES",
    "MAX_LIMIT",
    "BlobInfo",
    "BlobPart",
    "Blobs",
    "Create",
    "Data",
    "Delete",
    "Document",
    "Documents",
    "Event",
    "Events",
    "Filter",
    "Identities",
    "JobState",
    "JobStatus",
    "Jobs",
    "NewId",
    "Now",
    "Order",
    "Page",
    "Platform",
    "Put",
    "Replace",
    "Schedule",
    "ScheduleState",
    "Schedules",
    "Secrets",
    "UploadUrl",
    "Write",
]
