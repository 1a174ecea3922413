"""Each kernel against its definition, computed the long way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from shared.features.expressions import Expression, column
from shared.features.kernels import (
    FORGOTTEN_WEIGHT,
    decayed_sum,
    exponential_mean,
    logarithm,
    rolling_deviation,
    rolling_maximum,
    rolling_mean,
    rolling_minimum,
    rolling_squares,
    rolling_sum,
    taps,
    z_score,
)
from tests.features.made import alone, candles, values, with_closes

CLOSE, VOLUME = column("close"), column("volume")
WINDOWS = (2, 3, 4, 5, 7, 9, 10, 14, 20, 26, 31, 60, 63, 64, 100)
ONE_ULP = 2.0**-52

Series = Sequence[float]


def _squares(x: Series) -> float:
    mean = math.fsum(x) / len(x)
    return math.fsum((v - mean) ** 2 for v in x)


def _deviation(x: Series) -> float:
    return math.sqrt(_squares(x) / (len(x) - 1))


def _z_score(x: Series) -> float:
    return (x[-1] - math.fsum(x) / len(x)) / math.sqrt(_squares(x) / len(x))


DEFINITIONS: tuple[tuple[Callable[[Expression, int], Expression], Callable[[Series], float]], ...] = (
    (rolling_sum, math.fsum),
    (rolling_mean, lambda x: math.fsum(x) / len(x)),
    (rolling_squares, _squares),
    (rolling_deviation, _deviation),
    (z_score, _z_score),
    (rolling_minimum, min),
    (rolling_maximum, max),
)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("kernel", "definition"), DEFINITIONS, ids=lambda f: getattr(f, "__name__", ""))
def test_kernel_agrees_with_its_definition(
    kernel: Callable[[Expression, int], Expression], definition: Callable[[Series], float], window: int
) -> None:
    series = candles(window + 60, seed=window)
    found = values(kernel(CLOSE, window), series)
    assert np.isnan(found[: window - 1]).all()
    expected = [
        definition(series.close[t - window + 1 : t + 1].tolist()) for t in range(window - 1, len(series))
    ]
    assert found[window - 1 :] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("window", WINDOWS)
def test_kernel_remembers_its_window_and_no_more(window: int) -> None:
    for kernel, _ in DEFINITIONS:
        assert alone(kernel(CLOSE, window)).memory == window - 1


@pytest.mark.parametrize("alpha", [1 / 14, 2 / 13, 2 / 27, 2 / 10, 0.5])
def test_exponential_mean_agrees_with_its_weights(alpha: float) -> None:
    series, count = candles(400), taps(alpha)
    weights = np.array([(1 - alpha) ** k for k in range(count)])
    sums = [math.fsum(weights * series.close[t - count + 1 : t + 1][::-1]) for t in range(count - 1, 400)]
    assert values(decayed_sum(CLOSE, alpha), series)[count - 1 :] == pytest.approx(sums, rel=1e-13)
    means = np.array(sums) / math.fsum(weights)
    assert values(exponential_mean(CLOSE, alpha), series)[count - 1 :] == pytest.approx(means, rel=1e-13)
    assert alone(exponential_mean(CLOSE, alpha)).memory == count - 1


@pytest.mark.parametrize(("alpha", "count"), [(1 / 14, 128), (2 / 13, 64), (2 / 27, 128), (2 / 10, 32)])
def test_exponential_mean_is_as_short_as_its_forgotten_weight_allows(alpha: float, count: int) -> None:
    assert taps(alpha) == count
    assert (1 - alpha) ** count <= FORGOTTEN_WEIGHT < (1 - alpha) ** (count / 2)


def test_exponential_mean_agrees_with_pandas_as_far_as_it_remembers() -> None:
    series = candles(1_000)
    endless = pd.Series(series.close).ewm(alpha=1 / 14, adjust=False).mean().to_numpy()[500:]
    found = values(exponential_mean(CLOSE, 1 / 14), series)[500:]
    assert found == pytest.approx(endless, rel=FORGOTTEN_WEIGHT * 0.5)


@pytest.mark.parametrize("window", [5, 20, 60])
def test_rolling_kernels_agree_with_pandas(window: int) -> None:
    series = candles(500)
    rolling = pd.Series(series.close).rolling(window)
    assert values(rolling_mean(CLOSE, window), series) == pytest.approx(
        rolling.mean(), rel=1e-12, nan_ok=True
    )
    assert values(rolling_deviation(CLOSE, window), series) == pytest.approx(
        rolling.std(), rel=1e-9, nan_ok=True
    )
    assert np.array_equal(values(rolling_minimum(CLOSE, window), series), rolling.min(), equal_nan=True)
    assert np.array_equal(values(rolling_maximum(CLOSE, window), series), rolling.max(), equal_nan=True)


def test_spread_of_prices_far_from_zero_does_not_cancel() -> None:
    """A spread of a billionth of the level: seven digits remain; sums of squares would leave none."""
    close = 1e6 + np.random.default_rng(0).normal(0.0, 1e-3, 200)
    found = values(rolling_deviation(CLOSE, 20), with_closes(close))[19:]
    expected = [_deviation(close[t - 19 : t + 1].tolist()) for t in range(19, 200)]
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("window", [5, 10, 20, 60])
@pytest.mark.parametrize("price", [0.1, 1 / 3, 57.33, 1e5 + 0.1])
def test_spread_of_equal_prices_is_exactly_zero(price: float, window: int) -> None:
    flat = with_closes(np.full(100, price))
    assert (values(rolling_squares(CLOSE, window), flat)[window - 1 :] == 0.0).all()
    assert np.isnan(values(z_score(CLOSE, window), flat)).all()


def test_index_volumes_keep_their_digits() -> None:
    volume = np.round(np.random.default_rng(0).normal(1e10, 1e9, 100))
    found = values(z_score(VOLUME, 20), with_closes(candles(100).close, volume))[19:]
    assert found == pytest.approx(
        [_z_score(volume[t - 19 : t + 1].tolist()) for t in range(19, 100)], rel=1e-12
    )


@pytest.mark.parametrize("spread", [1e-9, 1e-3, 0.1, 1.0, 15.0])
def test_logarithm_is_within_one_unit_in_the_last_place(spread: float) -> None:
    x = np.exp(np.random.default_rng(0).normal(0.0, spread, 20_000))
    found = values(logarithm(CLOSE), with_closes(x))
    expected = np.array([math.log(v) for v in x])
    assert np.max(np.abs(found - expected) / np.spacing(np.abs(expected))) <= 1


def test_logarithm_of_powers_of_two_and_of_the_seams() -> None:
    seams = np.array([math.sqrt(0.5), math.sqrt(2.0)])
    around = np.concatenate([np.nextafter(seams, 0.0), seams, np.nextafter(seams, 9.0)])
    x = np.concatenate([2.0 ** np.arange(-90, 91), around])
    found = values(logarithm(CLOSE), with_closes(x))
    assert found == pytest.approx([math.log(v) for v in x], rel=4 * ONE_ULP)
    assert found[90] == 0.0


def test_a_window_of_one_has_no_spread() -> None:
    with pytest.raises(ValueError, match="2 or more"):
        rolling_squares(CLOSE, 1)
