from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shared.evaluation.bootstrap import Estimate, resampling_weights
from shared.evaluation.metrics import Statistic, Weights
from shared.training.tabular.comparison import compare
from shared.training.tabular.judge import Answers, Judge
from shared.training.tabular.selection import optimism, taken_off


def test_the_variance_is_enlarged_by_the_shared_training_rows() -> None:
    """By hand: ten differences of five folds; n_test / n_train is 1/4."""
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.82, 0.04, 10), rng.normal(0.8, 0.04, 10)
    difference = ours - theirs
    t = difference.mean() / np.sqrt((1 / 10 + 1 / 4) * difference.var(ddof=1))
    found = compare(ours, theirs, 5)
    assert found.difference == pytest.approx(difference.mean())
    assert found.p == pytest.approx(stats.t.sf(t, 9))
    assert found.p > stats.ttest_rel(ours, theirs, alternative="greater").pvalue


def test_equals_are_never_told_apart() -> None:
    same = np.array([0.8, 0.7, 0.9])
    assert not compare(same, same, 3).is_significant
    assert compare(same + 0.1, same, 3).is_significant
    assert not compare(same - 0.1, same, 3).is_significant


def test_the_best_of_many_must_be_better_than_luck_makes_one_of_them() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.5, 1.0, 20), rng.normal(size=20)
    alone, best = compare(ours, theirs, 5), compare(ours, theirs, 5, best_of=8)
    assert best.p == pytest.approx(min(1.0, 8 * alone.p))
    assert best.difference == alone.difference
    assert compare(theirs, ours, 5, best_of=8).p == 1.0


def test_folds_where_one_is_undefined_are_left_out() -> None:
    found = compare(np.array([0.8, np.nan, 0.9, 0.7]), np.array([0.7, 0.1, 0.7, np.nan]), 4)
    assert found.difference == pytest.approx(0.15)


def _statistics(
    accuracies: list[float], rows: int, seed: int
) -> tuple[list[Statistic], Weights, list[float]]:
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=rows)
    judge = Judge(y, 2, np.zeros((1, rows), np.intp), resamples=300, seed=seed)
    found = []
    for accuracy in accuracies:
        said = np.where(rng.random(rows) < accuracy, y, 1 - y)
        found.append(Answers("made", np.stack([1.0 - said, said], axis=-1)[None].astype(float)))
    statistics = [judge.statistic("accuracy", one) for one in found]
    return statistics, judge.weights, [judge.point(of) for of in statistics]


def test_the_best_of_many_equals_owes_its_lead_to_the_choice() -> None:
    taken, left = [], []
    for seed in range(20):
        statistics, weights, points = _statistics([0.7] * 10, 200, seed)
        best = int(np.argmax(points))
        taken.append(points[best])
        left.append(points[best] - optimism("accuracy", statistics, weights, best))
    assert np.mean(taken) > 0.74
    assert abs(np.mean(left) - 0.7) < 0.4 * (np.mean(taken) - 0.7)


def test_a_clear_winner_owes_nothing_to_the_choice() -> None:
    statistics, weights, _ = _statistics([0.9, 0.6], 300, 0)
    assert optimism("accuracy", statistics, weights, 0) == pytest.approx(0.0, abs=1e-3)
    assert optimism("accuracy", statistics[:1], weights, 0) == 0.0


def test_less_is_taken_off_what_is_better_higher_and_put_on_what_is_better_lower() -> None:
    found = Estimate(0.8, 0.7, 0.9)
    assert taken_off(found, 0.1, "f1").low == pytest.approx(0.6)
    assert taken_off(found, 0.1, "log_loss").low == pytest.approx(0.8)


def test_lower_is_better_is_chosen_so() -> None:
    weights = resampling_weights(50, 100, np.random.default_rng(0))
    values = np.random.default_rng(1).normal(size=(2, 50))
    statistics = [lambda w, v=v: (w @ v) / w.sum(axis=1) for v in values]
    best = int(np.argmin(values.mean(axis=1)))
    assert optimism("log_loss", statistics, weights, best) >= 0
