"""What a model must be compared with: rules that anybody can follow without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class BaselineRows:
    """What the rules may know per row: the return over the last horizon, the training part's up share."""

    past_return: NDArray[np.float64]
    base_rate: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A naive score, and the metrics that mean something for it.

    A rule without probabilities has no log-loss or Brier score, a constant has no ranking.
    """

    name: str
    meaning: str
    score: Callable[[BaselineRows], NDArray[np.float64]]
    metrics: tuple[str, ...]


BASELINES: Final = (
    Baseline(
        "always_up",
        "says up every time",
        lambda rows: np.ones(len(rows.past_return)),
        ("accuracy", "f1"),
    ),
    Baseline(
        "base_rate",
        "gives the training part's share of ups as its probability",
        lambda rows: rows.base_rate,
        ("accuracy", "f1", "log_loss", "brier"),
    ),
    Baseline(
        "last_direction",
        "says the last direction goes on",
        lambda rows: (rows.past_return > 0).astype(np.float64),
        ("auc", "accuracy", "f1", "rank_ic"),
    ),
    Baseline(
        "opposite_direction",
        "says the last direction turns around",
        lambda rows: (rows.past_return <= 0).astype(np.float64),
        ("auc", "accuracy", "f1", "rank_ic"),
    ),
)
