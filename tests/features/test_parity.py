"""The law: a row is a function of the last `memory + 1` candles, and the same bits by every way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.features import FEATURE_SETS, Feature, FeatureSet, feature_set, offline
from shared.features.expressions import Expression
from shared.market.candles import COLUMNS, Candles, Panel
from tests.features.made import bits, candles, formulas, odd_candles

SETS = tuple(FEATURE_SETS)
LONGEST = max(feature_set(name).memory for name in SETS)


@pytest.mark.parametrize("name", SETS)
@settings(deadline=None, max_examples=150)
@given(series=odd_candles(min_count=LONGEST + 1), data=st.data())
def test_online_row_equals_offline_row(name: str, series: Candles, data: st.DataObject) -> None:
    features = feature_set(name)
    t = data.draw(st.integers(features.memory, len(series) - 1))
    row = bits(features.matrix(Panel.of([series]))[t])
    assert bits(features.latest(series[: t + 1])) == row
    assert bits(features.latest(series[t - features.memory : t + 1])) == row
    assert bits(features.rows(series[: t + 1], 1)) == row


@settings(deadline=None, max_examples=150)
@given(made=st.lists(formulas(), min_size=1, max_size=4), chunk_rows=st.integers(1, 60))
def test_rows_of_any_formulas_are_equal_online_and_offline(made: list[Expression], chunk_rows: int) -> None:
    features = FeatureSet("any", tuple(Feature(f"x{i}", formula, "", "") for i, formula in enumerate(made)))
    series = candles(features.memory + 50)
    online = [features.latest(series[: t + 1]) for t in range(features.memory, len(series))]
    with np.errstate(all="ignore"):  # products of many volumes
        offline_rows = _in_chunks(features, Panel.of([series]), chunk_rows)
    assert bits(np.array(online)) == bits(offline_rows[features.memory :])


@pytest.mark.parametrize("name", SETS)
def test_online_rows_equal_offline_rows_at_every_candle(name: str) -> None:
    features, series = feature_set(name), candles(LONGEST + 300)
    online = [features.latest(series[: t + 1]) for t in range(features.memory, len(series))]
    assert bits(np.array(online)) == bits(features.matrix(Panel.of([series]))[features.memory :])


@pytest.mark.parametrize("name", SETS)
@settings(deadline=None, max_examples=40)
@given(series=odd_candles(min_count=2), other=odd_candles(min_count=2), data=st.data())
def test_changes_of_the_future_move_nothing_before_them(
    name: str, series: Candles, other: Candles, data: st.DataObject
) -> None:
    now = data.draw(st.integers(1, min(len(series), len(other)) - 1))
    future = slice(now, min(len(series), len(other)))
    columns: dict[str, Any] = {column: np.array(getattr(series, column)) for column in COLUMNS}
    for column, values in columns.items():
        values[future] = getattr(other, column)[future]
    features = feature_set(name)
    before = features.matrix(Panel.of([series]))[:now]
    assert bits(features.matrix(Panel.of([replace(series, **columns)]))[:now]) == bits(before)
    assert bits(features.matrix(Panel.of([series[:now]]))) == bits(before)


@pytest.mark.parametrize("name", SETS)
@settings(deadline=None, max_examples=40)
@given(series=st.lists(odd_candles(max_count=250), min_size=1, max_size=5), data=st.data())
def test_neighbours_and_order_in_the_panel_move_nothing(
    name: str, series: list[Candles], data: st.DataObject
) -> None:
    features = feature_set(name)
    ordered = data.draw(st.permutations(series))
    panel = Panel.of(ordered)
    parts = np.split(features.matrix(panel), panel.starts[1:-1])
    for own, rows in zip(ordered, parts, strict=True):
        assert bits(rows) == bits(features.matrix(Panel.of([own])))


@pytest.mark.parametrize("name", SETS)
@settings(deadline=None, max_examples=40)
@given(series=odd_candles(min_count=2), data=st.data())
def test_a_series_split_in_two_starts_anew(name: str, series: Candles, data: st.DataObject) -> None:
    features = feature_set(name)
    cut = data.draw(st.integers(1, len(series) - 1))
    whole = features.matrix(Panel.of([series]))
    halves = features.matrix(Panel.of([series[:cut], series[cut:]]))
    assert bits(halves[:cut]) == bits(whole[:cut])
    assert bits(halves[cut + features.memory :]) == bits(whole[cut + features.memory :])
    for feature, values in zip(features.features, halves.T, strict=True):
        assert np.isnan(values[cut : cut + feature.memory]).all()


@pytest.mark.parametrize("name", SETS)
@settings(deadline=None, max_examples=30)
@given(series=odd_candles(min_count=300), chunk_rows=st.integers(1, 310))
def test_chunks_move_nothing(name: str, series: Candles, chunk_rows: int) -> None:
    features, panel = feature_set(name), Panel.of([series, series[:37], series])
    assert bits(_in_chunks(features, panel, chunk_rows)) == bits(features.matrix(panel))


def _in_chunks(features: FeatureSet, panel: Panel, chunk_rows: int) -> NDArray[np.float64]:
    out = np.zeros((len(panel), len(features.names)))
    assert list(offline.run(features.program, panel, out, chunk_rows))[-1] == len(panel)
    return out


@pytest.mark.parametrize("name", SETS)
def test_windows_that_are_not_full_are_nan_and_no_others(name: str) -> None:
    features = feature_set(name)
    lengths = (1, 0, 2, 400, 1, features.memory, features.memory + 1, 30)
    panel = Panel.of([candles(count, seed) for seed, count in enumerate(lengths)])
    position = np.concatenate([np.arange(count) for count in lengths])
    matrix = features.matrix(panel)
    for feature, values in zip(features.features, matrix.T, strict=True):
        assert np.array_equal(np.isnan(values), position < feature.memory), feature.name


@pytest.mark.parametrize("name", SETS)
def test_threads_get_the_same_rows(name: str) -> None:
    features = feature_set(name)
    series = [candles(LONGEST + 1, seed) for seed in range(40)]
    expected = [bits(features.latest(own)) for own in series]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda own: bits(features.latest(own)), series * 25))
    assert found == expected * 25


@given(exponent=st.integers(-20, 20), series=odd_candles(min_count=200, max_count=250))
@settings(deadline=None, max_examples=30)
def test_technical_is_free_of_scale(exponent: int, series: Candles) -> None:
    """Powers of two change no bit at all."""
    scaled = {column: getattr(series, column) * 2.0**exponent for column in COLUMNS}
    features = feature_set("technical")
    before = features.matrix(Panel.of([series]))
    assert bits(features.matrix(Panel.of([replace(series, **scaled)]))) == bits(before)
