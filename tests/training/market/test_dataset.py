from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared.errors import NotEnoughCandles
from shared.evaluation.labels import direction_labels
from shared.market.candles import Candles, Panel
from shared.training.market.dataset import build_dataset
from tests.training.synthetic import LaggedReturns, random_candles, weekdays


def _close(values: list[float]) -> Candles:
    prices = np.array(values)
    return Candles("A", "1d", weekdays(len(values)), prices, prices, prices, prices, np.ones(len(values)))


def test_label_is_the_direction_over_the_horizon() -> None:
    labels = direction_labels(Panel.of([_close([10.0, 11.0, 11.0, 9.0, 12.0])]), 2)
    assert labels.y.tolist() == [1, 0, 1, -1, -1]
    assert labels.forward_return[:3].tolist() == [11 / 10 - 1, 9 / 11 - 1, 12 / 11 - 1]
    assert np.isnan(labels.forward_return[3:]).all()
    assert labels.ends_at[:3].tolist() == weekdays(5)[2:].tolist()
    assert labels.past_return[2:].tolist() == labels.forward_return[:3].tolist()


def test_unchanged_close_is_not_up() -> None:
    assert direction_labels(Panel.of([_close([10.0, 10.0])]), 1).y.tolist() == [0, -1]


def test_labels_never_cross_from_one_series_to_the_next() -> None:
    panel = Panel.of([_close([10.0, 11.0, 12.0]), _close([1.0, 2.0])])
    assert direction_labels(panel, 1).y.tolist() == [1, 1, -1, 1, -1]
    assert direction_labels(panel, 3).y.tolist() == [-1] * 5


def test_rows_are_time_major_and_hold_what_their_candle_says() -> None:
    series = [random_candles("B", 40, 1), random_candles("A", 30, 2)]
    features = LaggedReturns()
    dataset = build_dataset(series, features, 2)
    assert dataset.symbols == ("A", "B")
    assert dataset.x.dtype == np.float32
    keys = list(zip(dataset.timestamp, dataset.symbol, strict=True))
    assert keys == sorted(keys)
    for candles in series:
        mine = dataset.symbol == dataset.symbols.index(candles.symbol)
        whole = features.matrix(Panel.of([candles]), dtype=np.float32)
        np.testing.assert_array_equal(dataset.x[mine], whole[3:-2])
        np.testing.assert_array_equal(dataset.timestamp[mine], candles.timestamp[3:-2])
        np.testing.assert_array_equal(dataset.ends_at[mine], candles.timestamp[5:])
        np.testing.assert_array_equal(dataset.y[mine], candles.close[5:] > candles.close[3:-2])


def test_every_candle_without_a_row_is_counted_with_its_reason() -> None:
    candles = random_candles("A", 30, 1)
    holed = replace(candles, close=np.where(np.arange(30) == 10, np.nan, candles.close))
    dataset = build_dataset([holed, random_candles("B", 20, 2)], LaggedReturns(), 2)
    assert dataset.dropped == {"warm_up": 6, "no_label": 4, "undefined": 5}
    assert len(dataset) == 50 - 15
    assert np.isfinite(dataset.x).all()


def test_symbol_in_two_series_is_one_symbol() -> None:
    candles = random_candles("A", 60, 1)
    dataset = build_dataset([candles[:30], candles[30:]], LaggedReturns(), 1)
    assert dataset.symbols == ("A",)
    assert len(dataset) == 60 - 2 * 4


def test_order_of_the_series_changes_nothing() -> None:
    series = [random_candles(name, 30, i) for i, name in enumerate("CAB")]
    one, other = build_dataset(series, LaggedReturns(), 1), build_dataset(series[::-1], LaggedReturns(), 1)
    assert one.fingerprint == other.fingerprint


def test_fingerprint_changes_with_a_single_candle() -> None:
    candles = random_candles("A", 30, 1)
    changed = candles.close.copy()
    changed[20] *= 1.0 + 1e-9
    features = LaggedReturns()
    prints = {build_dataset([c], features, 1).fingerprint for c in (candles, replace(candles, close=changed))}
    assert len(prints) == 2


def test_chunks_give_the_same_rows_as_one_panel() -> None:
    series = [random_candles(f"S{i}", 30 + i, i) for i in range(7)]
    whole = build_dataset(series, LaggedReturns(), 1)
    assert build_dataset(series, LaggedReturns(), 1, chunk_rows=50).fingerprint == whole.fingerprint


def test_too_short_series_are_refused_with_what_is_needed() -> None:
    with pytest.raises(NotEnoughCandles, match=r"at least 6 candles.*longest has 5"):
        build_dataset([random_candles("A", 5, 1)], LaggedReturns(), 2)


def test_summary_says_what_the_data_are() -> None:
    summary = build_dataset([random_candles("A", 30, 1)], LaggedReturns(), 1).summary()
    assert summary["rows"] == 26
    assert summary["symbols"] == ["A"]
    assert summary["from"] < summary["to"]
