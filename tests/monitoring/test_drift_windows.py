"""The rows that drift is looked for in: those since training, and no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.market.candles import Panel, RawCandles
from shared.market.store import CandleStore
from shared.monitoring.audit import Audit
from shared.monitoring.drift.windows import market_rows, tabular_rows
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Event
from shared.registry import Manifest, Window
from tests.market.made import DAY, MONDAY, as_candles, checked, raw
from tests.packages import FEATURES, market_package

COUNT = 700
NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.sqlite3")


@pytest.fixture
def store(documents: SqliteDocuments, tmp_path: Path) -> CandleStore:
    return CandleStore(documents, FolderBlobs(tmp_path / "blobs"))


def day(number: int) -> int:
    return MONDAY + number * DAY


def trained_until(last: int, **changes: Any) -> Manifest:
    """A manifest that says so: trained on ABC and ABD, up to that day."""
    start, end = (f"{datetime.fromtimestamp(day(n), UTC):%Y-%m-%dT%H:%M:%SZ}" for n in (0, last))
    said = {"window": Window(start=start, end=end), "symbols": ("ABC", "ABD"), **changes}
    return market_package().manifest.model_copy(update=said)


def ingest(store: CandleStore, *series: RawCandles) -> None:
    for one in series:
        store.ingest(one.symbol, "1d", checked(one))


def expected(series: RawCandles, days: range) -> NDArray[np.float32]:
    """Those days' rows, as training would compute them."""
    matrix: NDArray[np.float32] = FEATURES.matrix(Panel.of([as_candles(series)]), dtype=np.float32)
    return matrix[days.start : days.stop]


@pytest.mark.parametrize(("last", "sessions"), [(COUNT - 8, 60), (COUNT - 200, 60), (300, 5), (300, 500)])
def test_the_rows_are_those_since_training_bit_for_bit(store: CandleStore, last: int, sessions: int) -> None:
    """From the tail where that has them (the first three), else from all candles."""
    series = raw(COUNT), raw(COUNT, seed=1, symbol="ABD")
    ingest(store, *series)
    rows = market_rows(store, trained_until(last), sessions)
    days = range(max(last + 1, COUNT - sessions), COUNT)
    both = np.concatenate([expected(one, days) for one in series])
    np.testing.assert_array_equal(rows.x, both)
    assert rows.stamps is not None
    assert set(rows.stamps) == {day(n) for n in days}
    assert rows.available == len(days)
    assert rows.problems == {}


def test_labels_are_known_where_the_horizon_has_passed(store: CandleStore) -> None:
    series = raw(COUNT)
    ingest(store, series)
    rows = market_rows(store, trained_until(COUNT - 11, symbols=("ABC",), horizon=3))
    assert rows.y is not None
    ups = series.close[COUNT - 7 :] > series.close[COUNT - 10 : -3]
    assert rows.y.tolist() == [*ups.astype(int).tolist(), -1, -1, -1]


def test_the_last_sessions_are_those_of_all_symbols(store: CandleStore) -> None:
    """ABD ends ten days before: of the last five sessions it has no row."""
    ingest(store, raw(COUNT), raw(COUNT - 10, seed=1, symbol="ABD"))
    rows = market_rows(store, trained_until(COUNT - 31))
    assert rows.available == 30
    assert len(rows.last(5)) == 5
    assert len(rows.last(20)) == 20 + 10
    assert rows.stamps is not None
    assert rows.stamps[rows.last(1)].tolist() == [day(COUNT - 1)]


def test_after_a_break_rows_begin_when_their_memory_is_full(store: CandleStore) -> None:
    """A split nobody adjusted: prices of both sides never meet in a row."""
    series = raw(COUNT)
    at = COUNT - FEATURES.memory - 10
    halved = {n: np.r_[getattr(series, n)[:at], getattr(series, n)[at:] / 2] for n in ("open", "close")}
    high, low = (np.r_[getattr(series, n)[:at], getattr(series, n)[at:] / 2] for n in ("high", "low"))
    split = raw(COUNT, **halved, high=high, low=low, volume=np.r_[series.volume[:at], series.volume[at:] * 2])
    ingest(store, split)
    assert len(store.read("ABC", "1d").breaks) == 1
    rows = market_rows(store, trained_until(at - 21, symbols=("ABC",)), 500)
    assert rows.stamps is not None
    assert rows.stamps.tolist() == [
        *(day(n) for n in range(at - 20, at)),
        *(day(n) for n in range(COUNT - 10, COUNT)),
    ]
    assert not np.isnan(rows.x).any()


def test_a_value_that_is_missing_stays_a_missing_value(store: CandleStore) -> None:
    volume = raw(COUNT).volume.copy()
    volume[-3:] = 0.0
    ingest(store, raw(COUNT, volume=volume.tolist()))
    rows = market_rows(store, trained_until(COUNT - 11, symbols=("ABC",)))
    assert len(rows.x) == 10


def test_a_symbol_that_is_not_there_fails_alone(store: CandleStore) -> None:
    ingest(store, raw(COUNT))
    rows = market_rows(store, trained_until(COUNT - 6))
    assert len(rows.x) == 5
    assert list(rows.problems) == ["ABD"]
    assert "No 1d candles of ABD are stored" in rows.problems["ABD"]


def test_nothing_since_training_is_no_row(store: CandleStore) -> None:
    ingest(store, raw(COUNT))
    rows = market_rows(store, trained_until(COUNT - 1))
    assert (rows.x.shape, rows.available) == ((0, len(FEATURES.names)), 0)
    ingest(store, raw(40, seed=1, symbol="ABD"))
    assert market_rows(store, trained_until(10, symbols=("ABD",))).available == 0


@pytest.mark.parametrize(
    "changes",
    [{"window": None}, {"symbols": ()}, {"timeframe": None}, {"feature_set_hash": "0" * 64}],
)
def test_what_was_trained_on_must_be_known(store: CandleStore, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"[Tt]rain the model anew"):
        market_rows(store, trained_until(10, **changes))


def audited(documents: SqliteDocuments, *features: Any, model_id: str = "heart-v1") -> Audit:
    """An audit with one prediction for each of these features, a second apart."""
    audit = Audit(documents, lambda: NOW)
    for number, values in enumerate(features):
        made_at = (NOW + timedelta(seconds=number)).isoformat()
        facts = {"prediction_id": f"p{number}", "model_id": model_id, "made_at": made_at, "features": values}
        audit.store([Event(f"p{number}", "//test", "predictions.made", NOW, facts)])
    return audit


def tabular(width: int = 2) -> Manifest:
    names = tuple(f"f{n}" for n in range(width))
    return market_package().manifest.model_copy(update={"kind": "tabular", "feature_names": names})


def test_audited_rows_come_newest_first(documents: SqliteDocuments) -> None:
    audit = audited(documents, *([float(n), None] for n in range(7)))
    rows = tabular_rows(audit, tabular(), "heart-v1", 5)
    assert rows.x[:, 0].tolist() == [6.0, 5.0, 4.0, 3.0, 2.0]
    assert np.isnan(rows.x[:, 1]).all()
    assert (rows.stamps, rows.available) == (None, 5)
    assert rows.last(2).tolist() == [0, 1]
    assert tabular_rows(audit, tabular(), "heart-v2", 5).available == 0


@pytest.mark.parametrize("values", [[1.0], '"text"', None, [1.0, "2"], [1.0, [2]], {"a": 1}, [1.0, 1e301]])
def test_audited_features_of_another_shape_are_named(documents: SqliteDocuments, values: Any) -> None:
    audit = audited(documents, [1.0, 2.0], values, [3.0, 4.0])
    rows = tabular_rows(audit, tabular(), "heart-v1")
    assert rows.x.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert list(rows.problems) == ["p1"]
