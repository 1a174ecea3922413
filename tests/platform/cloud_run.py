"""A project with Cloud Run jobs on the stand-in, as any process finds it by its state folder."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from google.cloud import run_v2

from shared.platform.gcp.claims import LEASE_SECONDS
from shared.platform.gcp.jobs import CloudRunJobs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Documents, Now
from tests.emulators import Emulators, project_in


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclasses.dataclass(frozen=True)
class Site:
    """`describe`d in `state`; claims are documents in SQLite."""

    state: Path

    @property
    def documents(self) -> SqliteDocuments:
        return SqliteDocuments(self.state / "documents.sqlite3")

    def jobs(self, *, now: Now = utc_now, documents: Documents | None = None, **changes: Any) -> CloudRunJobs:
        """An adapter on the project, which is `changes`d."""
        project = dataclasses.replace(project_in(self.state), **changes)
        return CloudRunJobs(project, documents or self.documents, now=now)

    def after_the_lease(self) -> CloudRunJobs:
        """An adapter that lives when the claims of now are over."""
        return self.jobs(now=lambda: utc_now() + timedelta(seconds=LEASE_SECONDS + 1))

    def executions(self, job: str) -> Sequence[run_v2.Execution]:
        """Of a job, in the stand-in."""
        project = project_in(self.state)
        parent = f"projects/{project.id}/locations/{project.region}/jobs/mlengine-{job}"
        url = f"{project.run_url}/v2/{parent}/executions?pageSize=1000"
        found = httpx.get(url, trust_env=False).json()
        return [run_v2.Execution.from_json(json.dumps(one)) for one in found["executions"]]

    def started(self) -> Counter[str]:
        """How many executions of the job `note` the stand-in has, by execution id."""
        return Counter(_execution_id(execution) for execution in self.executions("note"))


def site_on(emulators: Emulators, state: Path) -> Site:
    """On a fresh project."""
    emulators.describe(state, "gcp", "jobs")
    return Site(state)


def _execution_id(execution: run_v2.Execution) -> str:
    (container,) = execution.template.containers
    return {one.name: one.value for one in container.env}["MLENGINE_EXECUTION"]
