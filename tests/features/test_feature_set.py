from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.errors import InvalidInput, NotEnoughCandles, NotFound
from shared.features import FEATURE_SETS, Feature, FeatureSet, feature_set
from shared.features.expressions import column, lag
from shared.features.kernels import rolling_mean
from shared.market.candles import Candles, Panel
from tests.features.made import bits, candles

HASHES = {
    "core": "1e8c7e65d78d77e709f55569a3e6e2414e6592152abe5ab49b32d779fdf85eb6",
    "technical": "710d04c122c19a98b458e65e115d05cad0e37579993d7dae86027d9f2d8c95ed",
}
"""A change here makes every stored model refuse the rows: it must be meant."""


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_hash_of_a_set_is_what_models_were_trained_on(name: str) -> None:
    assert feature_set(name).hash == HASHES[name]


def test_hash_is_told_by_names_formulas_parameters_and_order() -> None:
    close = column("close")
    first, second = Feature("a", rolling_mean(close, 5), "", ""), Feature("b", lag(close, 1), "", "")
    sets = [
        (first, second),
        (second, first),
        (first,),
        (first, replace(second, name="c")),
        (first, replace(second, formula=lag(close, 2))),
        (replace(first, formula=rolling_mean(close, 6)), second),
        (replace(first, formula=rolling_mean(column("open"), 5)), second),
    ]
    hashes = [FeatureSet("test", features).hash for features in sets]
    assert len(set(hashes)) == len(sets)
    assert FeatureSet("other", (first, replace(second, meaning="told better"))).hash == hashes[0]


def test_hash_is_told_by_how_a_kernel_adds() -> None:
    """The same call written in another order of additions gives other bits, so another hash."""
    a, b, c = column("open"), column("high"), column("low")
    left = FeatureSet("left", (Feature("x", replace((a + b) + c, call=("total",)), "", ""),))
    right = FeatureSet("right", (Feature("x", replace(a + (b + c), call=("total",)), "", ""),))
    assert left.hash != right.hash


def test_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFound) as caught:
        feature_set("tecnical")
    assert "core, technical" in caught.value.detail


def test_a_set_is_made_once() -> None:
    assert feature_set("technical") is feature_set("technical")


def test_names_are_unique_and_memory_is_the_longest() -> None:
    technical = feature_set("technical")
    assert len(set(technical.names)) == len(technical.features) == 38
    assert technical.memory == max(feature.memory for feature in technical.features) == 158
    assert feature_set("core").memory == 20


@pytest.mark.parametrize(
    ("have", "lookback", "need"), [(0, 1, 159), (158, 1, 159), (160, 3, 161), (200, 1_000, 1_158)]
)
def test_too_few_candles_are_refused_with_the_number_needed(have: int, lookback: int, need: int) -> None:
    with pytest.raises(NotEnoughCandles) as caught:
        feature_set("technical").rows(candles(have), lookback)
    assert f"need {need} candles of MADE" in caught.value.detail
    assert f"{have} are there" in caught.value.detail


def test_no_candles_have_no_latest_row() -> None:
    with pytest.raises(NotEnoughCandles):
        feature_set("core").latest(Candles.empty("NONE", "1d"))


@pytest.mark.parametrize("lookback", [0, -3])
def test_lookback_must_be_positive(lookback: int) -> None:
    with pytest.raises(InvalidInput, match="1 or more"):
        feature_set("core").rows(candles(100), lookback)


@pytest.mark.parametrize("lookback", [1, 2, 242])
def test_rows_are_the_last_of_the_matrix(lookback: int) -> None:
    features, series = feature_set("technical"), candles(400)
    rows = features.rows(series, lookback)
    assert rows.shape == (lookback, 38)
    assert rows.flags.c_contiguous
    assert bits(rows) == bits(features.matrix(Panel.of([series]))[-lookback:])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_fills_what_it_is_given(dtype: Any, order: Any) -> None:
    features, panel = feature_set("technical"), Panel.of([candles(300), candles(170, 1)])
    out = np.full((470, 38), 7.0, dtype, order=order)
    assert features.matrix(panel, out=out) is out
    assert bits(out) == bits(features.matrix(panel).astype(dtype))
    assert bits(out) == bits(features.matrix(panel, dtype=dtype))


def test_matrix_lays_each_feature_end_to_end() -> None:
    assert feature_set("core").matrix(Panel.of([candles(30)])).flags.f_contiguous


def test_matrix_refuses_a_buffer_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"shape \(30, 3\)"):
        feature_set("core").matrix(Panel.of([candles(30)]), out=np.empty((30, 4)))


def test_matrix_of_no_candles_has_no_rows() -> None:
    assert feature_set("technical").matrix(Panel.of([Candles.empty("NONE", "1d")])).shape == (0, 38)


def test_progress_ends_with_all_rows() -> None:
    told: list[tuple[int, int]] = []
    panel = Panel.of([candles(20_000, seed) for seed in range(3)])
    feature_set("core").matrix(panel, progress=lambda done, rows: told.append((done, rows)))
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (60_000, 60_000)


def test_rows_given_out_are_nobody_elses() -> None:
    features, series = feature_set("core"), candles(100)
    row = features.latest(series)
    kept = row.copy()
    features.latest(candles(100, 1))
    assert bits(row) == bits(kept)


def test_candles_given_are_left_as_they_are() -> None:
    series = candles(200)
    series.close[150] = 0.0
    before = bits(series.close)
    feature_set("technical").latest(series)
    feature_set("technical").matrix(Panel.of([series]))
    assert bits(series.close) == before
