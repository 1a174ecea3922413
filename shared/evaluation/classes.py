"""Metrics of probabilities of more than two classes, each with a block-bootstrap interval."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate, estimate

CLASS_METRICS: Final = ("accuracy", "macro_f1", "log_loss")

_MIN_PROBABILITY: Final = 1e-15


def class_metrics(
    y: NDArray[np.intp],
    probabilities: NDArray[np.float64],
    block: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> dict[str, Estimate]:
    """`CLASS_METRICS` of `probabilities` (n, classes) on labels `y` (n,), positions of classes.

    What is predicted is the likeliest class. A class that is neither predicted nor there has no F1, and is
    left out of the mean. `weights` (resamples, blocks) says how often each `block` counts.
    """
    classes = probabilities.shape[1]
    said = probabilities.argmax(axis=1)
    blocks = weights.shape[1]

    def by_class(code: NDArray[np.intp], values: NDArray[np.bool_]) -> NDArray[np.float64]:
        places = (block * classes + code)[values]
        return np.bincount(places, minlength=blocks * classes).reshape(blocks, classes).astype(np.float64)

    every = np.ones(len(y), np.bool_)
    hits, predicted, true = by_class(y, said == y), by_class(said, every), by_class(y, every)
    loss = -np.log(np.maximum(probabilities[np.arange(len(y)), y], _MIN_PROBABILITY))
    losses = np.bincount(block, loss, minlength=blocks)

    def measured(w: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        rows = (w @ true).sum(axis=1)
        return {
            "accuracy": (w @ hits).sum(axis=1) / rows,
            "macro_f1": _macro(2 * (w @ hits), w @ (predicted + true)),
            "log_loss": (w @ losses) / rows,
        }

    points, resampled = measured(np.ones((1, blocks))), measured(weights)
    return {name: estimate(float(points[name][0]), resampled[name]) for name in CLASS_METRICS}


def _macro(twice_hits: NDArray[np.float64], present: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over classes of F1 = 2 hits / (predicted + true), where anything is."""
    is_there = present > 0
    each = np.divide(twice_hits, present, out=np.zeros(present.shape), where=is_there)
    return np.asarray(each.sum(axis=1) / is_there.sum(axis=1))
