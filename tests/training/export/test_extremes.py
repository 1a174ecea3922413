from __future__ import annotations

import numpy as np

from shared.training.export.extremes import LARGE, extreme_rows

ROWS = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
NO_SPLITS = np.empty(0, np.int64), np.empty(0, np.float32)


def test_each_feature_meets_each_edge_before_many_backgrounds() -> None:
    found = extreme_rows(ROWS, *NO_SPLITS)
    for feature in range(3):
        column, others = found[:, feature], np.delete(found, feature, axis=1)
        for edge in (ROWS[:, feature].min(), ROWS[:, feature].max(), np.float32(LARGE), -np.float32(LARGE)):
            assert len(np.unique(others[column == edge], axis=0)) >= 32
        assert len(np.unique(others[np.isnan(column)], axis=0)) >= 32


def test_all_values_are_missing_in_one_row() -> None:
    assert np.isnan(extreme_rows(ROWS, *NO_SPLITS)).all(axis=1).sum() == 1


def test_thresholds_are_met_with_both_neighbours() -> None:
    threshold = np.float32(0.25)
    found = extreme_rows(ROWS, np.array([1]), np.array([threshold]))[:, 1]
    below, above = np.nextafter(threshold, np.array([-np.inf, np.inf], np.float32))
    assert {below, threshold, above} <= set(found.tolist())


def test_many_thresholds_are_thinned_evenly() -> None:
    threshold = np.linspace(-1, 1, 100_000, dtype=np.float32)
    found = extreme_rows(ROWS, np.zeros(100_000, np.int64), threshold)
    assert len(found) < 62_000
    assert np.isin([-1.0, 1.0], found[:, 0]).all()


def test_infinite_thresholds_give_finite_rows() -> None:
    found = extreme_rows(ROWS, np.array([0]), np.array([np.inf], np.float32))
    assert not np.isinf(found).any()


def test_features_without_any_value_are_moved_too() -> None:
    rows = np.full((10, 2), np.nan, np.float32)
    found = extreme_rows(rows, *NO_SPLITS)
    assert (found[:, 0] == np.float32(LARGE)).any()
