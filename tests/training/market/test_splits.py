from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.training.market.splits import PurgedWalkForward


@st.composite
def panels(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Time stamps and label ends of rows in random order: some symbols miss sessions. And the horizon."""
    sessions = draw(st.integers(20, 60))
    horizon = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stamp, ends = [], []
    for _ in range(draw(st.integers(1, 4))):
        there = np.flatnonzero(rng.random(sessions + horizon) < 0.8)
        stamp.append(there[:-horizon])
        ends.append(there[horizon:])
    rows = np.column_stack([np.concatenate(stamp), np.concatenate(ends)]) * 86_400
    rng.shuffle(rows)
    return rows[:, 0], rows[:, 1], horizon


@settings(max_examples=200, deadline=None)
@given(panels(), st.integers(1, 5), st.integers(0, 4))
def test_folds_go_forward_in_time_and_no_label_overlaps(
    panel: tuple[np.ndarray, np.ndarray, int], n_splits: int, embargo: int
) -> None:
    stamp, ends, horizon = panel
    splitter = PurgedWalkForward(n_splits, purge=horizon, embargo=embargo)
    groups = np.column_stack([stamp, ends])
    try:
        folds = list(splitter.split(groups=groups))
    except ValueError:
        assume(False)
    sessions = np.unique(stamp)
    tested = np.concatenate([test for _, test in folds])
    assert len(folds) == splitter.get_n_splits() == n_splits
    assert len(np.unique(tested)) == len(tested)
    assert set(tested) == set(np.flatnonzero(stamp >= stamp[tested].min()))
    before = -1
    for train, test in folds:
        begin = np.searchsorted(sessions, stamp[test].min())
        assert stamp[test].min() > before
        before = stamp[test].max()
        # every training label is settled before the embargo, which lies before the first test candle
        assert ends[train].max() < sessions[begin - embargo]
        assert stamp[train].max() < sessions[begin - embargo]
        # all rows of a session are on one side
        assert not set(stamp[train]) & set(stamp[test])


def test_purge_by_sessions_suffices_where_no_session_is_missing() -> None:
    stamp = np.arange(100)
    with_ends = np.column_stack([stamp, stamp + 3])
    plain = PurgedWalkForward(4, purge=3, embargo=2)
    for (a, b), (c, d) in zip(plain.split(groups=stamp), plain.split(groups=with_ends), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_label_that_spans_missing_sessions_is_purged_too() -> None:
    stamp = np.arange(100)
    ends = stamp + 1
    ends[70] = 95  # this symbol was suspended: its next candle comes late
    ((train, test),) = PurgedWalkForward(1, 20, purge=1).split(groups=np.column_stack([stamp, ends]))
    assert test.tolist() == list(range(80, 100))
    assert 69 in train
    assert 70 not in train


def test_training_part_grows_from_the_first_session() -> None:
    folds = list(PurgedWalkForward(3, 10, purge=1, embargo=5).split(groups=np.arange(60)))
    assert [(train.min(), train.max(), test.min(), test.max()) for train, test in folds] == [
        (0, 23, 30, 39),
        (0, 33, 40, 49),
        (0, 43, 50, 59),
    ]


def test_scikit_learn_accepts_it() -> None:
    from sklearn.dummy import DummyClassifier
    from sklearn.model_selection import cross_val_score

    stamp = np.repeat(np.arange(50), 3)
    y = np.arange(150) % 2
    scores = cross_val_score(DummyClassifier(), np.zeros((150, 1)), y, groups=stamp, cv=PurgedWalkForward(4))
    assert len(scores) == 4


@pytest.mark.parametrize(
    ("sessions", "splitter"),
    [
        (5, PurgedWalkForward(6)),
        (40, PurgedWalkForward(1, 40)),
        (12, PurgedWalkForward(3, purge=2, embargo=5)),
    ],
)
def test_too_few_sessions_are_refused_with_their_number(sessions: int, splitter: PurgedWalkForward) -> None:
    with pytest.raises(ValueError, match=f"{sessions} sessions are too few"):
        list(splitter.split(groups=np.arange(sessions)))


def test_rows_without_time_are_refused() -> None:
    with pytest.raises(ValueError, match="time stamps"):
        next(PurgedWalkForward().split(np.zeros((10, 1))))


@pytest.mark.parametrize("wrong", [{"n_splits": 0}, {"purge": -1}, {"embargo": -1}, {"test_size": 0}])
def test_impossible_arguments_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        PurgedWalkForward(**wrong)
