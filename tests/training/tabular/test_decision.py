from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from shared.training.tabular.decision import best_threshold, cross_fitted, decide

MEASURES: dict[str, Any] = {"f1": f1_score, "accuracy": accuracy_score}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=30),
    st.sampled_from(["f1", "accuracy"]),
)
def test_no_cut_is_better_than_the_threshold(
    rows: list[tuple[int, bool]], metric: Literal["f1", "accuracy"]
) -> None:
    score = np.array([value / 8 for value, _ in rows])
    y = np.array([label for _, label in rows], np.int8)
    cut = best_threshold(score, y, metric)
    measure = MEASURES[metric]
    found = measure(y, score >= cut)
    said_by_some = [measure(y, score >= other) for other in np.unique(score)]
    assert found == pytest.approx(max(said_by_some))
    assert 0.0 <= cut <= 1.0


def test_of_equally_good_cuts_the_one_nearest_to_a_half_is_taken() -> None:
    score, y = np.array([0.1, 0.45, 0.6, 0.9]), np.array([0, 1, 0, 1])
    assert best_threshold(score, y, "accuracy") == pytest.approx(0.275)
    assert best_threshold(1 - score[::-1], 1 - y[::-1], "accuracy") == pytest.approx(0.725)


def test_few_rows_are_not_calibrated() -> None:
    rng = np.random.default_rng(0)
    score, y = rng.uniform(size=40), rng.integers(2, size=40)
    assert decide(score, y, "f1").calibration is None
    score = rng.uniform(size=400)
    assert decide(score, (rng.uniform(size=400) < score).astype(np.int8), "f1").calibration is not None


def _noise(repeats: int = 4, rows: int = 200) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1)
    fold = np.stack([rng.permutation(np.arange(rows) % 5) for _ in range(repeats)])
    return rng.uniform(size=(repeats, rows)), rng.integers(2, size=rows), fold


def test_nothing_of_a_fold_reaches_its_own_threshold_and_calibration() -> None:
    raw, y, fold = _noise()
    score, threshold = cross_fitted(raw, y, fold, "f1")
    for number in range(5):
        held = fold[0] == number
        turned = np.where(held, 1 - y, y)
        other_score, other_threshold = cross_fitted(raw, turned, fold, "f1")
        np.testing.assert_array_equal(other_score[0, held], score[0, held])
        np.testing.assert_array_equal(other_threshold[0, held], threshold[0, held])


def test_what_a_threshold_makes_of_noise_is_not_reported() -> None:
    """A threshold that has seen the labels is right about noise more often than luck is."""
    raw, y, fold = _noise(repeats=10)
    seen = [accuracy_score(y, one >= best_threshold(one, y, "accuracy")) for one in raw]
    score, threshold = cross_fitted(raw, y, fold, "accuracy")
    honest = ((score >= threshold) == y).mean()
    assert min(seen) > 0.5
    assert honest < 0.5 < np.mean(seen) - 0.02
