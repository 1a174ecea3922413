from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, chi2_contingency, ks_2samp, kstwobign, wasserstein_distance

from shared.drift.columns import NumericColumn, numeric_column
from shared.drift.describe import describe
from shared.drift.result import FeatureDrift
from shared.drift.significance import adjusted, chi_square_p, homogeneity_p, kolmogorov_p
from shared.drift.statistics import areas, jensen_shannon, reference_shares, stability_index

Floats = NDArray[np.float32]

values = arrays(
    np.float32, st.integers(30, 200), elements=st.floats(-100, 100, width=32).map(lambda v: round(v, 1))
)
"""With so few digits that a profile keeps them, and their quarters, exactly."""

shares = arrays(np.int64, 6, elements=st.integers(0, 1_000)).filter(np.any).map(lambda n: n / n.sum())


def column(reference: Floats) -> NumericColumn:
    return numeric_column("f", reference)


def measured(reference: Floats, current: Floats) -> FeatureDrift:
    return describe(column(reference), current)


SAMPLES = {
    "shifted": lambda rng, n: rng.normal(0.2, 1, n),
    "wider": lambda rng, n: rng.normal(0, 1.5, n),
    "heavy": lambda rng, n: rng.standard_t(3, n),
    "skewed": lambda rng, n: rng.lognormal(0, 0.5, n) - 1.0,
    "rounded": lambda rng, n: np.round(rng.normal(0, 1, n), 1),
}


@pytest.mark.parametrize("rows", [200, 5_000])
@pytest.mark.parametrize("kind", SAMPLES)
def test_distances_from_the_profile_are_those_of_the_rows(kind: str, rows: int) -> None:
    """Within 0.005 (KS), and 0.005 deviations plus 2 % (W1), of scipy's on the 10,000 rows themselves."""
    rng = np.random.default_rng(len(kind))
    reference = SAMPLES[kind if kind in ("heavy", "rounded") else "shifted"](rng, 10_000)
    reference, current = reference.astype(np.float32), SAMPLES[kind](rng, rows).astype(np.float32)
    found = measured(reference, current)
    assert found.ks == pytest.approx(ks_2samp(reference, current).statistic, abs=0.005)
    expected = wasserstein_distance(reference, current) / reference.std(dtype=np.float64)
    assert found.wasserstein == pytest.approx(expected, rel=0.02, abs=0.005)


def test_stability_and_jensen_shannon_are_those_over_sturges_bins_of_the_rows() -> None:
    rng = np.random.default_rng(5)
    reference = rng.normal(0, 1, 10_000).astype(np.float32)
    current = rng.normal(0.3, 1, 4_000).astype(np.float32)
    edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
    p, q = (np.histogram(rows, edges)[0] / len(rows) for rows in (reference, current))
    found = measured(reference, current)
    assert found.jensen_shannon == pytest.approx(float(jensenshannon(p, q)), abs=0.005)
    assert found.psi == pytest.approx(stability_index(p, q), abs=0.01)


@settings(max_examples=40, deadline=None)
@given(values, values)
def test_distances_are_bounded_and_blind_to_the_order_of_rows(reference: Floats, current: Floats) -> None:
    found = measured(reference, current)
    assert found.ks is not None
    assert 0.0 <= found.ks <= 1.0
    assert found.jensen_shannon is not None
    assert 0.0 <= found.jensen_shannon <= np.sqrt(np.log(2)) + 1e-9
    assert found.psi is not None
    assert found.psi >= 0.0
    again = measured(reference, current[::-1].copy())
    assert again == found


@settings(max_examples=40, deadline=None)
@given(values, values, st.sampled_from([0.25, 2.0, 8.0]))
def test_scale_changes_neither_rank_distance_nor_the_normed_one(
    reference: Floats, current: Floats, factor: float
) -> None:
    one, other = measured(reference, current), measured(reference * factor, current * np.float32(factor))
    assert other.ks == pytest.approx(one.ks, abs=0.01)
    if reference.std() > 0.01:  # with the five digits of a profile, equal values may part
        assert other.wasserstein == pytest.approx(one.wasserstein, rel=0.02, abs=0.005)


@settings(max_examples=40, deadline=None)
@given(values)
def test_a_reference_is_near_itself(reference: Floats) -> None:
    found = measured(reference, reference)
    assert found.ks is not None
    assert found.ks <= 1 / 256 + 1 / len(reference)


@settings(deadline=None)
@given(shares, shares)
def test_indices_of_shares_are_symmetric(p: NDArray[np.float64], q: NDArray[np.float64]) -> None:
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p), abs=1e-12)
    assert stability_index(p, q) == pytest.approx(stability_index(q, p), rel=1e-9, abs=1e-12)
    assert jensen_shannon(p, p) == 0.0
    if not np.allclose(p, q):  # where scipy's rounding gives the root of a negative number
        assert jensen_shannon(p, q) == pytest.approx(float(jensenshannon(p, q)), abs=1e-6)


def test_areas_between_distribution_functions_are_wasserstein_distances() -> None:
    rng = np.random.default_rng(6)
    reference, current = rng.normal(0, 1, 10_000), rng.normal(0.3, 1.2, 3_000).clip(-3, 3)
    knots = column(reference.astype(np.float32)).at
    below = np.searchsorted(np.sort(current), knots, side="right") / len(current)
    (found,) = areas(knots, (below - reference_shares(knots))[np.newaxis])
    assert found == pytest.approx(wasserstein_distance(reference, current), abs=0.01)


@settings(deadline=None)
@given(st.floats(0.0, 1.0), st.integers(20, 5_000), st.integers(20, 5_000))
def test_kolmogorov_p_values_are_stephens_limit(distance: float, n: int, m: int) -> None:
    root = np.sqrt(n * m / (n + m))
    expected = kstwobign.sf((root + 0.12 + 0.11 / root) * distance)
    assert kolmogorov_p(distance, n, m) == pytest.approx(expected, abs=1e-8)


@settings(deadline=None)
@given(st.floats(0.0, 500.0), st.integers(1, 60))
def test_chi_square_p_values_are_scipys(statistic: float, degrees: int) -> None:
    assert chi_square_p(statistic, degrees) == pytest.approx(chi2.sf(statistic, degrees), rel=1e-8, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=2, max_size=8))
def test_tests_of_counts_are_scipys(counts: list[tuple[int, int]]) -> None:
    expected = chi2_contingency(np.array(counts).T, correction=False).pvalue
    assert homogeneity_p(*zip(*counts, strict=True)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_nothing_to_compare_is_no_evidence() -> None:
    assert homogeneity_p([5, 0], [7, 0]) == 1.0
    assert homogeneity_p([5, 4], [0, 0]) == 1.0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_those_of_benjamini_and_hochberg(p: list[float]) -> None:
    from scipy.stats import false_discovery_control

    assert adjusted(p) == pytest.approx(false_discovery_control(p), abs=1e-12)
