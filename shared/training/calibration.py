"""Sigmoid calibration on the logit scale (Platt 1999): two numbers that turn a score into a probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

CLIP: Final = 1e-3
"""Raw probabilities are clipped to [CLIP, 1 - CLIP] before the logit, where float32 noise explodes."""

MIN_SLOPE: Final = 1e-3
MAX_SLOPE: Final = 20.0

_MAX_STEPS: Final = 50
_TOLERANCE: Final = 1e-10
_MIN_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Calibration:
    """`sigmoid(slope * logit(clip(p)) + intercept)`. A positive slope keeps the ranking."""

    slope: float
    intercept: float

    def apply(self, raw: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probabilities of the second class from its raw ones; any shape."""
        return sigmoid(self.slope * logit(raw) + self.intercept)


def logit(raw: ArrayLike) -> NDArray[np.float64]:
    """Log odds of the clipped probability, in float64."""
    p = np.clip(np.asarray(raw, np.float64), CLIP, 1.0 - CLIP)
    return np.asarray(np.log(p / (1.0 - p)))


def sigmoid(z: ArrayLike) -> NDArray[np.float64]:
    """Logistic function, without overflow at either end."""
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(np.asarray(z) >= 0, 1.0, small) / (1.0 + small))


def fit_calibration(raw: NDArray[np.float64], y: NDArray[np.int8]) -> Calibration | None:
    """Maximum likelihood slope and intercept from out-of-fold scores.

    `raw` are probabilities of class 1 given by models that never saw the row; `y` holds 0 and 1.
    None means: leave the raw probability alone. That is the answer where the scores carry no
    direction (slope not in [MIN_SLOPE, MAX_SLOPE], so the map would flip or explode the ranking),
    with one class only, with fewer than 50 rows, or where the iteration doesn't settle.
    """
    if len(y) < _MIN_ROWS or np.ptp(y) == 0 or np.ptp(raw) == 0:
        return None
    fitted = _newton(logit(raw), y.astype(np.float64))
    if fitted is None or not MIN_SLOPE <= fitted.slope <= MAX_SLOPE:
        return None
    return fitted


def _newton(z: NDArray[np.float64], y: NDArray[np.float64]) -> Calibration | None:
    """Newton's method for a logistic regression with one input: convex, so it settles in a few steps.

    Starts at the base rate with slope 0, where the Hessian is well conditioned.
    """
    centre = float(z.mean())
    z = z - centre
    base = float(y.mean())
    slope, intercept = 0.0, float(np.log(base / (1.0 - base)))
    for _ in range(_MAX_STEPS):
        p = sigmoid(slope * z + intercept)
        error, weight = p - y, p * (1.0 - p)
        gradient = np.array([(error * z).sum(), error.sum()])
        cross = (weight * z).sum()
        hessian = np.array([[(weight * z * z).sum(), cross], [cross, weight.sum()]])
        if not np.isfinite(hessian).all() or np.linalg.det(hessian) <= 0:
            return None
        step = np.linalg.solve(hessian, gradient)
        slope, intercept = slope - float(step[0]), intercept - float(step[1])
        if np.abs(step).max() < _TOLERANCE:
            return Calibration(slope, intercept - slope * centre)
    return None
