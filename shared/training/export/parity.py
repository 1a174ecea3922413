"""The proof that the exported graph answers as the fitted model does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.registry.manifest import Parity
from shared.registry.scorer import Scorer

TOLERANCE: Final = 1e-5
"""Largest difference of a probability that is let through."""

_CHUNK_ROWS: Final = 65_536


class Answering(Protocol):
    """A model in its own library: what an exported one must answer as."""

    @property
    def algorithm(self) -> str: ...
    @property
    def feature_names(self) -> tuple[str, ...]: ...
    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, classes)."""


def verify_parity(fitted: Answering, onnx: bytes, rows: NDArray[np.float32]) -> Parity:
    """Compare both on every row; `rows` is (n, features) float32.

    Raises:
        ExportRefused: they differ by more than 1e-5, or either gives no number; names the worst row.
        PackageRefused: the graph can't be loaded.
    """
    scorer = Scorer(onnx)
    differences = np.concatenate([_differences(fitted, scorer, chunk) for chunk in _chunks(rows)])
    worst = int(differences.argmax())
    if not differences[worst] <= TOLERANCE:
        raise ExportRefused(_complaint(fitted, scorer, rows, worst, int((differences > TOLERANCE).sum())))
    return Parity(max_abs_difference=float(differences[worst]), rows_checked=len(rows))


def _chunks(rows: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    return (rows[start : start + _CHUNK_ROWS] for start in range(0, len(rows), _CHUNK_ROWS))


def _differences(fitted: Answering, scorer: Scorer, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Per row the largest difference over the classes; infinite where either isn't a number."""
    difference = np.abs(fitted.predict_proba(rows) - scorer.score(rows)).max(axis=1)
    return np.where(np.isnan(difference), np.inf, difference)


def _complaint(fitted: Answering, scorer: Scorer, rows: NDArray[np.float32], worst: int, count: int) -> str:
    row = rows[worst : worst + 1]
    values = ", ".join(f"{n}={v:.9g}" for n, v in zip(fitted.feature_names, row[0].tolist(), strict=True))
    return (
        f"The exported {fitted.algorithm} differs from the fitted one by more than {TOLERANCE:g} "
        f"in {count} of {len(rows)} rows. Worst is row {worst}: "
        f"expected {_shown(fitted.predict_proba(row))}, found {_shown(scorer.score(row))}, for {values}."
    )


def _shown(probabilities: NDArray[np.floating]) -> str:
    return "[" + ", ".join(f"{p:.7f}" for p in probabilities[0].tolist()) + "]"
