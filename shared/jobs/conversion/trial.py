"""The proof of a converted model: the examples' answers, sound ones to rows of all kinds, and soon."""

from __future__ import annotations

import resource
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.drift.profile import build_profile
from shared.errors import EngineError
from shared.jobs.conversion.outcome import Converted, Outcome, Refused, Rows
from shared.jobs.conversion.rows import random_rows
from shared.registry.golden import build_examples
from shared.registry.scorer import Scorer
from shared.training.export import prove
from shared.uploads.request import UploadRequest

TOLERANCE: Final = 1e-5
RANDOM_ROWS: Final = 2_000
MOST_ROWS: Final = 16_384
"""That anything here ever scores at once: what a model does with the square of their number is seen."""

MAX_SECONDS: Final = 40.0
"""For `MOST_ROWS` rows, on one thread: fifty times what large ensembles take."""

MAX_GROWTH_BYTES: Final = 500_000_000
"""Of memory, while these rows are scored."""

_SUM_TOLERANCE: Final = 1e-3
_ALONE: Final = 16
"""Rows that are scored by themselves, too."""


def tried(converted: Converted, request: UploadRequest) -> Outcome:
    """The outcome of a model that passes.

    Raises:
        Refused: it doesn't; says in what, and what to do.
        PackageRefused, ExportRefused: its graph can't be loaded, or disagrees with its own library.
    """
    examples, columns = request.check(), request.schema_of_rows
    scorer = Scorer(converted.onnx)
    _check_shape(scorer, request)
    _check_cost(scorer, np.resize(examples, (MOST_ROWS, len(columns))))
    rows = random_rows(columns, examples, RANDOM_ROWS)
    answers = _scored(scorer, rows)
    _check_answers(answers, rows)
    _check_independence(scorer, rows, answers)
    difference = _check_examples(scorer, examples, request)
    checked = len(examples)
    told = [f"{len(examples)} examples: probabilities within {difference:.2g} of yours"]
    if converted.original is not None:
        parity = prove(converted.original, converted.onnx, rows, converted.points)
        checked += parity.rows_checked
        difference = max(difference, parity.max_abs_difference)
        told.append(
            f"{parity.rows_checked} rows, at random and around every split: within "
            f"{parity.max_abs_difference:.2g} of {converted.original.algorithm} itself"
        )
    else:
        told.append(f"{len(rows)} rows at random: all answers are probabilities")
    return Outcome(
        algorithm=converted.algorithm,
        parameters=converted.parameters,
        max_abs_difference=difference,
        rows_checked=checked,
        examples=build_examples(scorer, np.concatenate([examples, rows])).decode(),
        profile=_profile(scorer, examples, request),
        checks=tuple(told),
    )


def _check_shape(scorer: Scorer, request: UploadRequest) -> None:
    columns, classes = len(request.columns), len(request.classes)
    if scorer.features != columns:
        raise Refused(f"The model takes {scorer.features} inputs; 'columns' names {columns}.")
    if scorer.classes != classes:
        raise Refused(f"The model gives {scorer.classes} probabilities; 'classes' names {classes}.")


def _check_cost(scorer: Scorer, rows: Rows) -> None:
    """What a row costs doesn't depend on its values: no operator that is let through makes it."""
    before, started = _peak_bytes(), time.perf_counter()
    _scored(scorer, rows)
    seconds, growth = time.perf_counter() - started, _peak_bytes() - before
    if seconds > MAX_SECONDS or growth > MAX_GROWTH_BYTES:
        raise Refused(
            f"{len(rows)} rows take {seconds:.1f} s and {growth / 1e6:.0f} MB; at most {MAX_SECONDS:g} s and "
            f"{MAX_GROWTH_BYTES / 1e6:.0f} MB are allowed: make the model smaller."
        )


def _check_independence(scorer: Scorer, rows: Rows, answers: Rows) -> None:
    """Whether some rows get by themselves, and among fewer in another order, what they got among all."""
    places = np.linspace(0, len(rows) - 1, _ALONE).astype(np.int64)
    alone = np.concatenate([_scored(scorer, rows[place : place + 1]) for place in places])
    few = _scored(scorer, rows[places[::-1]])[::-1]
    for found, among in ((alone, "by itself"), (few, f"among {_ALONE}")):
        difference = np.abs(found - answers[places]).max(axis=1)
        worst = int(difference.argmax())
        if not difference[worst] <= TOLERANCE:
            raise Refused(
                f"The model's answer to a row depends on the rows beside it: {among} a row gets "
                f"{_shown(found[worst])}, among {len(rows)} it gets {_shown(answers[places[worst]])}. Export "
                "the model for inference alone, and scale by what was learnt in training, not by the rows."
            )


def _check_examples(scorer: Scorer, rows: Rows, request: UploadRequest) -> float:
    """The largest difference from what the examples expect."""
    scores, expected = _scored(scorer, rows), request.expected()
    _check_answers(scores, rows)
    found = scores.astype(np.float64)
    difference = np.abs(found - expected).max(axis=1)
    worst = int(difference.argmax())
    if difference[worst] <= TOLERANCE:
        return float(difference[worst])
    count = int((difference > TOLERANCE).sum())
    why = (
        f"The model answers otherwise than {count} of the {len(rows)} examples say, by more than "
        f"{TOLERANCE:g}. Worst is example {worst}: expected {_shown(expected[worst])}, found "
        f"{_shown(found[worst])}."
    )
    raise Refused(f"{why} {_hint(found, expected)}")


def _hint(found: NDArray[np.float64], expected: NDArray[np.float64]) -> str:
    if (np.abs(found[:, ::-1] - expected) <= TOLERANCE).all():
        return "The other way round they agree: 'classes' must be in the order of the model's probabilities."
    return (
        "Check that the columns are in the order in which the model was trained, that categories are listed "
        "by the codes they had there, and that the probabilities are those of this very file."
    )


def _check_answers(found: Rows, rows: Rows) -> None:
    is_sound = np.isfinite(found.min(axis=1) + found.max(axis=1))
    if not is_sound.all():
        missing = np.isnan(rows.sum(axis=1))
        if is_sound[~missing].all():
            raise Refused(
                "The model answers no number to rows with a missing value: impute inside the model, or say "
                "'nullable': false for the columns that must have one."
            )
        raise Refused("The model answers NaN or infinity to rows that the columns allow.")
    totals = found.sum(axis=1)
    outside = (found < -_SUM_TOLERANCE).any() or (found > 1 + _SUM_TOLERANCE).any()
    if outside or (np.abs(totals - 1) > _SUM_TOLERANCE).any():
        raise Refused(
            "The model's answers aren't probabilities: a row's must be from 0 to 1 and add up to 1. End the "
            "model with a softmax or a sigmoid."
        )


def _scored(scorer: Scorer, rows: Rows) -> Rows:
    """
    Raises:
        Refused: the model can't take so many rows, or takes too much memory for them.
    """
    try:
        found = scorer.score(rows)
    except EngineError:
        raise
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise Refused(f"onnxruntime can't run the model on {len(rows)} rows: {str(error)[:300]}") from error
    if len(found) != len(rows):
        raise Refused(f"To {len(rows)} rows the model gives {len(found)} answers.")
    return found


def _profile(scorer: Scorer, examples: Rows, request: UploadRequest) -> str:
    """Of the examples: the only rows that are known to be like those to come."""
    columns = request.schema_of_rows
    categorical = [column.name for column in columns.columns if column.type in ("category", "boolean")]
    scores, labels = _scored(scorer, examples)[:, 1], request.expected().argmax(axis=1)
    profile = build_profile(examples, columns.names, scores, request.classes, labels, categorical=categorical)
    return profile.to_json().decode()


def _shown(probabilities: NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{p:.7g}" for p in probabilities.tolist()[:10]) + "]"


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
