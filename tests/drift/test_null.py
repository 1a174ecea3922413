from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gumbel_r

from shared.drift import CurrentWindow, Profile, build_profile, check_drift
from shared.drift.columns import numeric_column
from shared.drift.null import LengthNull, Null
from shared.drift.windows import Plan, SessionRows, marginal

WIDTH = 20


def length(sessions: int, mean: float, sd: float = 0.5) -> LengthNull:
    return LengthNull(sessions, 100, (0.0,), (1.0,), mean, sd, (1.0, 1.1, 1.2, 1.3, 1.4, 1.5))


def profile(sessions: int, seed: int = 0, step: float = 0.0) -> Profile:
    """Independent normal rows; the first third of the sessions is `step` higher."""
    rng = np.random.default_rng(seed)
    stamp = np.repeat(np.arange(sessions), WIDTH)
    x = rng.normal(size=(len(stamp), 3)) + step * (stamp < sessions // 3)[:, np.newaxis]
    none = np.zeros(0)
    return build_profile(
        x.astype(np.float32), ("a", "b", "c"), none, ("d", "u"), np.zeros(len(x), int), sessions=stamp
    )


def null(made: Profile, family: str) -> Null:
    assert made.time is not None
    found = made.time.null(family)
    assert found is not None
    return found


@settings(deadline=None)
@given(st.floats(0.0001, 0.2), st.floats(2.0, 6.0), st.floats(0.2, 2.0))
def test_beyond_the_windows_the_threshold_is_gumbels(level: float, mean: float, sd: float) -> None:
    scale = sd * np.sqrt(6) / np.pi
    expected = gumbel_r.isf(level, mean - scale * np.euler_gamma, scale)
    assert length(1, mean, sd).threshold(level) == pytest.approx(max(expected, 1.0), rel=0.5 / (1 + expected))
    assert length(1, mean, sd).threshold(level) >= expected - 1e-9


def test_a_longer_window_s_threshold_is_never_below_a_shorter_one_s() -> None:
    made = Null("marginal", ("a",), (length(1, 3.0), length(5, 4.0), length(20, 2.0)))
    one, five, twenty = (made.threshold(sessions, 0.01) for sessions in (1, 5, 20))
    assert one < five == twenty
    assert made.of(4) == made.lengths[0]
    assert made.of(19) == made.lengths[1]
    assert replace(made, lengths=made.lengths[1:]).of(3) is None


def test_windows_are_judged_by_what_they_are_no_part_of() -> None:
    """A step within the reference is in the null: each third is far from the two others."""
    steady, stepped = (null(profile(120, step=step), "marginal").lengths[-1] for step in (0.0, 1.0))
    assert max(steady.scale) < 0.1
    assert min(stepped.scale) > 0.4


def test_the_null_of_independent_rows_is_what_theory_says() -> None:
    """The greatest of the distances of m values from their distribution: 0.8687 / root m in the mean."""
    scale = null(profile(600), "residual").lengths[0].scale
    expected = float(np.sqrt((0.8687**2 + 0.2603**2) / WIDTH))
    assert scale == pytest.approx((expected,) * 3, rel=0.1)


@pytest.mark.parametrize(
    ("sessions", "lengths"), [(59, ()), (60, (1, 5)), (119, (1, 5)), (360, (1, 5, 20, 60))]
)
def test_lengths_need_a_reference_of_six_windows(sessions: int, lengths: tuple[int, ...]) -> None:
    made = profile(sessions)
    assert made.time is not None
    assert {tuple(n.sessions for n in one.lengths) for one in made.time.nulls} == (
        {lengths} if lengths else set()
    )


def test_one_tie_is_nothing() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(WIDTH, 3)).astype(np.float32)
    x[0, 0] = x[1, 0]
    result = check_drift(profile(120), CurrentWindow(x, sessions=np.zeros(WIDTH, np.int64)))
    assert [one.name for one in result.families if one.alarms] == []


def test_windows_slide_over_every_session_and_stay_few() -> None:
    plan = Plan.sliding(5_000, 20)
    assert len(plan.starts) <= 200
    assert plan.starts[-1] + 20 > 5_000 - 26
    sums = Plan.sliding(6, 3).sums(np.arange(6))
    assert sums.tolist() == [3, 6, 9, 12]


def test_a_session_without_values_has_no_distance() -> None:
    x = np.random.default_rng(4).normal(size=(40, 1)).astype(np.float32)
    column = numeric_column("a", x[:, 0])
    x[20:] = np.nan
    rows, plan = SessionRows.of(np.repeat([0, 1], 20)), Plan.sliding(2, 1)
    (moved,) = marginal([column], x, rows, [plan])
    assert moved.statistic[0, 0] > 0.0
    assert moved.statistic[1, 0] == 0.0


def test_sessions_are_numbered_in_time_order() -> None:
    rows = SessionRows.of(np.array([30, 10, 10, 20]))
    assert (rows.number.tolist(), rows.sessions, rows.sizes().tolist()) == ([2, 0, 0, 1], 3, [2, 1, 1])
