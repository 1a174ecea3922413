from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as peer

from shared.training.tabular.judge import MAX_BLOCKS, Answers, Judge, baselines

REPEATS, ROWS, FOLDS = 3, 200, 4


def _given(classes: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any], Answers]:
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=ROWS)
    fold = np.stack([rng.permutation(np.arange(ROWS) % FOLDS) for _ in range(REPEATS)])
    odds = rng.normal(size=(REPEATS, ROWS, classes)) + 1.2 * np.eye(classes)[y]
    probabilities = np.exp(odds) / np.exp(odds).sum(axis=-1, keepdims=True)
    thresholds = rng.uniform(0.3, 0.7, (REPEATS, ROWS)) if classes == 2 else None
    return y, fold, Answers("made", probabilities, thresholds)


def _judge(y: NDArray[Any], classes: int, fold: NDArray[Any]) -> Judge:
    return Judge(y, classes, fold, resamples=200, seed=0)


def _auc_of_pairs(y: NDArray[Any], fold: NDArray[Any], score: NDArray[Any]) -> float:
    """The mean of the folds' areas, weighted by their pairs."""
    area, pairs = [], []
    for folds, scores in zip(fold, score, strict=True):
        for number in range(FOLDS):
            held = folds == number
            area.append(peer.roc_auc_score(y[held], scores[held]))
            pairs.append(y[held].sum() * (1 - y[held]).sum())
    return float(np.average(area, weights=pairs))


def test_two_classes_are_measured_as_scikit_learn_does() -> None:
    y, fold, answers = _given(2)
    found = _judge(y, 2, fold).evaluate(answers).metrics
    score, every = answers.probabilities[..., 1].ravel(), np.tile(y, REPEATS)
    assert answers.thresholds is not None
    said = score >= answers.thresholds.ravel()
    expected = {
        "auc": _auc_of_pairs(y, fold, answers.probabilities[..., 1]),
        "accuracy": peer.accuracy_score(every, said),
        "f1": peer.f1_score(every, said),
        "log_loss": peer.log_loss(every, score),
        "brier": peer.brier_score_loss(every, score),
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, abs=1e-12)
    assert all(one.low < one.value < one.high for one in found.values())


def test_more_classes_are_measured_as_scikit_learn_does() -> None:
    y, fold, answers = _given(3)
    found = _judge(y, 3, fold).evaluate(answers).metrics
    every, flat = np.tile(y, REPEATS), answers.probabilities.reshape(-1, 3)
    areas = [_auc_of_pairs((y == one).astype(int), fold, answers.probabilities[..., one]) for one in range(3)]
    expected = {
        "auc": np.mean(areas),
        "accuracy": peer.accuracy_score(every, flat.argmax(axis=1)),
        "f1": peer.f1_score(every, flat.argmax(axis=1), average="macro"),
        "log_loss": peer.log_loss(every, flat),
        "brier": ((flat - np.eye(3)[every]) ** 2).sum(axis=1).mean(),
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, abs=1e-12)


def test_repeats_of_a_row_do_not_narrow_its_interval() -> None:
    """Ten times the same answers are no more evidence than one time."""
    y, fold, answers = _given(2)
    once = Answers("once", answers.probabilities[:1])
    often = Answers("often", np.repeat(answers.probabilities[:1], 10, axis=0))
    one = _judge(y, 2, fold[:1]).evaluate(once).metrics["accuracy"]
    ten = _judge(y, 2, np.repeat(fold[:1], 10, axis=0)).evaluate(often).metrics["accuracy"]
    assert (ten.low, ten.high) == pytest.approx((one.low, one.high))


def test_the_interval_is_as_wide_as_the_rows_say() -> None:
    y, fold, answers = _given(2)
    found = _judge(y, 2, fold[:1]).evaluate(Answers("once", answers.probabilities[:1])).metrics["accuracy"]
    expected = 2 * 1.96 * np.sqrt(found.value * (1 - found.value) / ROWS)
    assert found.high - found.low == pytest.approx(expected, rel=0.15)


def test_many_rows_are_drawn_in_groups_of_as_wide_an_interval() -> None:
    rng = np.random.default_rng(0)
    y, fold = rng.integers(2, size=5_000), rng.integers(5, size=(1, 5_000))
    answers = Answers("made", np.stack([1 - (p := rng.uniform(size=(1, 5_000))), p], axis=-1))
    judge = _judge(y, 2, fold)
    found = judge.evaluate(answers).metrics["accuracy"]
    assert judge.blocks == MAX_BLOCKS
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(5_000), rel=0.2)


def test_folds_are_measured_one_by_one() -> None:
    y, fold, answers = _given(2)
    judge = _judge(y, 2, fold)
    found = judge.per_fold("accuracy", answers)
    assert answers.thresholds is not None
    right = (answers.probabilities[..., 1] >= answers.thresholds) == y
    expected = [right[r][fold[r] == k].mean() for r in range(REPEATS) for k in range(FOLDS)]
    assert found == pytest.approx(expected)
    mean, sd = judge.evaluate(answers).folds["accuracy"]
    assert (mean, sd) == pytest.approx((found.mean(), found.std(ddof=1)))


@pytest.mark.parametrize("classes", [2, 3])
def test_baselines_say_what_their_training_part_knows(classes: int) -> None:
    y, fold, answers = _given(classes)
    folds = [
        (repeat, np.flatnonzero(fold[repeat] != k), np.flatnonzero(fold[repeat] == k))
        for repeat in range(REPEATS)
        for k in range(FOLDS)
    ]
    majority, prior = baselines(y, classes, folds)
    for repeat, train, test in folds:
        shares = np.bincount(y[train], minlength=classes) / len(train)
        assert (prior.probabilities[repeat, test] == shares).all()
        assert (majority.probabilities[repeat, test].argmax(axis=-1) == shares.argmax()).all()
    judge = _judge(y, classes, fold)
    assert judge.gain("accuracy", answers, majority).low > 0
    assert judge.gain("log_loss", answers, prior).low > 0
    assert judge.gain("log_loss", prior, prior).value == 0
