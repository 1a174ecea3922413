"""What is recorded of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class RunProgress:
    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is recorded. Times are RFC 3339 text in UTC; `timings` are seconds per stage.

    `heard_at` is the last heartbeat on the machine's clock, which differs from the engine's in a replay.
    `worker` is the process at work: another one that takes over (a retry) puts its own name there.
    `problem_version` is that of the declaration that is learnt from; a built-in problem has none.
    `result` has the version id, the metrics and the gates; `error` says why it failed, for people.
    `track_from` is when a tracking server may be told of it, on the machine's clock; None: needn't, or was.
    """

    run_id: str
    status: RunStatus
    request: Mapping[str, Any]
    created_at: str
    started_at: str | None = None
    heartbeat_at: str | None = None
    heard_at: str | None = None
    finished_at: str | None = None
    worker: str | None = None
    attempts: int = 0
    problem_version: int | None = None
    progress: RunProgress = RunProgress()
    timings: Mapping[str, float]
    cancel_requested: bool = False
    error: str | None = None
    result: Mapping[str, Any] | None = None
    track_from: str | None = None
    seq: int = 0

    def json(self) -> dict[str, Any]:
        """The run for its readers."""
        hidden = ("heard_at", "worker", "track_from", "seq")
        return {key: value for key, value in self.to_data().items() if key not in hidden}

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "status": str(self.status)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        status, progress = RunStatus(data["status"]), RunProgress(**data["progress"])
        return cls(**{**data, "status": status, "progress": progress})


@dataclass(frozen=True, slots=True)
class RunPage:
    runs: tuple[Run, ...]
    cursor: str | None
