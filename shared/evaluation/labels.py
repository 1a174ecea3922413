"""Labels from closed candles: where the close goes over the next candles of the same series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.market.candles import Panel


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Per candle of a panel. Without a label: `y` -1, `forward_return` NaN, `ends_at` the last int64.

    `y` is 1 where the close `horizon` candles later is higher, else 0 (unchanged counts as not up).
    `ends_at` is the stamp of that later candle. `past_return` is over the `horizon` candles before.
    """

    y: NDArray[np.int8]
    forward_return: NDArray[np.float64]
    past_return: NDArray[np.float64]
    ends_at: NDArray[np.int64]


def direction_labels(panel: Panel, horizon: int) -> Labels:
    """Labels of each series on its own: its last `horizon` candles have none, a break is never crossed."""
    rows = len(panel)
    series = np.repeat(np.arange(len(panel.starts) - 1), np.diff(panel.starts))
    here = np.flatnonzero(np.arange(rows) + horizon < panel.starts[series + 1])
    there = here + horizon
    change = panel.close[there] / panel.close[here] - 1.0
    forward, past = np.full(rows, np.nan), np.full(rows, np.nan)
    forward[here], past[there] = change, change
    y, ends_at = np.full(rows, -1, np.int8), np.full(rows, np.iinfo(np.int64).max)
    y[here], ends_at[here] = change > 0, panel.timestamp[there]
    return Labels(y, forward, past, ends_at)
