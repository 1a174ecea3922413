"""Quantiles against exact ones, and the laws of merging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.monitoring.latency import RELATIVE_ERROR, Histogram

SHARES = (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
ROUNDING = 1e-9
durations = st.lists(st.floats(1e-6, 86_400.0), max_size=60)


def of(seconds: Sequence[float] | NDArray[np.float64]) -> Histogram:
    made = Histogram()
    for one in seconds:
        made.record(float(one))
    return made


def merged(*histograms: Histogram) -> Histogram:
    made = Histogram()
    for one in histograms:
        made.add(one)
    return made


def lognormal(random: np.random.Generator) -> NDArray[np.float64]:
    return random.lognormal(-5.0, 1.5, 100_000)


def two_humps(random: np.random.Generator) -> NDArray[np.float64]:
    """Warm and cold answers."""
    return np.concatenate([random.normal(0.002, 0.0002, 98_000), random.normal(0.6, 0.05, 2_000)])


def heavy(random: np.random.Generator) -> NDArray[np.float64]:
    return 0.001 * (1.0 + random.pareto(1.1, 100_000))


def constant(random: np.random.Generator) -> NDArray[np.float64]:
    return np.full(1_000, 0.0123)


@pytest.mark.parametrize("shape", [lognormal, two_humps, heavy, constant])
def test_quantiles_are_within_the_error_of_the_exact_ones(
    shape: Callable[[np.random.Generator], NDArray[np.float64]],
) -> None:
    seconds = np.clip(shape(np.random.default_rng(1)), 1e-6, 86_400.0)
    exact = np.quantile(seconds, SHARES, method="lower")
    found = np.array(of(seconds).quantiles(SHARES), dtype=float)
    assert np.max(np.abs(found - exact) / exact) <= RELATIVE_ERROR + ROUNDING


@given(durations.filter(bool), st.floats(0, 1))
def test_any_quantile_of_anything_is_within_the_error(seconds: list[float], share: float) -> None:
    (found,) = of(seconds).quantiles([share])
    exact = sorted(seconds)[int(share * (len(seconds) - 1))]
    assert found == pytest.approx(exact, rel=RELATIVE_ERROR + ROUNDING)


@given(durations, durations)
def test_two_instances_merged_are_one_that_saw_all(first: list[float], second: list[float]) -> None:
    assert merged(of(first), of(second)) == of(first + second)


@given(st.lists(durations, min_size=2, max_size=5))
def test_the_order_of_merging_changes_nothing(parts: list[list[float]]) -> None:
    forwards = reduce(merged, map(of, parts), Histogram())
    backwards = reduce(lambda right, left: merged(left, right), map(of, parts[::-1]), Histogram())
    nested = merged(of(parts[0]), merged(*map(of, parts[1:])))
    assert forwards == backwards == nested


@given(durations)
def test_what_is_stored_is_read_again(seconds: list[float]) -> None:
    histogram = of(seconds)
    assert Histogram.of(histogram.counts_text(), histogram.sum_us) == histogram


@given(durations)
def test_counts_up_to_bounds_grow_and_end_at_all(seconds: list[float]) -> None:
    counts = of(seconds).up_to([0.001, 0.1, 10.0, 86_400.0])
    assert counts == sorted(counts)
    assert counts[-1] == of(seconds).count == len(seconds)
    for bound, count in zip([0.001, 0.1, 10.0], counts, strict=False):
        low = sum(one <= bound for one in seconds)
        high = sum(one <= bound * (1 + 2 * RELATIVE_ERROR + 1e-3) for one in seconds)
        assert low <= count <= high


def test_nothing_has_no_quantiles() -> None:
    assert Histogram().quantiles([0.5, 1.0]) == [None, None]


def test_what_is_shorter_or_longer_than_can_be_told_counts_at_the_ends() -> None:
    shortest, longest = of([0.0, -1.0, 1e9]).quantiles([0, 1])
    assert shortest == pytest.approx(1e-6, rel=0.01)
    assert longest == pytest.approx(86_400, rel=0.01)


@pytest.mark.parametrize("text", ["1", "1:2,3:4", "a:1", "1:2 ", "1:-2", "1:2  3:4"])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="540:3"):
        Histogram.of(text, 0)
