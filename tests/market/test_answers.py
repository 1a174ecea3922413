import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UpstreamInvalid
from shared.market.answers import read_candles, read_price, read_symbols
from shared.market.candles import RawCandles
from tests.market.made import MONDAY, as_answer, as_candles, raw, same

ROW = {"timestamp": "2020-01-06", "open": 1.0, "high": 2, "low": 1.0, "close": 1.5, "volume": 10}


def read(value: Any, timeframe: str = "1d") -> RawCandles:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_candles(body, symbol="ABC", timeframe=timeframe)


def test_answers_become_columns_bit_for_bit() -> None:
    source = raw(50)
    assert same(as_candles(read(as_answer(source))), as_candles(source))


def test_bare_lists_are_accepted() -> None:
    assert read([ROW]).timestamp.tolist() == [MONDAY]
    assert read([]).timestamp.tolist() == []
    assert read_symbols(b' ["A", "B"]') == ["A", "B"]
    assert read_symbols(b'{"symbols": ["A"], "count": 1}') == ["A"]


def test_null_is_a_missing_value() -> None:
    assert np.isnan(read([ROW | {"high": None}]).high).all()


@pytest.mark.parametrize(
    ("stamp", "timeframe"),
    [
        ("2020-01-06", "1d"),
        ("2020-01-06T21:00:00Z", "1d"),
        ("2020-01-06T23:30:00-05:00", "1d"),
        ("2020-01-06T00:00:00Z", "1h"),
        ("2020-01-06T01:00:00.000+01:00", "1h"),
        ("2020-01-05t19:00:00-05:00", "1h"),
    ],
)
def test_daily_stamps_are_the_date_written_others_the_instant(stamp: str, timeframe: str) -> None:
    assert read([ROW | {"timestamp": stamp}], timeframe).timestamp.tolist() == [MONDAY]


@pytest.mark.parametrize(
    ("stamp", "timeframe"),
    [
        ("2020-01-06", "1h"),
        ("2020-01-06T00:00:00", "1h"),
        ("2020-01-06T00:00:00.5Z", "1h"),
        ("2020-01-06T25:00:00Z", "1h"),
        ("2020-13-06", "1d"),
        ("2020-02-30", "1d"),
        ("0001-01-01", "1d"),
        ("20200106", "1d"),
        ("NaT", "1d"),
        ("1578268800", "1d"),
        ("", "1d"),
        (1578268800, "1d"),
        (None, "1d"),
    ],
)
def test_other_stamps_are_refused(stamp: Any, timeframe: str) -> None:
    with pytest.raises(UpstreamInvalid):
        read([ROW | {"timestamp": stamp}], timeframe)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Welcome</body></html>",
        b"null",
        b"{}",
        b"[1, 2]",
        b'{"candles": null}',
        b'{"candles": {}}',
        b'{"candles": [{}]}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        json.dumps([ROW]).encode().replace(b"1.5", b"NaN"),
        json.dumps([ROW]).encode().replace(b"1.5", b"Infinity"),
        json.dumps([ROW]).encode().replace(b"1.5", b"1e999"),
        json.dumps([ROW]).encode().replace(b"1.5", b"1" + b"0" * 400),
        json.dumps([ROW | {"close": "1.5"}]).encode(),
        json.dumps([ROW | {"close": True}]).encode(),
        json.dumps([{k: v for k, v in ROW.items() if k != "low"}]).encode(),
        json.dumps({"symbol": "XYZ", "candles": [ROW]}).encode(),
        json.dumps({"timeframe": "1h", "candles": [ROW]}).encode(),
        json.dumps({"symbol": 5, "candles": [ROW]}).encode(),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_candles_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        read(body)


def test_a_refusal_names_the_place_and_not_the_content() -> None:
    with pytest.raises(UpstreamInvalid) as refused:
        read({"candles": [ROW, ROW | {"open": "my-secret"}]})
    assert "candles/1/open" in refused.value.detail
    assert "my-secret" not in refused.value.detail
    assert refused.value.__cause__ is None


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for reader in (lambda: read(body), lambda: read_symbols(body), lambda: read_price(body, symbol="ABC")):
        with contextlib.suppress(UpstreamInvalid):
            reader()


def test_prices_are_read() -> None:
    price = read_price(b'{"symbol": "ABC", "price": 1.5, "timestamp": "2020-01-06T00:00:00Z"}', symbol="ABC")
    assert (price.symbol, price.price, price.timestamp) == ("ABC", 1.5, MONDAY)
    assert read_price(b'{"price": 2, "timestamp": "2020-01-06"}', symbol="ABC").timestamp == MONDAY


@pytest.mark.parametrize(
    "answer",
    [
        {"price": 0, "timestamp": "2020-01-06"},
        {"price": -1.0, "timestamp": "2020-01-06"},
        {"price": None, "timestamp": "2020-01-06"},
        {"price": 1.0},
        {"price": 1.0, "timestamp": "yesterday"},
        {"price": 1.0, "timestamp": "2020-01-06", "symbol": "XYZ"},
    ],
)
def test_what_is_no_price_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamInvalid):
        read_price(json.dumps(answer).encode(), symbol="ABC")
