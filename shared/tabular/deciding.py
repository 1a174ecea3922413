"""From the probabilities of a row to the class that is predicted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def decided(probabilities: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """The places (n,) of the predicted classes, of probabilities (n, classes).

    Of two classes the second one is predicted where its probability is at least `threshold`; of more, the
    most probable one, and of equal ones the first.
    """
    if probabilities.shape[1] == 2:
        # as a float64: a plain float would be rounded to float32 first
        return (probabilities[:, 1] >= np.float64(threshold)).astype(np.intp)
    most_probable: NDArray[np.intp] = probabilities.argmax(axis=1)
    return most_probable
