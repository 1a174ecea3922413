"""The ports: what the engine asks of the platform, as narrow protocols.

All calls block and are safe from many threads and processes. Time and ids are made by the caller.
Any call may raise `PlatformUnavailable`; the other errors are in each docstring. One conformance
suite per port, in `tests/contracts`, runs on every adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias

Now: TypeAlias = Callable[[], datetime]
"""Gives the present time, in UTC and aware of it."""

NewId: TypeAlias = Callable[[], str]
"""Gives a fresh random id: letters and digits."""

Data: TypeAlias = Mapping[str, Any]
"""What a document or an event holds: a JSON object. Times in it are RFC 3339 text in UTC."""

MAX_BATCH_WRITES = 500
MAX_DOCUMENT_BYTES = 1_000_000
MAX_IN_VALUES = 30
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. `revision` changes with every write and is opaque."""

    id: str
    data: Data
    revision: str


@dataclass(frozen=True, slots=True)
class Create:
    """Write that fails with `AlreadyExists` if the document is there."""

    collection: str
    id: str
    data: Data


@dataclass(frozen=True, slots=True)
class Replace:
    """Compare-and-swap: fails with `RevisionConflict` unless the document is at `revision`."""

    collection: str
    id: str
    data: Data
    revision: str


@dataclass(frozen=True, slots=True)
class Put:
    """Write whatever was there: for facts that are the same whoever writes them."""

    collection: str
    id: str
    data: Data


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove. With `revision`, fails with `RevisionConflict` unless the document is at it."""

    collection: str
    id: str
    revision: str | None = None


Write: TypeAlias = Create | Replace | Put | Delete


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep documents whose `field` (top level, or dotted) compares so. Missing fields never match.

    Values of different types never compare: only `!=` keeps the other types, all but null. `in` takes 1 to
    30 values. Of text, stores may compare the first 1,500 bytes only.
    """

    field: str
    op: Literal["==", "!=", "<", "<=", ">", ">=", "in"]
    value: Any


@dataclass(frozen=True, slots=True)
class Order:
    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer. `cursor` asks for what follows; None at the end."""

    documents: Sequence[Document]
    cursor: str | None


class Documents(Protocol):
    """Small JSON documents in collections, with compare-and-swap and atomic batches.

    Ids are 1 to 200 characters without `/`. A document holds at most 1,000,000 bytes: of JSON, and also
    where each number counts as 8 bytes and each map as 32. Integers have at most 64 bits.
    """

    def get(self, collection: str, id: str) -> Document | None:
        """The document, or None."""
        ...

    def query(
        self,
        collection: str,
        *,
        where: Sequence[Filter] = (),
        order_by: Sequence[Order] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """Matching documents in order, at most `limit` (up to 10,000).

        The order is `order_by`, then the fields compared by size or `!=` that it lacks, by name, then
        the id; what isn't in `order_by` goes in its last direction. Which type of values comes first is
        the store's own. Documents without an ordered field are left out. A cursor keeps its place by
        value: what is added or removed elsewhere never repeats or hides a document.

        Names of fields begin with a letter. A query takes one `!=`, and filters with `in` whose values
        give at most 30 combinations.

        Raises:
            InvalidInput: a query that not every store can answer, or the cursor isn't one of this query's.
        """
        ...

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        """All of `writes`, or none: at most 500, one per document. Durable on return.

        Returns the new revisions in the order of `writes` ("" for a deletion).

        Raises:
            AlreadyExists: a `Create` found the document.
            RevisionConflict: a `Replace` or `Delete` found another revision, or nothing.
            InvalidInput: too many writes, too large a document, or not JSON.
        """
        ...


@dataclass(frozen=True, slots=True)
class BlobInfo:
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BlobPart:
    """Some of a blob's bytes, and how many it has in all."""

    content: bytes
    total_bytes: int


@dataclass(frozen=True, slots=True)
class UploadUrl:
    """How somebody without any other right puts one blob: one request with these headers, and the content as
    its body. Whoever has it may use it: it is a secret for as long as it is good.
    """

    url: str
    method: str
    headers: Mapping[str, str]


class Blobs(Protocol):
    """Immutable named bytes. A name is `/`-separated parts of letters, digits and `._=^-`.

    A name is written once; new content gets a new name.
    """

    def put(self, name: str, content: bytes) -> str:
        """Store under a free name, durable on return; gives the content's sha256 in hex.

        Raises:
            AlreadyExists: the name is taken, by whatever content.
            InvalidInput: not a name.
        """
        ...

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        """The content.

        Raises:
            NotFound: no such name.
            CorruptBlob: the content hasn't the sha256 asked for, or the one recorded when it was put.
        """
        ...

    def part(self, name: str, *, start: int, size_bytes: int) -> BlobPart:
        """At most `size_bytes` (1 or more) of the content from `start` on; none where it ends before.

        A checksum is of a whole, so a part is taken as it comes. It reads what `list` doesn't show, too.

        Raises:
            NotFound: no such name.
        """
        ...

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Everything whose name begins with `prefix`, by name."""
        ...

    def delete(self, name: str) -> None:
        """Remove; nothing happens when it isn't there."""
        ...

    def upload_url(self, name: str, *, size_bytes: int, seconds: int) -> UploadUrl | None:
        """Lets somebody put a blob of this size under this free name by themselves, within so many seconds.
        None where the store has no address of its own.

        Nobody has checked what comes so: it isn't listed, and `get` needs to be told its sha256.

        Raises:
            InvalidInput: not a name.
        """
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent 1.0. `source` + `id` identify it for ever: handlers drop what they have seen."""

    id: str
    source: str
    type: str
    time: datetime
    data: Data
    attributes: Mapping[str, str] = field(default_factory=dict)


class Events(Protocol):
    """Topics with at-least-once delivery: retried with backoff, then dead-lettered with the reason."""

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Returns once all are durable. Order of delivery isn't promised.

        Raises:
            NotFound: no such topic.
            InvalidInput: an event that isn't JSON.
        """
        ...


class JobState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """`detail` says why, for people."""

    state: JobState
    detail: str = ""


class Jobs(Protocol):
    """Long work outside the serving process: a module that runs as one or more tasks.

    Each task sees CLOUD_RUN_TASK_INDEX, CLOUD_RUN_TASK_COUNT and CLOUD_RUN_TASK_ATTEMPT (0 at first),
    and its execution's id in MLENGINE_EXECUTION. Its exit code is a contract: 0, the work has ended
    (well, or recorded as failed); anything else, also being killed, try again. The platform does so
    3 times (or MLENGINE_TASK_RETRIES), then the task has failed, and the execution with it. What was
    cancelled isn't tried again. A task may run twice all the same: jobs must bear it.
    """

    def start(self, job: str, arguments: Sequence[str], *, execution_id: str, task_count: int = 1) -> None:
        """Start `python -m shared.jobs.<job> <arguments>`; the same execution id starts only once.

        Returns when the execution was accepted, or was before; it doesn't wait for its end.

        Raises:
            NotFound: no such job.
            InvalidInput: not an execution id (1 to 128 letters, digits, `.`, `_`, `-`; a letter or digit
                first), or not 1 to 10,000 tasks.
        """
        ...

    def status(self, execution_id: str) -> JobStatus:
        """How it goes; UNKNOWN when it was never started, or the platform has forgotten it."""
        ...

    def cancel(self, execution_id: str) -> None:
        """Ask it to stop (SIGTERM, then SIGKILL); nothing happens when it has ended."""
        ...


class Secrets(Protocol):
    def get(self, name: str) -> str:
        """The secret's current value.

        Raises:
            NotFound: no such secret.
        """
        ...


class Identities(Protocol):
    """Services that call with a token which the platform gave them."""

    def verify(self, token: str, audience: str) -> str:
        """The e-mail address of the service account that presents `token` to `audience`, a URL.

        Raises:
            Unauthenticated: no such token is valid here; says what is wrong with it, never what it is.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is published when: `data` on `topic`, whenever `cron` says so in `timezone`."""

    purpose: str
    cron: str
    timezone: str
    topic: str
    data: Data


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A schedule as the platform has it: `cron` in `timezone` publishes `data` on `topic`.

    `last_fired_at` and `next_fire_at` are None where the platform doesn't know; a paused schedule has
    no next time.
    """

    name: str
    purpose: str
    cron: str
    timezone: str
    topic: str
    data: Data
    paused: bool
    last_fired_at: datetime | None
    next_fire_at: datetime | None


class Schedules(Protocol):
    """The schedules of the functions catalogue, as they were set up here, and those made while it runs.

    Setting up the first is the infrastructure's work: Terraform's in the cloud, the twin's at its start. It
    leaves the others alone, whose names begin with `shared.platform.scheduling.MADE`.
    """

    def list(self) -> Sequence[ScheduleState]:
        """All of them, by name."""
        ...

    def pause(self, name: str) -> None:
        """No more firing until `resume`; pausing twice is fine.

        Raises:
            NotFound: no such schedule.
        """
        ...

    def resume(self, name: str) -> None:
        """Fire at its times again; times that passed meanwhile aren't made up for.

        Raises:
            NotFound: no such schedule.
        """
        ...

    def fire(self, name: str) -> None:
        """Publish its event now, also when it is paused. On return the platform has taken the order.

        Raises:
            NotFound: no such schedule.
        """
        ...

    def put(self, name: str, schedule: Schedule) -> None:
        """Have this schedule, in place of the one of that name before. What is paused stays so.

        Raises:
            InvalidInput: not a name of one made while the engine runs, or not a cron or a time zone.
        """
        ...

    def delete(self, name: str) -> None:
        """Have it no longer; nothing happens when it isn't there.

        Raises:
            InvalidInput: not a name of one made while the engine runs.
        """
        ...


@dataclass(frozen=True, slots=True)
class Platform:
    """One place to run in: an adapter per port, and the clocks and ids of the process.

    `now` is the time that the engine works at, `wall` the machine's: `shared.platform.clock` says what goes
    by which. They differ in a replay only, and there everything that shows a time says so (`replay_now`).
    """

    documents: Documents
    blobs: Blobs
    events: Events
    jobs: Jobs
    secrets: Secrets
    schedules: Schedules
    identities: Identities
    now: Now
    wall: Now
    new_id: NewId
    is_replay: bool = False

    @property
    def replay_now(self) -> Now | None:
        """The clock of the replay, to be told beside the machine's time; None where there is none."""
        return self.now if self.is_replay else None
