"""What an upstream may answer instead of candles."""

from __future__ import annotations

import json
from typing import Any

from tests.market.made import as_answer, candles


def changed(**values: Any) -> bytes:
    """An answer whose candles all have these values."""
    answer = as_answer(candles(200))
    answer["candles"] = [{**row, **values} for row in answer["candles"]]
    return json.dumps(answer).encode()


ANSWER = as_answer(candles(200))

GARBAGE: dict[str, bytes] = {
    "html": b"<!doctype html><title>Sign in</title>",
    "nothing": b"",
    "10 MB of nothing": b" " * 10_000_000,
    "a number": b"17",
    "another schema": b'{"data": [{"t": 1, "c": 2.0}]}',
    "candles of another shape": b'{"candles": [{"timestamp": "2020-01-06", "close": 1.0}]}',
    "candles of another symbol": json.dumps({**ANSWER, "symbol": "XYZ"}).encode(),
    "candles of another timeframe": json.dumps({**ANSWER, "timeframe": "1h"}).encode(),
    "half an answer": json.dumps(ANSWER).encode()[:5_000],
    "not UTF-8": b'{"symbol": "\xff\xfe"}',
    "deep nesting": b"[" * 100_000,
    "NaN": changed(close=float("nan")),
    "infinity": changed(high=float("inf")),
    "numbers beyond a float": json.dumps(ANSWER).replace('"volume": ', '"volume": 1e999').encode(),
    "missing prices": changed(close=None),
    "text for a price": changed(close="100"),
    "negative prices": changed(close=-1.0),
    "zeros": changed(open=0.0, high=0.0, low=0.0, close=0.0),
    "crossed prices": changed(high=1.0, low=2.0),
    "no dates": changed(timestamp="yesterday"),
    "the year 9999": changed(timestamp="9999-12-31"),
    "all at once": changed(timestamp="2020-01-06"),
}
"""None of these may reach a feature."""
