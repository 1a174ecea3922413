"""The functions catalogue, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.platform.scheduling import NAME, check_cron, check_timezone
from shared.platform.topics import TOPICS

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE_FILE = ROOT / "functions" / "catalogue.yaml"

RouteText = Annotated[str, Field(pattern=r"^(GET|POST|PUT|DELETE) /\S*$")]
Folder = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Permission = Literal[
    "documents.get",
    "documents.read",
    "documents.write",
    "blobs.read",
    "blobs.write",
    "blobs.sign",
    "events.publish",
    "jobs.run",
    "schedules.write",
    "schedules.make",
]
_CLIENTS: Mapping[Permission, str] = {
    "documents.read": "gcp-documents",
    "documents.write": "gcp-documents",
    "blobs.write": "gcp-blobs",
    "jobs.run": "gcp-jobs",
    "schedules.write": "gcp-schedules",
    "schedules.make": "gcp-schedules",
}
"""The extra that brings the official client which a permission needs; the others are used over REST."""


def _topic(text: str) -> str:
    if text not in TOPICS:
        raise ValueError(f"the topic must be one of {', '.join(sorted(TOPICS))}, found {text!r}")
    return text


Topic = Annotated[str, AfterValidator(_topic)]


class Workload(BaseModel):
    """What runs, and what it may do there: `may` names the kinds, the lists on what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str
    memory_mb: int = Field(ge=128, le=32768)
    cpu: float = Field(gt=0, le=8)
    may: tuple[Permission, ...]
    reads: tuple[Folder, ...] = ()
    writes: tuple[Folder, ...] = ()
    deletes: tuple[Folder, ...] = ()
    publishes: tuple[Topic, ...] = ()
    settings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    optional_secrets: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """A kind of permission needs a list, and a list its kind."""
        self._agree("blobs.write", self.writes, "writes")
        self._agree("events.publish", self.publishes, "publishes")
        if "blobs.write" not in self.may:
            self._agree("blobs.read", self.reads, "reads")
        if not set(self.deletes) <= set(self.writes):
            raise ValueError("what it deletes from is also under 'writes'")
        return self

    def _agree(self, permission: Permission, on: tuple[str, ...], key: str) -> None:
        if (permission in self.may) is not bool(on):
            raise ValueError(f"'{permission}' under 'may' and a list under '{key}' go together")


class Job(Workload):
    """One job as the catalogue lists it: `python -m shared.jobs.<name>`."""

    retries: int = Field(ge=0, le=10)
    timeout_seconds: int = Field(ge=1, le=604_800)


class Entry(Workload):
    """One function as the catalogue lists it."""

    routes: tuple[RouteText, ...] = ()
    topic: str | None = None
    requires: tuple[str, ...] = ()
    concurrency: int = Field(ge=1, le=1000)
    timeout_seconds: int = Field(ge=1, le=3600)
    min_instances: int = Field(0, ge=0)
    max_instances: int = Field(ge=1, le=1000)
    runs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _runs_what_it_may(self) -> Self:
        self._agree("jobs.run", self.runs, "runs")
        return self

    @property
    def extras(self) -> list[str]:
        """The extras of pyproject.toml that it is locked with: its own, and what its permissions need."""
        clients = {_CLIENTS[permission] for permission in self.may if permission in _CLIENTS}
        return [*self.requires, "gcp", *sorted(clients)]


def _cron(text: str) -> str:
    check_cron(text)
    return text


def _timezone(text: str) -> str:
    check_timezone(text)
    return text


class Schedule(BaseModel):
    """What is published when: `data` on `topic`, whenever `cron` says so in `timezone`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str
    cron: Annotated[str, AfterValidator(_cron)]
    timezone: Annotated[str, AfterValidator(_timezone)]
    topic: Topic
    data: Mapping[str, Any]


class Common(BaseModel):
    """What every function has besides its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    publishes: tuple[Topic, ...] = ()
    settings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    optional_secrets: tuple[str, ...] = ()


def _extended(entry: Mapping[str, Any], common: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    """The entry, each of its lists with what is common after its own."""
    return {**entry, **{key: (*entry.get(key, ()), *more) for key, more in common.items()}}


class Catalogue(BaseModel):
    """The functions here have what every function has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_function: Common = Common()
    functions: Mapping[str, Entry]
    jobs: Mapping[str, Job] = Field(default_factory=dict)
    schedules: Mapping[Annotated[str, Field(pattern=f"^{NAME}$")], Schedule] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _with_common(cls, values: Any) -> Any:
        """Each function's lists, with those of every function after them. An entry has them already."""
        common = Common.model_validate(values.get("every_function", {})).model_dump()
        functions = {
            name: entry if isinstance(entry, Entry) else _extended(entry, common)
            for name, entry in values["functions"].items()
        }
        return {**values, "functions": functions}

    @model_validator(mode="after")
    def _runs_what_there_is(self) -> Self:
        for name, entry in self.functions.items():
            if unknown := set(entry.runs) - set(self.jobs):
                raise ValueError(f"{name} runs {', '.join(sorted(unknown))}: no such job in this catalogue")
        return self

    @property
    def workloads(self) -> dict[str, Workload]:
        """All that runs, functions before jobs, by what it is: "function predict", "job train"."""
        return {
            **{f"function {name}": entry for name, entry in self.functions.items()},
            **{f"job {name}": job for name, job in self.jobs.items()},
        }

    @cached_property
    def subscriptions(self) -> dict[str, list[str]]:
        """Topic -> the functions that take its events."""
        found: dict[str, list[str]] = {}
        for name, entry in self.functions.items():
            if entry.topic is not None:
                found.setdefault(entry.topic, []).append(name)
        return found


def read_catalogue(file: Path = CATALOGUE_FILE) -> Catalogue:
    return Catalogue.model_validate(yaml.safe_load(file.read_text()))


def source_of(name: str) -> Path:
    """The entry point that deploys as function `name`."""
    return ROOT / "functions" / name / "main.py"
