"""Calibration: whether what is said with a probability happens that often, with block-bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate, estimate

BINS: Final = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose probability lies in one bin: what was said on average, and how often it happened."""

    rows: int
    said: float
    happened: Estimate

    def json(self) -> dict[str, Any]:
        return {"rows": self.rows, "said": self.said, "happened": self.happened.json()}


@dataclass(frozen=True, slots=True)
class Reliability:
    """`ece` is the expected calibration error: the bins' distances between said and happened, by their rows.

    It can't be below 0, so that chance alone lifts it: compare it with its interval, not with 0.
    Source: Naeini, Cooper, Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015.
    """

    bins: tuple[ReliabilityBin, ...]
    ece: Estimate

    def json(self) -> dict[str, Any]:
        return {"bins": [one.json() for one in self.bins], "ece": self.ece.json()}


def reliability(
    y: NDArray[np.int8],
    score: NDArray[np.float64],
    block: NDArray[np.intp],
    weights: NDArray[np.float64],
    bins: int = BINS,
) -> Reliability:
    """Calibration of `score` (n,), probabilities of class 1, on labels `y` (n,), in equally full bins.

    Bins are cut between different values, so that equal scores share one. `weights` (resamples, blocks) says
    how often each `block` counts.
    """
    code = _codes(score, bins)
    shape = weights.shape[1], int(code.max()) + 1
    rows = _sums(np.ones(len(y)), block, code, shape)
    said, happened = _sums(score, block, code, shape), _sums(y.astype(np.float64), block, code, shape)
    ones = np.ones((1, shape[0]))
    ece = estimate(float(_errors(ones, rows, said, happened)[0]), _errors(weights, rows, said, happened))
    shares, resampled = _shares(ones, rows, happened)[0], _shares(weights, rows, happened)
    count = rows.sum(axis=0)
    means = said.sum(axis=0) / count
    return Reliability(
        tuple(
            ReliabilityBin(int(count[i]), float(means[i]), estimate(float(shares[i]), resampled[:, i]))
            for i in range(shape[1])
        ),
        ece,
    )


def _sums(
    values: NDArray[np.float64], block: NDArray[np.intp], code: NDArray[np.intp], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Per block and bin."""
    sums = np.bincount(block * shape[1] + code, values, minlength=shape[0] * shape[1])
    return sums.reshape(shape).astype(np.float64)


def _codes(score: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Number of each row's bin, from the lowest scores up; a bin without rows has no number."""
    ordered = np.sort(score)
    edges = ordered[np.arange(1, bins) * len(ordered) // bins]
    return np.unique(np.searchsorted(edges, score, side="right"), return_inverse=True)[1]


def _errors(
    weights: NDArray[np.float64],
    rows: NDArray[np.float64],
    said: NDArray[np.float64],
    happened: NDArray[np.float64],
) -> NDArray[np.float64]:
    apart: NDArray[np.float64] = np.abs(weights @ (said - happened)).sum(axis=1)
    return np.asarray(apart / (weights @ rows).sum(axis=1))


def _shares(
    weights: NDArray[np.float64], rows: NDArray[np.float64], happened: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Per resample and bin; NaN where a resample drew no row of the bin."""
    count = weights @ rows
    undefined = np.full(count.shape, np.nan)
    return np.asarray(np.divide(weights @ happened, count, out=undefined, where=count > 0))
