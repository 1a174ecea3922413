"""What is known of a scoring and of its tasks, and how documents hold it. Light: no library is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, TypeAlias

from shared.errors import NotFound
from shared.platform.ports import Data

MAX_TASKS: Final = 50
SHOWN_ERRORS: Final = 20

Unit: TypeAlias = Literal["symbols", "rows"]
"""What a scoring counts."""


class ScoringStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (ScoringStatus.QUEUED, ScoringStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolsRequest:
    """Candles to score. `symbols` empty: all that are stored; `model`: a name or a version id.

    Without `start` and `end` (RFC 3339, both included) the newest candle of each symbol is scored, with one
    of them every candle in that window. `tasks` work side by side.
    """

    unit: ClassVar[Unit] = "symbols"

    symbols: tuple[str, ...] = ()
    model: str
    start: str | None = None
    end: str | None = None
    tasks: int = 1

    @property
    def is_window(self) -> bool:
        return self.start is not None or self.end is not None

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "symbols": list(self.symbols)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRequest:
    """Rows of files to score, by a tabular model. `input` is a blob's name or a folder: see `scoring_inputs`.

    The `id_columns` of the files go with each row's score.
    """

    unit: ClassVar[Unit] = "rows"

    input: str
    id_columns: tuple[str, ...] = ()
    model: str
    tasks: int = 1

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "id_columns": list(self.id_columns)}


ScoringRequest: TypeAlias = SymbolsRequest | RowsRequest


def request_of(data: Mapping[str, Any]) -> ScoringRequest:
    """Out of its document."""
    if "input" in data:
        return RowsRequest(**{**data, "id_columns": tuple(data["id_columns"])})
    return SymbolsRequest(**{**data, "symbols": tuple(data["symbols"])})


@dataclass(frozen=True, slots=True)
class SymbolError:
    """Why a symbol has no scores. `type` is the error's stable name."""

    symbol: str
    type: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row has no score: each fault with its JSON pointer within the row. Rows of a file begin at 0."""

    file: str
    row: int
    errors: tuple[Mapping[str, str], ...]


ItemError: TypeAlias = SymbolError | RowError


def item_error_of(data: Mapping[str, Any]) -> ItemError:
    """Out of a document or a file."""
    return RowError(**{**data, "errors": tuple(data["errors"])}) if "row" in data else SymbolError(**data)


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet blob of scores, and how many symbols or rows have some in it."""

    name: str
    sha256: str
    rows: int
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringTask:
    """One task's share of a scoring. `worker` is the process at work; a retry takes the task over.

    `heard_at` is the last heartbeat on the machine's clock, which differs from the engine's in a replay.
    Of its `items`, symbols or rows of files, `scored` have scores and `failed` have none; `errors` are the
    first few of those, the blob or folder `errors_file` has all.
    """

    scoring_id: str
    index: int
    status: ScoringStatus
    worker: str
    attempts: int
    started_at: str
    heartbeat_at: str
    heard_at: str | None = None
    finished_at: str | None = None
    items: int = 0
    scored: int = 0
    failed: int = 0
    rows: int = 0
    parts: tuple[Part, ...] = ()
    errors: tuple[ItemError, ...] = ()
    errors_file: str | None = None
    error: str | None = None
    seq: int = 0

    def json(self) -> dict[str, Any]:
        """The task for its readers."""
        hidden = ("scoring_id", "heard_at", "worker", "seq")
        return {key: value for key, value in task_data(self).items() if key not in hidden}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """A scoring as it is recorded. Times are RFC 3339 text in UTC. The request's model is a version's id."""

    scoring_id: str
    status: ScoringStatus
    request: ScoringRequest
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    cancel_requested: bool = False
    error: str | None = None
    seq: int = 0

    def json(self) -> dict[str, Any]:
        """The scoring for its readers."""
        data = {key: value for key, value in scoring_data(self).items() if key != "seq"}
        return {**data, "model_id": self.request.model, "unit": self.request.unit}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the tasks are that have begun. Of their `items`, `scored` have scores, `failed` have none."""

    tasks: int
    tasks_begun: int
    tasks_ended: int
    items: int
    scored: int
    failed: int
    rows: int

    @staticmethod
    def of(scoring: Scoring, tasks: Sequence[ScoringTask]) -> Progress:
        return Progress(
            tasks=scoring.request.tasks,
            tasks_begun=len(tasks),
            tasks_ended=sum(task.status.has_ended for task in tasks),
            items=sum(task.items for task in tasks),
            scored=sum(task.scored for task in tasks),
            failed=sum(task.failed for task in tasks),
            rows=sum(task.rows for task in tasks),
        )

    def json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ScoringPage:
    scorings: tuple[Scoring, ...]
    cursor: str | None


def scoring_data(scoring: Scoring) -> dict[str, Any]:
    """As its document holds it."""
    return {**asdict(scoring), "status": str(scoring.status), "request": scoring.request.to_data()}


def scoring_of(data: Data) -> Scoring:
    """Out of its document."""
    status, request = ScoringStatus(data["status"]), request_of(data["request"])
    return Scoring(**{**data, "status": status, "request": request})


def task_data(task: ScoringTask) -> dict[str, Any]:
    """As its document holds it."""
    lists = {name: [asdict(item) for item in getattr(task, name)] for name in ("parts", "errors")}
    return {**asdict(task), "status": str(task.status), **lists}


def task_of(data: Data) -> ScoringTask:
    """Out of its document."""
    changed = {
        "status": ScoringStatus(data["status"]),
        "parts": tuple(Part(**part) for part in data["parts"]),
        "errors": tuple(map(item_error_of, data["errors"])),
    }
    return ScoringTask(**{**data, **changed})


def unknown(scoring_id: str) -> NotFound:
    return NotFound(f"There is no scoring {scoring_id!r}.")
