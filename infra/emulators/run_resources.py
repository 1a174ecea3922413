"""The Run Admin API's JSON (v2): executions, tasks and operations, from what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.platform.executions import MAX_TASKS
from shared.platform.local.execution import TaskReport
from shared.platform.local.executions import Report
from shared.platform.ports import JobState

_TYPE = "type.googleapis.com/google.cloud.run.v2.Execution"
_RUNNING, _SUCCEEDED, _FAILED = "CONDITION_RECONCILING", "CONDITION_SUCCEEDED", "CONDITION_FAILED"


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class EnvVar(_Body):
    name: str = Field(min_length=1)
    value: str = ""


class ContainerOverride(_Body):
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()


class Overrides(_Body):
    """Of a job with one container and one task."""

    container_overrides: tuple[ContainerOverride, ...] = Field((), max_length=1)
    task_count: int = Field(1, ge=1, le=MAX_TASKS)

    @property
    def container(self) -> ContainerOverride:
        return self.container_overrides[0] if self.container_overrides else ContainerOverride()


class RunRequest(_Body):
    """The body of jobs.run, as far as it counts here."""

    overrides: Overrides = Overrides()


@dataclass(frozen=True, slots=True)
class Asked:
    """An execution as it was asked for. `created_at` is RFC 3339 in UTC."""

    project: str
    region: str
    job: str
    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    task_count: int
    max_retries: int
    created_at: str

    @classmethod
    def of(cls, report: Report) -> Self:
        return cls(**{field.name: report.facts[field.name] for field in fields(cls)})

    def facts(self) -> dict[str, Any]:
        """What `of` needs."""
        return asdict(self)

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"


def now_text() -> str:
    return _text(datetime.now(UTC))


def execution_json(folder: Path, asked: Asked, report: Report) -> dict[str, Any]:
    """`folder` is the execution's, and named as it."""
    has_ended = report.status.state is not JobState.RUNNING
    return {
        "name": f"{asked.parent}/jobs/{asked.job}/executions/{folder.name}",
        "uid": folder.name,
        "generation": "1",
        "job": asked.job,
        "createTime": asked.created_at,
        "startTime": asked.created_at,
        "updateTime": _ended_at(folder),
        "parallelism": 0,
        "taskCount": asked.task_count,
        "template": _template(asked),
        "reconciling": not has_ended,
        "conditions": [_completed(report)],
        "observedGeneration": "1",
        "logUri": folder.as_uri(),
        "etag": f'"{folder.name}"',
        **{name: count for name, count in _counts(report).items() if count},  # the API leaves out what is 0
        **({"completionTime": _ended_at(folder)} if has_ended else {}),
    }


def _counts(report: Report) -> dict[str, int]:
    codes = [task.code for task in report.tasks]
    unfinished = codes.count(None)
    failed = len(codes) - codes.count(0) - unfinished
    under_way = sum(task.code is None and task.attempts > 0 for task in report.tasks)
    state = report.status.state
    return {
        "runningCount": under_way if state is JobState.RUNNING else 0,
        "succeededCount": codes.count(0),
        "failedCount": failed + (unfinished if state is JobState.FAILED else 0),
        "cancelledCount": unfinished if state is JobState.CANCELLED else 0,
        "retriedCount": sum(task.attempts > 1 for task in report.tasks),
    }


def tasks_json(folder: Path, asked: Asked, report: Report) -> Sequence[dict[str, Any]]:
    execution = f"{asked.parent}/jobs/{asked.job}/executions/{folder.name}"
    return [
        {
            "name": f"{execution}/tasks/{folder.name}-task{index}",
            "job": asked.job,
            "execution": folder.name,
            "index": index,
            "retried": max(0, task.attempts - 1),
            "maxRetries": asked.max_retries,
            "createTime": asked.created_at,
            **_template(asked),
            **({} if task.code is None else {"lastAttemptResult": _result(task)}),
            "logUri": (folder / f"task-{index}.log").as_uri(),
        }
        for index, task in enumerate(report.tasks)
    ]


def operation_json(folder: Path, asked: Asked, report: Report) -> dict[str, Any]:
    """An operation ends with its execution: with it as the response, or with an error."""
    execution = {"@type": _TYPE, **execution_json(folder, asked, report)}
    operation = {"name": f"{asked.parent}/operations/{folder.name}", "metadata": execution}
    if report.status.state is JobState.RUNNING:
        return operation
    if report.status.state is JobState.SUCCEEDED:
        return {**operation, "done": True, "response": execution}
    return {**operation, "done": True, "error": {"code": 10, "message": report.status.detail}}


def _template(asked: Asked) -> dict[str, Any]:
    """With the request's overrides in it."""
    container = {
        "image": "stand-in",
        "command": ["python", "-m", asked.module],
        "args": list(asked.arguments),
        "env": [{"name": name, "value": value} for name, value in asked.environment.items()],
    }
    return {"containers": [container], "maxRetries": asked.max_retries}


def _completed(report: Report) -> dict[str, Any]:
    """The condition that says whether, and how, an execution has ended."""
    why = report.status.detail
    match report.status.state:
        case JobState.RUNNING:
            return {"type": "Completed", "state": _RUNNING}
        case JobState.SUCCEEDED:
            return {"type": "Completed", "state": _SUCCEEDED}
        case JobState.CANCELLED:
            return {"type": "Completed", "state": _FAILED, "executionReason": "CANCELLED", "message": why}
    reason = "NON_ZERO_EXIT_CODE" if any(task.code for task in report.tasks) else "EXECUTION_REASON_UNDEFINED"
    return {"type": "Completed", "state": _FAILED, "executionReason": reason, "message": why}


def _result(task: TaskReport) -> dict[str, Any]:
    code = task.code or 0
    how = {"exitCode": code} if code >= 0 else {"termSignal": -code}
    status = {"code": 10, "message": "The container exited with an error."} if code else {}
    return {"status": status, **how}


def _ended_at(folder: Path) -> str:
    """When something last happened there."""
    changed = [folder.stat().st_mtime]
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # written beside its name, and renamed since
            changed.append(file.stat().st_mtime)
    return _text(datetime.fromtimestamp(max(changed), UTC))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
