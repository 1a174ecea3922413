from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from shared.access.identity import Caller
from shared.config import load_settings
from shared.errors import (
    Conflict,
    EngineError,
    NotEnoughCandles,
    PackageRefused,
    PlatformUnavailable,
    UpstreamUnavailable,
)
from shared.features import feature_set
from shared.instance import Instance
from shared.market.candles import Candles
from shared.market.source import CandleSource, Served
from shared.market.symbols import SYMBOL_PATTERN
from shared.monitoring.warehouse import TABLE, row_of
from shared.platform.connect import connect
from shared.platform.ports import Event
from shared.registry import Package, Scorer, build_examples
from shared.registry.package import PROFILE
from shared.serving import MarketPredictor, Publisher, SymbolPrediction
from shared.serving.market import MAX_ROWS
from shared.serving.publisher import TOPIC
from tests.market.made import candles, checked
from tests.packages import FEATURES, last_row, market_package, registered

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALLER = Caller("admin", "predict", "r1", TRACE)

T = TypeVar("T")


class Durable:
    """Makes events durable when it is let to, and fails when told to."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()
        self.asked = threading.Event()
        self.is_down = False
        self.kept: list[Event] = []

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        assert topic == TOPIC
        self.asked.set()
        assert self.let.wait(10)
        if self.is_down:
            raise PlatformUnavailable("the disk is full")
        self.kept += events


class Setting:
    """A predictor on stored candles: its upstream is away."""

    def __init__(self, home: Path, **options: Any) -> None:
        options = {"market_data_url": "http://127.0.0.1:9", "upstream_attempts": 1, **options}
        chosen = load_settings(mlengine_home=home, market_calendar="24/7", **options)
        self.instance = Instance(chosen, connect(chosen))
        self.events = Durable()
        numbers = count(1)
        self.predictor = MarketPredictor(
            self.instance.models,
            self.instance.candles,
            Publisher(self.events, TOPIC),
            no_trade_band=0.0,
            now=lambda: NOW,
            new_id=lambda: f"p{next(numbers)}",
        )
        self._runner = asyncio.Runner()

    def keep(self, *series: Candles) -> None:
        for one in series:
            self.instance.candle_store.ingest(one.symbol, one.timeframe, checked(one))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def predict(self, symbol: str = "ABC", **options: Any) -> SymbolPrediction:
        return self.run(self.predictor.predict(symbol, CALLER, **options))


@pytest.fixture
def setting(home: Path) -> Setting:
    made = Setting(home)
    made.keep(candles(200))
    return made


def test_what_is_answered_is_durable_with_all_it_was_made_of(setting: Setting) -> None:
    prediction = setting.predict()
    (event,) = setting.events.kept
    assert (event.id, event.type, event.source, event.time) == ("p1", TOPIC, "//mlengine/predict", NOW)
    assert event.attributes == {"traceparent": TRACE}
    answered = prediction.model_dump()
    assert {name: event.data[name] for name in answered} == answered
    rest = {name: value for name, value in event.data.items() if name not in answered}
    assert json.loads(rest.pop("features")) == FEATURES.latest(candles(200)).tolist()
    assert rest == {
        "made_at": NOW.isoformat(),
        "model_name": "market-signal",
        "package_hash": market_package().hash,
        "threshold": 0.5,
        "no_trade_band": 0.0,
        "problem": "market_signal",
        "kind": "market",
        "caller": "admin",
        "function": "predict",
        "trace_id": TRACE[3:35],
    }


def test_nothing_is_answered_before_it_is_durable(setting: Setting) -> None:
    setting.events.let.clear()

    async def scenario() -> None:
        waiting = asyncio.create_task(setting.predictor.predict("ABC", CALLER))
        assert await asyncio.to_thread(setting.events.asked.wait, 10)
        assert not waiting.done()
        assert setting.events.kept == []
        setting.events.let.set()
        assert (await waiting).prediction_id == setting.events.kept[0].id

    setting.run(scenario())


def test_nothing_is_answered_that_could_not_be_made_durable(setting: Setting) -> None:
    setting.events.is_down = True
    with pytest.raises(PlatformUnavailable):
        setting.predict()
    setting.events.is_down = False
    assert setting.predict().prediction_id == "p2"
    assert [event.id for event in setting.events.kept] == ["p2"]


def test_of_a_batch_nothing_is_answered_that_could_not_be_made_durable(setting: Setting) -> None:
    setting.events.is_down = True
    (entry,) = setting.run(setting.predictor.predict_batch(["ABC"], CALLER))
    assert isinstance(entry.outcome, PlatformUnavailable)


def test_a_value_that_is_no_number_is_null_in_the_audit(setting: Setting) -> None:
    setting.keep(candles(200, symbol="FLAT", volume=[500.0] * 200))
    setting.predict("FLAT")
    (event,) = setting.events.kept
    features = json.loads(event.data["features"])
    assert features[FEATURES.names.index("volume_z_20")] is None
    assert features.count(None) == 1
    json.dumps(event.data, allow_nan=False)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(1, 10**6), still=st.integers(0, 25), length=st.integers(159, 220))
def test_the_stored_features_give_the_stored_probability_bit_for_bit(
    setting: Setting, seed: int, still: int, length: int
) -> None:
    """Also where the volume stood still for a while, which leaves a value that is no number."""
    volume = candles(length, seed=seed).volume.copy()
    volume[length - still :] = 500.0
    made = candles(length, seed=seed, volume=volume)
    with serving(setting, made) as predictor:
        answered = setting.run(predictor.predict("ABC", CALLER))
    event = setting.events.kept[-1]
    stored = np.array([json.loads(event.data["features"])], np.float64).astype(np.float32)
    assert np.array_equal(stored, last_row(made), equal_nan=True)
    package = setting.instance.registry.open_package(event.data["model_id"])
    assert float(package.verified_scorer().score(stored)[0, 1]) == event.data["probability"]
    assert answered.probability == event.data["probability"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    symbol=st.from_regex(SYMBOL_PATTERN, fullmatch=True),
    name=st.text(max_size=40),
    seed=st.integers(1, 10**6),
    still=st.integers(0, 25),
)
def test_each_member_of_a_record_has_a_column_of_the_warehouse_that_takes_it(
    setting: Setting, symbol: str, name: str, seed: int, still: int
) -> None:
    """Column by column, also with values that are no number, odd symbols and odd callers."""
    volume = candles(200, seed=seed).volume.copy()
    volume[200 - still :] = 500.0
    caller = Caller(name, "predict", "r1", TRACE if seed % 2 else "")
    with serving(setting, candles(200, seed=seed, symbol=symbol, volume=volume)) as predictor:
        setting.run(predictor.predict(symbol, caller))
    data = setting.events.kept[-1].data
    assert set(data) == {column.name for column in TABLE.columns} - {"label", "probabilities"}
    row = row_of(data)
    times = {column.name for column in TABLE.columns if column.type == "TIMESTAMP"}
    assert {n: row[n] for n in data if n not in times} == {n: data[n] for n in data if n not in times}
    assert all(row[n] == datetime.fromisoformat(data[n]) for n in times)
    told = [column for column in TABLE.columns if column.name in data]
    assert all(_TYPES[column.type] is type(data[column.name]) for column in told)


_TYPES = {"STRING": str, "FLOAT": float, "INTEGER": int, "BOOLEAN": bool, "TIMESTAMP": str}


class Only(CandleSource):
    """Has one series, whatever is asked for."""

    def __init__(self, series: Candles) -> None:
        self._series = series

    def cached(self, symbol: str, needed: int) -> Served | None:
        return Served(self._series, stale=False, breaks=())


@contextmanager
def serving(setting: Setting, series: Candles) -> Iterator[MarketPredictor]:
    """A predictor that has these candles in memory."""
    yield MarketPredictor(
        setting.instance.models,
        Only(series),
        Publisher(setting.events, TOPIC),
        no_trade_band=0.0,
        now=lambda: NOW,
        new_id=setting.instance.platform.new_id,
    )


def test_in_a_batch_each_symbol_fails_alone_and_keeps_its_place(setting: Setting) -> None:
    setting.keep(candles(60, symbol="NEW"), candles(200, seed=1, symbol="ABD"))
    symbols = ["NEW", "ABC", "GONE", "ABD", "ABC"]
    entries = setting.run(setting.predictor.predict_batch(symbols, CALLER))
    assert [entry.symbol for entry in entries] == symbols
    kinds = [type(entry.outcome) for entry in entries]
    assert kinds == [
        UpstreamUnavailable,
        SymbolPrediction,
        UpstreamUnavailable,
        SymbolPrediction,
        SymbolPrediction,
    ]
    answered = {e.outcome.prediction_id for e in entries if isinstance(e.outcome, SymbolPrediction)}
    assert {event.id for event in setting.events.kept} == answered


def test_too_few_candles_say_how_many_are_needed(setting: Setting) -> None:
    series = candles(200, seed=5, symbol="SPLIT")
    halved = {name: getattr(series, name).copy() for name in ("open", "high", "low", "close")}
    for column in halved.values():
        column[150:] /= 4
    setting.keep(candles(200, seed=5, symbol="SPLIT", **halved))
    with pytest.raises(NotEnoughCandles, match=r"50 closed 1d candles since .* 159 are needed"):
        setting.predict("SPLIT")


def test_a_model_of_another_timeframe_is_not_asked(home: Path) -> None:
    setting = Setting(home, timeframe="1h")
    setting.keep(candles(200, timeframe="1h", step_seconds=3_600))
    with pytest.raises(Conflict, match=r"trained on 1d candles, TIMEFRAME is 1h"):
        setting.predict()
    assert setting.events.kept == []


def test_two_models_at_once_give_each_its_own_answer(setting: Setting) -> None:
    names = ["market-signal-v1", "market-signal-v2"] * 3
    found = [setting.predict(model=name).probability for name in names]
    scores = [market_package(i).verified_scorer().score(last_row(candles(200)))[0, 1] for i in (0, 1)]
    assert found == [float(score) for score in scores] * 3


def test_models_of_different_features_at_once_give_each_its_own_answer(setting: Setting) -> None:
    core = feature_set("core")
    version = registered(setting.instance.registry, features=core)
    scorer = market_package(features=core).verified_scorer()
    expected = float(scorer.score(last_row(candles(200), core))[0, 1])
    technical = setting.predict().probability
    for _ in range(2):
        found = setting.predict(model=version.id)
        assert (found.probability, found.feature_set_hash) == (expected, core.hash)
        assert setting.predict().probability == technical != expected


def silent_for(row: NDArray[np.float32]) -> Package:
    """A model that gives no number for this row."""
    nodes = [
        helper.make_node("Sub", ["input", "row"], ["apart"]),
        helper.make_node("ReduceL2", ["apart"], ["distance"], axes=[1]),
        helper.make_node("Log", ["distance"], ["logarithm"]),
        helper.make_node("Concat", ["logarithm", "logarithm"], ["both"], axis=1),
        helper.make_node("Softmax", ["both"], ["probabilities"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("input", row.shape[1]), ("probabilities", 2))
    ]
    graph = helper.make_graph(nodes, "silent", ports[:1], ports[1:], [numpy_helper.from_array(row, "row")])
    onnx = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model, made = onnx.SerializeToString(), market_package()
    rows = np.arange(100, dtype=np.float32)[:, np.newaxis] + np.zeros_like(row)
    return Package.build(
        made.manifest.model_copy(update={"files": {}}),
        model=model,
        examples=build_examples(Scorer(model), rows),
        profile=made.file(PROFILE),
        report=b"",
    )


def test_what_is_no_number_is_no_signal(setting: Setting) -> None:
    package = silent_for(last_row(candles(200)))
    version = setting.instance.registry.register(package, created_by="test")
    with pytest.raises(PackageRefused, match=rf"{version.id} gives \[nan, nan\]"):
        setting.predict(model=version.id)
    assert setting.events.kept == []


def test_the_rows_in_memory_are_bounded(setting: Setting) -> None:
    symbols = [f"S{i}" for i in range(MAX_ROWS + 10)]
    with serving(setting, candles(200)) as predictor:
        setting.run(predictor.predict_batch(symbols, CALLER))
        assert len(predictor._rows) == MAX_ROWS
    assert len(setting.events.kept) == len(symbols)


def test_a_foreseen_error_is_never_an_unforeseen_one(setting: Setting) -> None:
    for symbol in ("", "a b", "A" * 5_000, "\x00", "ABC\n"):
        with pytest.raises(EngineError):
            setting.predict(symbol)
