"""A column that is the same everywhere has a variance of zero, give or take the last bits."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shared.drift.profile import build_profile


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 1e-7, 12_345.678, -0.7])
def test_a_profile_with_a_constant_column_is_json(constant: float) -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(5_410, 4)).astype(np.float32)
    x[:, 2] = constant
    sessions = np.repeat(np.arange(541, dtype=np.int64) * 86_400, 10)
    names, scores, y = ["a", "b", "c", "d"], random.random(5_410), random.integers(0, 2, 5_410)
    profile = build_profile(x, names, scores, ["down", "up"], y, sessions=sessions, score_sessions=sessions)
    assert json.loads(profile.to_json())
    assert profile.time is not None
    assert profile.time.residual is not None
    assert np.isfinite(profile.time.residual.weights).all()


def test_a_variance_that_rounding_made_negative_counts_as_none() -> None:
    from shared.drift.residual import _solve

    covariance = np.diag([1.0, -1e-18, 1.0, -1e-18])
    assert np.isfinite(_solve(covariance, 2)).all()
