"""What a model leans on: how far its probability moves when one feature's values are shuffled."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.training.candidates import Estimator, probabilities

_MAX_ROWS: Final = 5_000
_MAX_ANSWERS: Final = 1_000_000
"""Of all columns together: a thousand of them would take longer than the contest."""


def sensitivities(
    pipeline: Estimator, x: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Mean absolute change of the raw probabilities per feature, on up to 5,000 random rows of `x`; on fewer
    where there are hundreds of features.

    This is permutation importance on the score instead of the AUC: where the AUC is near 0.5, the
    change of the AUC is noise, while the change of the score is well measured. It says what the model
    uses, not that the use is worth anything.
    """
    taken = np.sort(rng.permutation(len(x))[: min(_MAX_ROWS, _MAX_ANSWERS // x.shape[1])])
    rows = x[taken]
    base = probabilities(pipeline, rows)
    moved = np.empty(x.shape[1])
    for column in range(x.shape[1]):
        shuffled = rows.copy()
        shuffled[:, column] = rng.permutation(shuffled[:, column])
        moved[column] = np.abs(probabilities(pipeline, shuffled) - base).mean()
    return moved
