"""What became of a market prediction, from the stored candles: the label that training would give it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.evaluation.labels import Labels, direction_labels
from shared.market.candles import Candles, Panel, rfc3339, seconds_since_1970, timeframe_seconds
from shared.market.splits import split_series
from shared.market.store import CandleStore, Stored
from shared.monitoring.unsettled import MarketCall

UP: Final = "up"
DOWN: Final = "down"


@dataclass(frozen=True, slots=True)
class Settlement:
    """The realised label. `forward_return` is over the horizon, `past_return` over as many candles before.

    `close` is that at `as_of`, `settled_close` that at `ends_at`, as they are stored now: on one price basis.
    """

    label: str
    forward_return: float
    past_return: float | None
    close: float
    settled_close: float
    ends_at: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why there is no label (yet), for people."""

    why: str


class MarketSettler:
    """Labels of predictions by stored candles. For the work of a moment: it keeps what it has read."""

    def __init__(self, store: CandleStore) -> None:
        self._store = store
        self._read: dict[str, Stored] = {}
        self._labelled: dict[tuple[str, int], _Labelled] = {}

    def settle(self, calls: Sequence[MarketCall]) -> list[Settlement | Waiting]:
        """The outcome of each, in order; all are of one series.

        Raises:
            CorruptBlob: a part of the stored candles is missing, or isn't what was written.
        """
        earliest = min(seconds_since_1970(call.as_of) for call in calls)
        stored = self._stored(calls[0], earliest, max(call.horizon for call in calls))
        if stored is None:
            return [Waiting(f"no {call.timeframe} candles of {call.symbol} are stored") for call in calls]
        return [self._of_horizon(stored, call).outcome(call) for call in calls]

    def _stored(self, call: MarketCall, earliest: int, horizon: int) -> Stored | None:
        """The last candles where these reach far enough back, or all of them."""
        found = self._read.get(call.series) or self._store.tail(call.symbol, call.timeframe)
        if found is None:
            return None
        if not _reaches(found, earliest, horizon):
            found = self._store.read(call.symbol, call.timeframe)
        if self._read.get(call.series) is not found:
            self._read[call.series] = found
            self._labelled = {key: one for key, one in self._labelled.items() if key[0] != call.series}
        return found

    def _of_horizon(self, stored: Stored, call: MarketCall) -> _Labelled:
        key = call.series, call.horizon
        if key not in self._labelled:
            self._labelled[key] = _Labelled.of(stored, call.horizon)
        return self._labelled[key]


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """Stored candles with the labels of one horizon."""

    candles: Candles
    labels: Labels
    horizon: int

    @staticmethod
    def of(stored: Stored, horizon: int) -> _Labelled:
        pieces = split_series(stored.candles, stored.breaks)
        return _Labelled(stored.candles, direction_labels(Panel.of(pieces), horizon), horizon)

    def outcome(self, call: MarketCall) -> Settlement | Waiting:
        stamps = self.candles.timestamp
        at = seconds_since_1970(call.as_of)
        row = int(np.searchsorted(stamps, at))
        if row == len(stamps) or stamps[row] != at:
            return Waiting(f"no candle of {call.symbol} is stored at {call.as_of}")
        if self.labels.y[row] < 0:
            return Waiting(self._why_unlabelled(call, row))
        past = float(self.labels.past_return[row])
        return Settlement(
            label=UP if self.labels.y[row] == 1 else DOWN,
            forward_return=float(self.labels.forward_return[row]),
            past_return=past if math.isfinite(past) else None,
            close=float(self.candles.close[row]),
            settled_close=float(self.candles.close[row + self.horizon]),
            ends_at=rfc3339(int(self.labels.ends_at[row])),
        )

    def _why_unlabelled(self, call: MarketCall, row: int) -> str:
        after = len(self.candles) - 1 - row
        if after < self.horizon:
            return f"{after} of the {self.horizon} candles of {call.symbol} after {call.as_of} are stored"
        return f"the prices of {call.symbol} changed their basis (a split) within the horizon"


def horizon_seconds(call: MarketCall) -> float:
    """How long the horizon takes by the calendar, weekends included."""
    return call.horizon * timeframe_seconds(call.timeframe) * 7 / 5


def _reaches(stored: Stored, earliest: int, horizon: int) -> bool:
    """Whether the candles hold the one at `earliest`, and the `horizon` before it for the past return."""
    return stored.is_whole or int(np.searchsorted(stored.candles.timestamp, earliest)) >= horizon
