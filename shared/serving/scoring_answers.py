"""What is answered of scorings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from shared.schema import Answer
from shared.serving.scoring_files import FilePage, Kind
from shared.serving.scoring_records import Progress, Scoring, ScoringTask, Unit


class InputAnswer(Answer):
    """What `input` of POST /predict/jobs may name now."""

    input: str
    size_bytes: int
    sha256: str


class InputUrl(Answer):
    """Send the file to `url` by `method` with these headers, within so many seconds: then it is there."""

    input: str
    url: str
    method: str
    headers: Mapping[str, str]
    expires_seconds: int


class ScoringState(Answer):
    """What was asked, and how it ended. The model is pinned: `model_id` is the version that scores.

    `unit` says what is counted: symbols, or rows of files.
    """

    scoring_id: str
    status: str
    request: Mapping[str, Any]
    model_id: str
    unit: Unit
    created_at: str
    started_at: str | None
    finished_at: str | None
    cancel_requested: bool
    error: str | None


class ScoringProgress(Answer):
    """Over all tasks that have begun. Of `items`, `scored` have scores and `failed` have none."""

    tasks: int
    tasks_begun: int
    tasks_ended: int
    items: int
    scored: int
    failed: int
    rows: int


class ScorePart(Answer):
    """A Parquet file of scores in the store of blobs."""

    name: str
    sha256: str
    rows: int
    items: int


class ScoringTaskAnswer(Answer):
    """One task. `errors` are its first failed symbols or rows, the blob or folder `errors_file` has all."""

    index: int
    status: str
    attempts: int
    started_at: str
    heartbeat_at: str
    finished_at: str | None
    items: int
    scored: int
    failed: int
    rows: int
    parts: list[ScorePart]
    errors: list[Mapping[str, Any]]
    errors_file: str | None
    error: str | None


class ScoringAnswer(ScoringState):
    """A scoring with its tasks; `tasks` that haven't begun aren't there."""

    progress: ScoringProgress
    tasks: list[ScoringTaskAnswer]

    @staticmethod
    def of(scoring: Scoring, tasks: Sequence[ScoringTask]) -> ScoringAnswer:
        progress = ScoringProgress(**Progress.of(scoring, tasks).json())
        shown = [ScoringTaskAnswer(**task.json()) for task in tasks]
        return ScoringAnswer(**scoring.json(), progress=progress, tasks=shown)


class ScoringFileAnswer(Answer):
    """A file: GET /predict/jobs/{id}/files/{kind}/{name} gives it.

    `kind` is scores, a Parquet file, or errors: the symbols or rows that have none, and why. `blob` is what
    `parts` and `errors_file` of the scoring call it.
    """

    kind: Kind
    name: str
    task: int
    size_bytes: int
    sha256: str
    blob: str


class ScoringFileList(Answer):
    """The files that there are by now, task by task. As long as the `status` is running, more may come."""

    scoring_id: str
    status: str
    files: list[ScoringFileAnswer]
    cursor: str | None

    @staticmethod
    def of(scoring: Scoring, page: FilePage) -> ScoringFileList:
        files = [ScoringFileAnswer(**asdict(file)) for file in page.files]
        return ScoringFileList(
            scoring_id=scoring.scoring_id, status=scoring.status, files=files, cursor=page.cursor
        )


class ScoringList(Answer):
    """Newest first."""

    scorings: list[ScoringState]
    cursor: str | None
