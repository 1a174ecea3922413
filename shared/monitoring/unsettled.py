"""Predictions whose outcome isn't known yet: a small document beside each, which goes when it is settled.

Light: the audit writes them, and needs neither numpy nor candles for it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from shared.platform.ports import Data, Event
from shared.platform.times import utc

COLLECTION: Final = "unsettled-predictions"

_TIMEFRAME = re.compile(r"[1-9][0-9]{0,5}[mhd]\Z")


@dataclass(frozen=True, slots=True)
class MarketCall:
    """What a market prediction is about: the close `horizon` candles after the one stamped `as_of`."""

    symbol: str
    timeframe: str
    as_of: str
    horizon: int

    @property
    def series(self) -> str:
        return series_of(self.timeframe, self.symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """What settling and measuring need of a prediction: it may be settled after the audit has let it go.

    With a `call` it is settled from candles; without, it is of a tabular problem, and settled by who knows
    the label. `probability` is that of the last class; `probabilities`, in the order of the classes, are
    there where the prediction told them. Times are RFC 3339 text in UTC.
    """

    prediction_id: str
    model_id: str
    model_name: str
    problem: str
    made_at: str
    signal: str | None
    probability: float
    probabilities: tuple[float, ...] | None
    call: MarketCall | None

    def to_data(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "probabilities": None if self.probabilities is None else list(self.probabilities),
            "series": None if self.call is None else self.call.series,
        }

    @staticmethod
    def from_data(data: Data) -> Unsettled:
        told, call = data["probabilities"], data["call"]
        fields: dict[str, Any] = {name: data[name] for name in Unsettled.__slots__}
        fields["probabilities"] = None if told is None else tuple(told)
        fields["call"] = None if call is None else MarketCall(**call)
        return Unsettled(**fields)


def series_of(timeframe: str, symbol: str) -> str:
    """The name of a symbol's candles: `1d:AAPL`."""
    return f"{timeframe}:{symbol}"


def unsettled_of(event: Event) -> Unsettled | None:
    """What is to be settled of the prediction that `event` tells of; None where it doesn't tell enough.

    The audit keeps what it is told, also by other versions; only what can be settled waits for it.
    """
    data = event.data
    chances = _probabilities(data)
    call = _call(data)
    if chances is None or not isinstance(data.get("model_id"), str) or (call is None and "symbol" in data):
        return None
    return Unsettled(
        prediction_id=event.id,
        model_id=data["model_id"],
        model_name=_text(data.get("model_name")),
        problem=_text(data.get("problem")),
        made_at=utc(event.time),
        signal=_text(data.get("signal")) or None,
        probability=chances[0],
        probabilities=chances[1],
        call=call,
    )


def _call(data: Data) -> MarketCall | None:
    symbol, timeframe = _text(data.get("symbol")), _text(data.get("timeframe"))
    horizon, as_of = data.get("horizon"), data.get("as_of")
    if not symbol or _TIMEFRAME.match(timeframe) is None or not isinstance(as_of, str) or not _is_time(as_of):
        return None
    if not isinstance(horizon, int) or isinstance(horizon, bool) or horizon < 1:
        return None
    return MarketCall(symbol, timeframe, as_of, horizon)


def _probabilities(data: Data) -> tuple[float, tuple[float, ...] | None] | None:
    """That of the last class, and all of them where they were told."""
    told = data.get("probabilities")
    if isinstance(told, list) and len(told) > 1 and all(map(_is_share, told)):
        return float(told[-1]), tuple(map(float, told))
    probability: Any = data.get("probability")
    return (float(probability), None) if _is_share(probability) else None


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
