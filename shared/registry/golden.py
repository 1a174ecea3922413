"""Golden vectors: rows with the answers the model gave when it was exported.

They are asked again at activation and at every load: a wrong file, a broken runtime or a processor
that computes differently is found before anybody gets an answer.
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import PackageRefused
from shared.registry.scorer import Scorer

FORMAT_VERSION: Final = 1
MAX_DIFFERENCE: Final = 1e-6
"""Trees are summed in one order on every processor and the rest is float64, so answers agree to the last
bit of float32 (6e-8); the room above is for other kinds of graph, whose float32 sums may be reordered."""

DEFAULT_COUNT: Final = 32
_EDGES: Final = 3
_MISSING_ROWS: Final = 4
_SCORED_ROWS: Final = 4_096


def build_examples(scorer: Scorer, rows: NDArray[np.float32], *, count: int = DEFAULT_COUNT) -> bytes:
    """`examples.json` from `rows` (n, features): a spread over the scores, missing values, and the edges.

    The edges are a row of each feature's least values, one of the greatest, and one with all missing.
    Rows to which the model answers no number are left out.
    """
    chosen = _choose(scorer, rows, count)
    scores = scorer.score(chosen)
    answered = np.isfinite(scores).all(axis=1)
    examples = {
        "format_version": FORMAT_VERSION,
        "inputs": [[None if value != value else value for value in row] for row in chosen[answered].tolist()],
        "probabilities": scores[answered].tolist(),
    }
    return json.dumps(examples, allow_nan=False).encode()


def check_golden(scorer: Scorer, examples: bytes) -> None:
    """Ask the golden rows again.

    Raises:
        PackageRefused: an answer differs by more than 1e-6, or `examples` isn't this model's examples.
    """
    inputs, expected = _read(scorer, examples)
    difference = np.abs(scorer.score(inputs) - expected)
    if not (difference <= MAX_DIFFERENCE).all():
        worst = int(np.nan_to_num(difference, nan=np.inf).max(axis=1).argmax())
        raise PackageRefused(
            f"Golden row {worst}: expected {expected[worst].tolist()}, "
            f"found {scorer.score(inputs[worst : worst + 1])[0].tolist()}."
        )


def _choose(scorer: Scorer, rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    rows = rows[~np.isinf(rows).any(axis=1)]
    rows = rows[np.linspace(0, len(rows) - 1, _SCORED_ROWS).astype(np.int64)]
    low, high = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
    edges = np.stack([low, high, np.full_like(low, np.nan)])
    missing = rows[np.isnan(rows).any(axis=1)][:_MISSING_ROWS]
    by_score = np.argsort(scorer.score(rows)[:, -1], kind="stable")
    spread = np.linspace(0, len(rows) - 1, count - _EDGES - len(missing)).astype(np.int64)
    return np.concatenate([rows[by_score[spread]], missing, edges])


def _read(scorer: Scorer, examples: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    try:
        found: dict[str, Any] = json.loads(examples)
        if found["format_version"] != FORMAT_VERSION:
            raise PackageRefused(
                f"examples.json has format version {found['format_version']!r}; "
                f"this engine reads {FORMAT_VERSION}."
            )
        inputs = np.array(found["inputs"], np.float32)
        expected = np.array(found["probabilities"], np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise PackageRefused(f"examples.json isn't a list of examples: {error!r}") from error
    if (
        len(inputs) == 0
        or inputs.shape != (len(expected), scorer.features)
        or expected.shape[1:] != (scorer.classes,)
    ):
        raise PackageRefused(
            f"examples.json must hold rows of {scorer.features} inputs and {scorer.classes} probabilities; "
            f"found {inputs.shape} and {expected.shape}."
        )
    return inputs, expected
