"""The functions catalogue, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.platform.scheduling import NAME, check_cron, check_timezone
from shared.platform.topics import TOPICS

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE_FILE = ROOT / "functions" / "catalogue.yaml"

RouteText = Annotated[str, Field(pattern=r"^(GET|POST|PUT|DELETE) /\S*$")]
Permission = Literal[
    "documents.get",
    "documents.read",
    "documents.write",
    "blobs.read",
    "blobs.write",
    "events.publish",
    "jobs.run",
    "schedules.write",
]
_CLIENTS: Mapping[Permission, str] = {
    "documents.read": "gcp-documents",
    "documents.write": "gcp-documents",
    "blobs.write": "gcp-blobs",
    "jobs.run": "gcp-jobs",
    "schedules.write": "gcp-schedules",
}
"""The extra that brings the official client which a permission needs; the others are used over REST."""


class Entry(BaseModel):
    """One function as the catalogue lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str
    routes: tuple[RouteText, ...] = ()
    topic: str | None = None
    requires: tuple[str, ...] = ()
    memory_mb: int = Field(ge=128, le=32768)
    cpu: float = Field(gt=0, le=8)
    concurrency: int = Field(ge=1, le=1000)
    timeout_seconds: int = Field(ge=1, le=3600)
    min_instances: int = Field(0, ge=0)
    max_instances: int = Field(ge=1, le=1000)
    may: tuple[Permission, ...]
    settings: tuple[str, ...]
    secrets: tuple[str, ...]

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


def _topic(text: str) -> str:
    if text not in TOPICS:
        raise ValueError(f"the topic must be one of {', '.join(sorted(TOPICS))}, found {text!r}")
    return text


class Schedule(BaseModel):
    """What is published when: `data` on `topic`, whenever `cron` says so in `timezone`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str
    cron: Annotated[str, AfterValidator(_cron)]
    timezone: Annotated[str, AfterValidator(_timezone)]
    topic: Annotated[str, AfterValidator(_topic)]
    data: Mapping[str, Any]


class Catalogue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: Mapping[str, Entry]
    schedules: Mapping[Annotated[str, Field(pattern=f"^{NAME}$")], Schedule] = Field(default_factory=dict)

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
