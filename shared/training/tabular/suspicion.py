"""Whether a result is too good to be true: a column that tells the answer, or rows that are there twice."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate, estimate
from shared.training.findings import in_words, leak_in
from shared.training.tabular.contest import Contest, Task
from shared.training.tabular.dataset import Dataset
from shared.training.tabular.judge import Answers, Judge

MIN_ROWS: Final = 50
"""On fewer rows that repeat no other nothing can be seen."""


def suspected_leak(task: Task, contest: Contest, sensitivities: NDArray[np.float64]) -> str:
    """Why a leak is suspected; nothing where none is. `sensitivities` are per column."""
    return _by_auc(task, contest, sensitivities) or _by_copies(task, contest)


def _by_auc(task: Task, contest: Contest, sensitivities: NDArray[np.float64]) -> str:
    """An AUC too good to be true, by any candidate, and what the winner leans on."""
    best = max(contest.candidates, key=lambda one: one.evaluation.metrics["auc"].value)
    found = leak_in(best.variant.name, best.evaluation.metrics["auc"].value, task.problem.leak_auc)
    most = task.dataset.columns.names[int(np.argmax(sensitivities))]
    return f"{found} The model leans most on the column {most!r}." if found else ""


def _by_copies(task: Task, contest: Contest) -> str:
    """Rows that repeat no other are answered clearly worse than all are: who knows a row knows its copies.

    By the AUC, which doesn't depend on how frequent the classes are among either.
    """
    alone = _alone(task.dataset) if task.dataset.validation.duplicates else np.ones(len(task.dataset), bool)
    if alone.all() or alone.sum() < MIN_ROWS:
        return ""
    found, of_all = _auc(task, contest.winner.answers, alone), contest.winner.evaluation.metrics["auc"]
    if not found.high < of_all.value:
        return ""
    return (
        f"The AUC is {of_all.value:.3f} on all rows, and {in_words(found)} on those that repeat no other: "
        "copies on both sides of a split flatter the result. Leave them out of the data. The model will not "
        "be activated automatically."
    )


def _alone(dataset: Dataset) -> NDArray[np.bool_]:
    """Which rows equal no other, in every column and the class."""
    import pandas as pd

    return ~pd.DataFrame(dataset.x).assign(y=dataset.y).duplicated(keep=False).to_numpy()


def _auc(task: Task, answers: Answers, rows: NDArray[np.bool_]) -> Estimate:
    judge = Judge(
        task.dataset.y[rows],
        len(task.dataset.classes),
        task.fold[:, rows],
        resamples=task.options.resamples,
        seed=task.options.random_state,
    )
    statistic = judge.statistic("auc", Answers(answers.name, answers.probabilities[:, rows]))
    return estimate(judge.point(statistic), statistic(judge.weights))
