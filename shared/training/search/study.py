"""One study: trials judged by cross-validation on its own rows, until there were enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from shared.errors import EngineError, InvalidInput
from shared.problems.spec import LOWER_IS_BETTER, Candidate
from shared.training.candidates import Variant
from shared.training.search.records import SearchRecords, SearchRequest, StudyRecord, Trial
from shared.training.search.spaces import propose, space_of
from shared.training.tabular.contest import Indices, Task, competitor, set_task

FOLDS: Final = 3
REPEATS: Final = 2
_RESAMPLES: Final = 2
"""Nobody looks at the intervals of a trial."""

SEARCHED: Final = "searched"
"""What the candidate is called that the studies have found."""


@dataclass(frozen=True, slots=True)
class Study:
    """`number` and `rows`: see `studies_of`. `seconds` is how long its trials may take together."""

    task: Task
    number: int
    rows: Indices
    trials: int
    seconds: float

    def run(
        self,
        records: SearchRecords,
        key: str,
        check: Callable[[StudyRecord], object] = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> StudyRecord:
        """Go on from the trials that are kept under `key` (see `key_of`), to the end. `check` is called
        before each with those so far, and at the end; it may raise.

        Raises:
            InvalidInput: its rows are too few to be judged on.
        """
        record, inner = records.get(key, self.number), self._inner()
        while not record.is_done and len(record.trials) < self.trials and record.seconds < self.seconds:
            check(record)
            began = clock()
            trial = self._trial(inner, record)
            record = records.add(key, self.number, replace(trial, seconds=clock() - began))
        ended = record if record.is_done else records.end(key, self.number)
        check(ended)
        return ended

    def _inner(self) -> Task:
        """The task of telling the classes apart on these rows alone."""
        data = self.task.dataset
        options = replace(self.task.options, cv_folds=FOLDS, cv_repeats=REPEATS, resamples=_RESAMPLES)
        rows = replace(data, x=data.x[self.rows], y=data.y[self.rows])
        return set_task(self.task.problem, options, rows)

    def _trial(self, inner: Task, record: StudyRecord) -> Trial:
        """First the problem's own variants, then what the search proposes."""
        number, named = len(record.trials), self.task.variants
        proposed = None
        if number < len(named):
            variant = named[number]
        else:
            seed = self.task.options.random_state * 1_000 + self.number
            chosen, proposed = propose(_candidates(self.task), record.trials, seed=seed)
            variant = _variant(chosen, proposed)
        value, error = _judged(inner, variant)
        return Trial(
            number=number,
            algorithm=str(variant.algorithm),
            parameters=variant.parameters,
            proposed=proposed,
            value=value,
            error=error,
            seconds=0.0,
        )


def key_of(run_id: str, task: Task) -> str:
    """What a run's studies are kept under: those of other data, or of another declaration, are others."""
    return f"{run_id}.{task.dataset.fingerprint[:16]}.{task.problem.version or 0}"


def studies_of(task: Task, asked: SearchRequest) -> tuple[Study, ...]:
    """Study 0 on all rows, study n on the training rows of the outer fold n - 1. Each has an equal share of
    the time that the tasks side by side have together.
    """
    everything = np.arange(len(task.dataset))
    rows = [everything, *(train for _, train, _ in task.folds)]
    share = asked.seconds * min(asked.tasks, len(rows)) / len(rows)
    return tuple(Study(task, number, of, asked.trials, share) for number, of in enumerate(rows))


def _judged(inner: Task, variant: Variant) -> tuple[float | None, str | None]:
    """The primary metric, higher being better, or why there is none."""
    metric = inner.problem.primary_metric
    try:
        found = competitor(inner, inner.judge(), variant, lambda *_: None).evaluation.metrics[metric].value
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library says of a wild choice, the search goes on
        return None, f"{type(error).__name__}: {error}"[:300]
    if not np.isfinite(found):
        return None, f"its {metric} can't be told"
    return float(-found if metric in LOWER_IS_BETTER else found), None


def _candidates(task: Task) -> tuple[Candidate, ...]:
    """One per algorithm that competes: the first that the problem has of it."""
    competing = {variant.algorithm for variant in task.variants}
    first: dict[str, Candidate] = {}
    for candidate in task.problem.candidates:
        if candidate.algorithm in competing:
            first.setdefault(str(candidate.algorithm), candidate)
    return tuple(first.values())


def _variant(candidate: Candidate, proposed: dict[str, object]) -> Variant:
    fixed = {name: value for name, value in candidate.parameters.items() if name not in space_of(candidate)}
    return Variant(SEARCHED, candidate.algorithm, {**fixed, **proposed})


def require_found(record: StudyRecord) -> Trial:
    """
    Raises:
        InvalidInput: every trial failed.
    """
    if record.best is None:
        why = "; ".join(dict.fromkeys(trial.error or "" for trial in record.trials))
        raise InvalidInput(f"No trial of the search could be judged: {why}.")
    return record.best
