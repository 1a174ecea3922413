"""The candidate that a search has found, as it competes: each outer fold with what its own study found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.errors import InvalidInput
from shared.problems.spec import Algorithm
from shared.training.candidates import Variant
from shared.training.search.records import SearchRecords, Trial
from shared.training.search.study import SEARCHED, key_of, require_found
from shared.training.tabular.contest import Task


@dataclass(frozen=True, slots=True)
class SearchedVariant(Variant):
    """`algorithm` and `parameters` are fitted on all rows; `folds` are what stands for it in each fold."""

    folds: tuple[Variant, ...] = ()

    def for_fold(self, number: int) -> Variant:
        return self.folds[number]


def searched(task: Task, records: SearchRecords, run_id: str) -> SearchedVariant:
    """What the search of this run has found.

    Raises:
        InvalidInput: it ended without finding anything, or was about other data.
    """
    why = records.ending(run_id)
    if why != "":
        raise InvalidInput(f"The search ended without a result: {why or 'it has not ended'}")
    key = key_of(run_id, task)
    studies = [records.get(key, number) for number in range(len(task.folds) + 1)]
    if not all(study.trials for study in studies):
        raise InvalidInput("The problem or its data changed after the search began: ask for the run again.")
    final, *folds = map(require_found, studies)
    return SearchedVariant(
        SEARCHED, Algorithm(final.algorithm), dict(final.parameters), tuple(_variant(one) for one in folds)
    )


def _variant(trial: Trial) -> Variant:
    parameters: dict[str, Any] = dict(trial.parameters)
    return Variant(SEARCHED, Algorithm(trial.algorithm), parameters)
