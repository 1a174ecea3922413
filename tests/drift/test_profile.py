from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from shared.drift.profile import KNOTS, CategoricalColumn, NumericColumn, Profile, build_profile
from shared.errors import PackageRefused


def profile(x: NDArray[np.float32]) -> Profile:
    names = [f"f{i}" for i in range(x.shape[1])]
    rng = np.random.default_rng(0)
    return build_profile(x, names, rng.random(len(x)), ["down", "up"], rng.integers(0, 2, len(x)))


def numbers(made: Profile) -> NumericColumn:
    (column,) = made.features
    assert isinstance(column, NumericColumn)
    return column


def test_a_column_is_told_by_its_quantiles_moments_and_gaps() -> None:
    x = np.random.default_rng(1).normal(size=(10_000, 1)).astype(np.float32)
    x[:100], x[100:150] = np.nan, np.inf
    column = numbers(profile(x))
    finite = x[150:, 0].astype(np.float64)
    assert (column.name, column.kind, column.n) == ("f0", "numeric", 10_000)
    assert (column.missing_share, column.infinite_share) == (0.01, 0.005)
    assert column.mean == pytest.approx(finite.mean())
    assert column.sd == pytest.approx(finite.std())
    expected = np.quantile(finite, np.linspace(0, 1, KNOTS), method="nearest")
    assert np.array(column.knots) == pytest.approx(expected, rel=1e-4)
    assert np.array_equal(column.at[[0, -1]], expected[[0, -1]])


def test_a_distance_from_the_knots_is_near_the_exact_one() -> None:
    rng = np.random.default_rng(2)
    reference, current = rng.normal(size=10_000), np.sort(rng.normal(0.2, 1, 2_000))
    knots = numbers(profile(reference.astype(np.float32)[:, None])).knots
    by_knots = np.interp(current, knots, np.linspace(0, 1, KNOTS))
    exact = np.searchsorted(np.sort(reference), current, side="right") / len(reference)
    assert np.abs(by_knots - exact).max() < 1 / 256


def test_values_shared_by_many_rows_are_kept_exactly() -> None:
    x = np.random.default_rng(3).integers(0, 6, (1_000, 1)).astype(np.float32) / np.float32(5)
    knots = numbers(profile(x)).at
    assert set(knots.tolist()) == set(x[:, 0].tolist())


def test_score_and_classes_are_told() -> None:
    scores, y = np.array([0.25, 0.5, 0.75, np.nan]), np.array([0, 1, 1, 1])
    found = build_profile(np.zeros((4, 1), np.float32), ["f"], scores, ["down", "up"], y)
    assert found.class_shares == {"down": 0.25, "up": 0.75}
    assert (found.score.mean, found.score.missing_share, found.score.knots[128]) == (0.5, 0.25, 0.5)


def test_a_column_without_values_has_no_knots() -> None:
    column = numbers(profile(np.full((5, 1), np.nan, np.float32)))
    assert (column.mean, column.sd, column.knots, column.missing_share) == (None, None, (), 1.0)


@settings(deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 30), st.integers(1, 3))))
def test_what_is_written_is_read(x: NDArray[np.float32]) -> None:
    made = profile(x)
    assert Profile.from_json(made.to_json()) == made


@settings(deadline=None)
@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_knots_rise_from_the_least_to_the_greatest_value(values: NDArray[np.float32]) -> None:
    knots = np.array(numbers(profile(values[:, None])).knots)
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
    assert Profile.from_json(_changed(later={"sessions": [1, 5]})) == profile(np.zeros((3, 1), np.float32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        _changed(format_version=3),
        _changed(format_version="2"),
        _changed(time={}),
        _changed(time=[]),
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


@functools.cache
def ordered() -> Profile:
    """Of rows with sessions: three numeric columns, one of codes, and scores."""
    rng = np.random.default_rng(7)
    sessions = np.repeat(np.arange(150), 12)
    common = rng.normal(size=150)[sessions]
    x = np.column_stack(
        [*(common + rng.normal(size=len(sessions)) for _ in range(3)), rng.integers(0, 3, len(sessions))]
    )
    scores, y = rng.random(len(x)), rng.integers(0, 2, len(x))
    return build_profile(
        x.astype(np.float32),
        ["a", "b", "c", "code"],
        scores,
        ["down", "up"],
        y,
        sessions=sessions,
        score_sessions=sessions,
        categorical=["code"],
    )


def test_rows_with_sessions_bring_nulls_for_the_windows_they_are_long_enough_for() -> None:
    time = ordered().time
    assert time is not None
    assert (time.sessions, time.rows_per_session) == (150, 12.0)
    assert {null.family for null in time.nulls} == {
        *("marginal", "residual", "extremes", "gaps", "ties", "copies", "score")
    }
    assert {tuple(length.sessions for length in null.lengths) for null in time.nulls} == {(1, 5, 20)}


def test_a_profile_with_nulls_is_written_and_read() -> None:
    assert Profile.from_json(ordered().to_json()) == ordered()


def test_equal_rows_give_equal_bytes() -> None:
    again = ordered.__wrapped__()
    assert again.to_json() == ordered().to_json()


def test_the_order_of_rows_within_sessions_changes_no_null() -> None:
    rng = np.random.default_rng(8)
    x, sessions = rng.normal(size=(800, 2)).astype(np.float32), np.repeat(np.arange(80), 10)
    order = rng.permutation(800)
    one = build_profile(x, ["a", "b"], np.zeros(0), ["d", "u"], np.zeros(800, int), sessions=sessions)
    other = build_profile(
        x[order], ["a", "b"], np.zeros(0), ["d", "u"], np.zeros(800, int), sessions=sessions[order]
    )
    assert one.time is not None
    assert other.time is not None
    for null, same in zip(one.time.nulls, other.time.nulls, strict=True):
        for length, equal in zip(null.lengths, same.lengths, strict=True):
            assert length.scale == pytest.approx(equal.scale, rel=1e-2, abs=1e-9)


def test_codes_are_counted_and_rare_ones_kept_together() -> None:
    values = np.concatenate([np.arange(100), np.zeros(50), [np.nan]]).astype(np.float32)[:, None]
    made = build_profile(values, ["code"], np.zeros(0), ["d", "u"], np.zeros(151, int), categorical=["code"])
    (column,) = made.features
    assert isinstance(column, CategoricalColumn)
    assert (len(column.categories), column.counts[0], column.other) == (64, 51, 36)
    assert column.missing_share == pytest.approx(1 / 151)
    assert column.counts_of(np.array([0, 0, 99, -3], np.float32))[[0, -1]].tolist() == [2, 2]
    assert Profile.from_json(made.to_json()) == made


def test_old_profiles_are_read_and_hold_no_null() -> None:
    read = Profile.from_json(_changed(format_version=1))
    assert (read.format_version, read.time) == (1, None)


def _spoilt(*path: str | int, value: Any) -> bytes:
    fields = json.loads(ordered().to_json())
    inner = fields
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("features", 0, "knots", 3), float("nan")),
        (("features", 0, "knots", 3), 1e9),
        (("features", 0, "knots"), None),
        (("features", 0, "sd"), None),
        (("features", 0, "missing_share"), 7),
        (("features", 0, "n"), -1),
        (("features", 3, "counts"), [1]),
        (("features", 3, "counts", 0), -1),
        (("features", 3, "categories", 0), 9.0),
        (("features", 3, "kind"), "picture"),
        (("time", "residual", "weights"), []),
        (("time", "residual", "weights", 0, 0), float("inf")),
        (("time", "residual", "offset"), [0.0]),
        (("time", "residual", "knots", 0), [0.0]),
        (("time", "residual", "knots", 0, 0), 1e9),
        (("time", "residual", "columns"), ["a", "b", "x"]),
        (("time", "residual"), None),
        (("time", "nulls", 0, "lengths"), []),
        (("time", "nulls", 0, "columns"), ["a"]),
        (("time", "nulls", 0, "family"), "unheard"),
        (("time", "nulls", 0, "lengths", 0, "scale", 0), 0.0),
        (("time", "nulls", 0, "lengths", 0, "centre"), []),
        (("time", "nulls", 0, "lengths", 0, "tail"), [1.0]),
        (("time", "nulls", 0, "lengths", 0, "sd"), -1.0),
        (("time", "nulls", 0, "lengths", 0, "mean"), float("nan")),
        (("time", "nulls", 0, "lengths", 0, "sessions"), 99),
        (("time", "rows_per_session"), "many"),
        (("score", "kind"), "categorical"),
    ],
)
def test_profiles_that_were_tampered_with_are_refused(path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(PackageRefused):
        Profile.from_json(_spoilt(*path, value=value))


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.floats() | st.text(max_size=3), lambda s: st.lists(s, max_size=3), max_leaves=5
    )
)
def test_no_time_part_but_a_right_one_is_read(value: object) -> None:
    content = _changed(time=value)
    if value is None:
        assert Profile.from_json(content).time is None
    else:
        with pytest.raises(PackageRefused):
            Profile.from_json(content)


@settings(deadline=None, max_examples=40)
@given(st.floats(-1e6, 1e6, width=32), st.lists(st.integers(0, 40), min_size=300, max_size=400))
def test_values_however_close_give_a_profile_that_can_be_read_again(base: float, steps: list[int]) -> None:
    """Some knots are kept exactly and others shortened: none may pass another by that."""
    values = np.float32(base) * (np.float32(1) + np.array(steps, np.float32) * np.float32(2e-7))
    built = profile(values[:, np.newaxis])
    assert Profile.from_json(built.to_json()) == built
