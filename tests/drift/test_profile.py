from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from shared.drift.profile import KNOTS, Profile, build_profile
from shared.errors import PackageRefused


def profile(x: NDArray[np.float32]) -> Profile:
    names = [f"f{i}" for i in range(x.shape[1])]
    rng = np.random.default_rng(0)
    return build_profile(x, names, rng.random(len(x)), ["down", "up"], rng.integers(0, 2, len(x)))


def test_a_column_is_told_by_its_quantiles_moments_and_gaps() -> None:
    x = np.random.default_rng(1).normal(size=(10_000, 1)).astype(np.float32)
    x[:100], x[100:150] = np.nan, np.inf
    column = profile(x).features[0]
    finite = x[150:, 0].astype(np.float64)
    assert (column.name, column.kind, column.n) == ("f0", "numeric", 10_000)
    assert (column.missing_share, column.infinite_share) == (0.01, 0.005)
    assert column.mean == pytest.approx(finite.mean())
    assert column.sd == pytest.approx(finite.std())
    expected = np.quantile(finite, np.linspace(0, 1, KNOTS), method="nearest")
    assert np.array_equal(np.array(column.knots, np.float32), expected)


def test_a_distance_from_the_knots_is_near_the_exact_one() -> None:
    rng = np.random.default_rng(2)
    reference, current = rng.normal(size=10_000), np.sort(rng.normal(0.2, 1, 2_000))
    knots = profile(reference.astype(np.float32)[:, None]).features[0].knots
    by_knots = np.interp(current, knots, np.linspace(0, 1, KNOTS))
    exact = np.searchsorted(np.sort(reference), current, side="right") / len(reference)
    assert np.abs(by_knots - exact).max() < 1 / 256


def test_values_shared_by_many_rows_are_kept_exactly() -> None:
    x = np.random.default_rng(3).integers(0, 6, (1_000, 1)).astype(np.float32) / np.float32(5)
    knots = np.array(profile(x).features[0].knots, np.float32)
    assert set(knots.tolist()) == set(x[:, 0].tolist())


def test_score_and_classes_are_told() -> None:
    scores, y = np.array([0.25, 0.5, 0.75, np.nan]), np.array([0, 1, 1, 1])
    found = build_profile(np.zeros((4, 1), np.float32), ["f"], scores, ["down", "up"], y)
    assert found.class_shares == {"down": 0.25, "up": 0.75}
    assert (found.score.mean, found.score.missing_share, found.score.knots[128]) == (0.5, 0.25, 0.5)


def test_a_column_without_values_has_no_knots() -> None:
    column = profile(np.full((5, 1), np.nan, np.float32)).features[0]
    assert (column.mean, column.sd, column.knots, column.missing_share) == (None, None, (), 1.0)


@given(arrays(np.float32, st.tuples(st.integers(0, 30), st.integers(1, 3))))
def test_what_is_written_is_read(x: NDArray[np.float32]) -> None:
    made = profile(x)
    assert Profile.from_json(made.to_json()) == made


@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_knots_rise_from_the_least_to_the_greatest_value(values: NDArray[np.float32]) -> None:
    knots = np.array(profile(values[:, None]).features[0].knots)
    assert (np.diff(knots) >= 0).all()
    assert np.float32(knots[0]) == values.min()
    assert np.float32(knots[-1]) == values.max()


def test_size_follows_features_and_not_rows() -> None:
    x = np.random.default_rng(4).normal(size=(20_000, 24)).astype(np.float32)
    assert len(profile(x).to_json()) < 80_000
    assert len(profile(x).to_json()) == pytest.approx(len(profile(x[:2_000]).to_json()), rel=0.05)


def _changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(profile(np.zeros((3, 1), np.float32)).to_json()), **fields}).encode()


def test_parts_of_later_versions_are_passed_over() -> None:
    assert Profile.from_json(_changed(null={"sessions": [1, 5]})) == profile(np.zeros((3, 1), np.float32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        _changed(format_version=2),
        _changed(score={}),
        _changed(features=[{"name": "f", "kind": "numeric"}]),
        _changed(class_shares=[1]),
    ],
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(PackageRefused):
        Profile.from_json(content)


def test_columns_with_another_number_of_knots_are_refused() -> None:
    column = json.loads(profile(np.zeros((3, 1), np.float32)).to_json())["score"]
    with pytest.raises(PackageRefused, match="257 knots"):
        Profile.from_json(_changed(score={**column, "knots": [0.0, 1.0]}))
