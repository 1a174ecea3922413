from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.training.export.ensemble import Scale, Tree, TreeEnsemble, float32_at_most

thresholds = st.floats(allow_nan=False, width=64)


@given(thresholds, st.floats(allow_nan=False, width=32))
def test_no_float32_changes_sides(threshold: float, x: float) -> None:
    rounded = float32_at_most(np.array([threshold]))[0]
    assert (x <= threshold) == (np.float32(x) <= rounded)


@given(thresholds)
def test_the_neighbours_of_a_threshold_keep_their_sides(threshold: float) -> None:
    rounded = float32_at_most(np.array([threshold]))[0]
    with np.errstate(over="ignore"):
        above = np.nextafter(rounded, np.float32(np.inf))
    assert float(rounded) <= threshold
    assert float(above) > threshold or np.isinf(rounded)


def test_splits_are_told_once_each_in_order() -> None:
    tree = Tree(
        feature=np.array([1, 0, 0, 0, 0]),
        threshold=np.array([2.0, 5.0, 0.0, 0.0, 0.0], np.float32),
        left=np.array([1, 3, -1, -1, -1]),
        right=np.array([2, 4, -1, -1, -1]),
        missing_left=np.zeros(5, np.bool_),
        value=np.zeros((5, 1)),
    )
    feature, threshold = TreeEnsemble((tree, tree), np.zeros(1), Scale.LOGIT).splits()
    assert feature.tolist() == [0, 1]
    assert threshold.tolist() == [5.0, 2.0]
