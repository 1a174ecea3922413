"""All that a drift report shows: the check's record, its rows read again, its place among past checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.drift import Profile
from shared.errors import EngineError
from shared.instance import Instance
from shared.jobs.reports.rows import SessionRows, checked_rows, reference_rows
from shared.monitoring.drift.record import DriftCheck
from shared.monitoring.history import History, HistoryKind, Point
from shared.registry import Manifest, Scorer
from shared.registry.package import PROFILE

TIMELINE_POINTS: Final = 250
"""Checks that the timeline goes back: about a year of trading days."""


@dataclass(frozen=True, slots=True, eq=False)
class DriftFindings:
    """`points` are the checks up to this one, the oldest first. `rows` and `reference` are None where they
    can't be had any more; `notes` say why. `scores` are the answers to `rows`, probabilities of the second
    class.
    """

    check: DriftCheck
    manifest: Manifest
    profile: Profile
    scorer: Scorer
    points: Sequence[Point]
    rows: SessionRows | None
    scores: NDArray[np.float32] | None
    reference: SessionRows | None
    notes: Sequence[str] = field(default=())
    is_replay: bool = False

    @property
    def window(self) -> Mapping[str, Any]:
        """The window that the report looks at closely: the one that tells most."""
        return self.check.window()


def gather(instance: Instance, check_id: str) -> DriftFindings:
    """
    Raises:
        NotFound: no such check, or its model isn't registered.
        PackageRefused: the model's bytes aren't those that were registered.
    """
    check = instance.drift_checks.get(check_id)
    package = instance.registry.open_package(check.model_id)
    scorer = package.verified_scorer()
    notes: list[str] = []
    rows = reference = None
    try:
        rows = checked_rows(instance, check, package.manifest)
    except EngineError as error:
        _note(notes, error, "The distributions aren't shown")
    try:
        reference = reference_rows(instance.candle_store, package.manifest)
    except EngineError as error:
        _note(notes, error, "No rows of the training can be read again")
    return DriftFindings(
        check=check,
        manifest=package.manifest,
        profile=Profile.from_json(package.file(PROFILE)),
        points=_points(instance, check),
        rows=rows,
        scores=None if rows is None else scores_of(scorer, rows.x),
        reference=reference,
        scorer=scorer,
        notes=notes,
        is_replay=instance.platform.is_replay,
    )


def _note(notes: list[str], error: EngineError, what: str) -> None:
    """A part that can't be had is told; one that may be had later makes the attempt fail."""
    if error.retryable:
        raise error
    notes.append(f"{what}: {error}")


def scores_of(scorer: Scorer, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of the second class (n,)."""
    scores: NDArray[np.float32] = scorer.score(np.ascontiguousarray(x))[:, 1]
    return scores


def _points(instance: Instance, check: DriftCheck) -> Sequence[Point]:
    page = History(instance.platform.documents).page(
        kind=HistoryKind.DRIFT,
        subject=check.subject,
        start=None,
        end=datetime.fromisoformat(check.checked_at),
        limit=TIMELINE_POINTS,
        cursor=None,
    )
    return [point for point in reversed(page.points) if point.values["unit"] == check.unit]
