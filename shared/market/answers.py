"""What the upstream may answer: strict schemas, read into columns. Errors name the place, not the body."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NotRequired

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from shared.errors import UpstreamInvalid
from shared.market.candles import COLUMNS, RawCandles, Seconds

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_YEAR = "(?:19|20|21)[0-9]{2}"
_DATE = re.compile(rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}")
_RFC3339 = re.compile(rf"{_DATE.pattern}[Tt ][0-9:]{{8}}(?:\.0+)?(?:[Zz]|[+-][0-9]{{2}}:[0-9]{{2}})")


@with_config(_STRICT)
class _Candle(TypedDict):
    timestamp: str
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None


@with_config(_STRICT)
class _Candles(TypedDict):
    symbol: NotRequired[str]
    timeframe: NotRequired[str]
    candles: list[_Candle]


@with_config(_STRICT)
class _Symbols(TypedDict):
    symbols: list[str]


@with_config(_STRICT)
class _Price(TypedDict):
    symbol: NotRequired[str]
    price: float
    timestamp: str


@dataclass(frozen=True, slots=True)
class Price:
    """The last trade known. `timestamp` in seconds since 1970, UTC."""

    symbol: str
    price: float
    timestamp: int


def read_symbols(body: bytes) -> list[str]:
    """`{"symbols": [...]}` or the bare list.

    Raises:
        UpstreamInvalid: it is something else.
    """
    if _is_list(body):
        bare: list[str] = _read(list[str], body)
        return bare
    symbols: list[str] = _read(_Symbols, body)["symbols"]
    return symbols


def read_candles(body: bytes, *, symbol: str, timeframe: str) -> RawCandles:
    """`{"symbol", "timeframe", "candles": [...]}` or the bare list of candles; null is a missing value.

    The stamp of a daily candle is the date as written in it, whatever time and zone stand behind.

    Raises:
        UpstreamInvalid: it is something else, or candles of another symbol or timeframe.
    """
    answer: _Candles = {"candles": _read(list[_Candle], body)} if _is_list(body) else _read(_Candles, body)
    _expect("symbol", symbol, answer.get("symbol", symbol))
    _expect("timeframe", timeframe, answer.get("timeframe", timeframe))
    rows = answer["candles"]
    read_stamps = _dates if timeframe.endswith("d") else _instants
    columns = (np.array([row[c] for row in rows], np.float64) for c in COLUMNS)  # type: ignore[literal-required]  # the five are keys of a candle
    return RawCandles(symbol, timeframe, read_stamps([row["timestamp"] for row in rows]), *columns)


def read_price(body: bytes, *, symbol: str) -> Price:
    """`{"symbol", "price", "timestamp"}`.

    Raises:
        UpstreamInvalid: it is something else, or no price.
    """
    answer: _Price = _read(_Price, body)
    _expect("symbol", symbol, answer.get("symbol", symbol))
    if answer["price"] <= 0:
        raise UpstreamInvalid(f"The upstream's price of {symbol} isn't positive; retrying won't help.")
    is_date = _DATE.fullmatch(answer["timestamp"])
    stamps = (_dates if is_date else _instants)([answer["timestamp"]])
    return Price(symbol, answer["price"], int(stamps[0]))


def _is_list(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


@functools.cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape, config=None if hasattr(shape, "__pydantic_config__") else _STRICT)


def _read(shape: Any, body: bytes) -> Any:
    try:
        return _adapter(shape).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = "/".join(str(part) for part in first["loc"]) or "the body"
        raise UpstreamInvalid(
            f"The upstream's answer doesn't fit: {place}: {first['msg']} "
            f"({error.error_count()} fault(s) in all). Retrying won't help."
        ) from None  # the cause quotes the body


def _expect(what: str, asked: str, answered: str) -> None:
    if answered != asked:
        raise UpstreamInvalid(
            f"Asked the upstream for {what} {asked!r}, it answered {answered[:40]!r}; retrying won't help."
        )


def _dates(texts: Sequence[str]) -> Seconds:
    for text in texts:
        if not (_DATE.fullmatch(text) or _RFC3339.fullmatch(text)):
            raise _no_stamp(text, "an ISO date")
    try:
        days = np.array([text[:10] for text in texts], "datetime64[D]")
    except ValueError:
        raise _no_stamp("", "an ISO date") from None
    return days.astype("datetime64[s]").astype(np.int64)


def _instants(texts: Sequence[str]) -> Seconds:
    return np.array([_instant(text) for text in texts], np.int64)


def _instant(text: str) -> int:
    try:
        if _RFC3339.fullmatch(text):
            return int(datetime.fromisoformat(text.upper()).astimezone(UTC).timestamp())
    except ValueError:
        pass
    raise _no_stamp(text, "RFC 3339 with an offset, in whole seconds")


def _no_stamp(text: str, expected: str) -> UpstreamInvalid:
    return UpstreamInvalid(
        f"A timestamp of the upstream should be {expected}; found {text[:40]!r}. Retrying won't help."
    )
