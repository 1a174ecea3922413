from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.training.calibration import CLIP, Calibration, fit_calibration, logit, sigmoid


def _outcomes(p: np.ndarray, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(p)) < p).astype(np.int8)


def test_fit_finds_the_map_that_made_the_outcomes() -> None:
    raw = np.random.default_rng(1).uniform(0.2, 0.8, 200_000)
    true = Calibration(0.5, 0.3)
    fitted = fit_calibration(raw, _outcomes(true.apply(raw)))
    assert fitted is not None
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.intercept == pytest.approx(0.3, abs=0.03)


def test_fit_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    raw = np.random.default_rng(2).beta(2, 3, 5_000)
    y = _outcomes(raw, seed=3)
    fitted = fit_calibration(raw, y)
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(raw)[:, None], y)
    assert fitted is not None
    assert fitted.slope == pytest.approx(peer.coef_[0, 0], abs=1e-4)
    assert fitted.intercept == pytest.approx(peer.intercept_[0], abs=1e-4)


def test_calibrated_probabilities_have_the_observed_mean() -> None:
    raw = np.random.default_rng(4).uniform(0.3, 0.9, 2_000)
    y = _outcomes(raw / 2, seed=5)
    fitted = fit_calibration(raw, y)
    assert fitted is not None
    assert fitted.apply(raw).mean() == pytest.approx(y.mean(), abs=1e-9)


@pytest.mark.parametrize(
    ("raw", "y"),
    [
        (np.linspace(0.1, 0.9, 100), np.zeros(100, np.int8)),
        (np.full(100, 0.5), np.tile([0, 1], 50).astype(np.int8)),
        (np.linspace(0.1, 0.9, 20), np.tile([0, 1], 10).astype(np.int8)),
        (np.linspace(0.1, 0.9, 100), (np.arange(100) < 50).astype(np.int8)),
        (np.linspace(0.1, 0.9, 100), (np.arange(100) >= 50).astype(np.int8)),
    ],
    ids=["one class", "constant score", "too few rows", "separated the wrong way", "separated"],
)
def test_scores_that_carry_no_usable_direction_are_left_alone(raw: np.ndarray, y: np.ndarray) -> None:
    assert fit_calibration(raw, y) is None


def test_opposite_scores_are_left_alone_and_not_flipped() -> None:
    raw = np.random.default_rng(6).uniform(0.2, 0.8, 10_000)
    assert fit_calibration(raw, _outcomes(1.0 - raw)) is None


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=30),
    st.floats(0.01, 10),
    st.floats(-3, 3),
)
def test_calibration_keeps_the_ranking_and_stays_within_0_and_1(
    raw: list[float], slope: float, intercept: float
) -> None:
    ordered = np.sort(raw)
    calibrated = Calibration(slope, intercept).apply(ordered)
    assert (np.diff(calibrated) >= 0).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


def test_identity_calibration_changes_nothing_inside_the_clip() -> None:
    raw = np.linspace(CLIP, 1 - CLIP, 101)
    np.testing.assert_allclose(Calibration(1.0, 0.0).apply(raw), raw, atol=1e-12)


def test_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
