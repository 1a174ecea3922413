"""What can be wrong with candles, and what is done about each: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.market.candles import Seconds, Values, rfc3339

EXAMPLES = 3


class Policy(StrEnum):
    """REJECT: the candle doesn't come out. FLAG: it does, with the finding. ACCEPT: nothing is wrong."""

    REJECT = "reject"
    FLAG = "flag"
    ACCEPT = "accept"


class Kind(StrEnum):
    """The names of findings. What an example's value means stands behind each."""

    MISSING_VALUE = "missing_value"  # how many of the five are missing
    NON_POSITIVE_PRICE = "non_positive_price"  # the lowest price
    HIGH_LOW_ORDER = "high_low_order"  # high / low - 1
    OPEN_CLOSE_OUTSIDE_RANGE = "open_close_outside_range"  # distance to the range / close
    OPEN_CLOSE_FAR_OUTSIDE_RANGE = "open_close_far_outside_range"  # the same
    NEGATIVE_VOLUME = "negative_volume"  # the volume
    DUPLICATE_IDENTICAL = "duplicate_identical"  # the close
    DUPLICATE_CONFLICTING = "duplicate_conflicting"  # the close
    OUT_OF_ORDER = "out_of_order"  # seconds it stands before its predecessor
    FUTURE_TIMESTAMP = "future_timestamp"  # seconds ahead of now
    UNCLOSED_CANDLE = "unclosed_candle"  # seconds until it closes
    ZERO_VOLUME = "zero_volume"  # 0
    NO_VOLUME = "no_volume"  # 0
    GAP = "gap"  # sessions missing before the candle
    OUTSIDE_SESSION = "outside_session"  # the close
    STEP_CHANGE = "step_change"  # the return
    SUSPECTED_SPLIT = "suspected_split"  # price after / price before
    BAD_PRINT = "bad_print"  # the return of the candle before, which this one takes back
    STALE_REPEAT = "stale_repeat"  # how many candles ago the same one stood
    HISTORY_CHANGED = "history_changed"  # the close


POLICIES: Mapping[Kind, Policy] = MappingProxyType(
    {
        # A candle that is incomplete or can't have happened says nothing: no value in it is trusted.
        Kind.MISSING_VALUE: Policy.REJECT,
        Kind.NON_POSITIVE_PRICE: Policy.REJECT,
        Kind.HIGH_LOW_ORDER: Policy.REJECT,
        Kind.NEGATIVE_VOLUME: Policy.REJECT,
        # Upstreams adjust close and open/high/low by different factors around dividends and spin-offs. Up to
        # a few percent the close still is the session's close, and dropping it would tear holes into every
        # window after it; further off, nobody can say which of the four is right.
        Kind.OPEN_CLOSE_OUTSIDE_RANGE: Policy.FLAG,
        Kind.OPEN_CLOSE_FAR_OUTSIDE_RANGE: Policy.REJECT,
        # Of identical copies the first stays. Of conflicting ones nobody knows which is right: none stays.
        Kind.DUPLICATE_IDENTICAL: Policy.REJECT,
        Kind.DUPLICATE_CONFLICTING: Policy.REJECT,
        Kind.OUT_OF_ORDER: Policy.FLAG,  # the candle is good; it is sorted into its place
        # What isn't over will change, and what is stamped ahead would be a look into the future.
        Kind.FUTURE_TIMESTAMP: Policy.REJECT,
        Kind.UNCLOSED_CANDLE: Policy.REJECT,
        # Strange, but real candles look so: halts, quiet hours, crashes, half-filled histories.
        Kind.ZERO_VOLUME: Policy.FLAG,
        Kind.NO_VOLUME: Policy.ACCEPT,  # an index or a currency pair has none
        Kind.GAP: Policy.FLAG,
        Kind.OUTSIDE_SESSION: Policy.FLAG,
        Kind.STEP_CHANGE: Policy.FLAG,
        Kind.BAD_PRINT: Policy.FLAG,
        Kind.STALE_REPEAT: Policy.FLAG,
        Kind.SUSPECTED_SPLIT: Policy.FLAG,  # and a new series starts here
        Kind.HISTORY_CHANGED: Policy.FLAG,  # and the stored history was replaced
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One kind of fault in one answer: at which candles, and how bad (`Kind` says what `values` mean)."""

    kind: Kind
    timestamp: Seconds
    values: Values

    @property
    def policy(self) -> Policy:
        return POLICIES[self.kind]

    @property
    def count(self) -> int:
        return len(self.timestamp)

    def summary(self) -> dict[str, Any]:
        """For people and JSON: name, policy, count, first, last and the worst few examples."""
        values = np.nan_to_num(self.values)  # what is beyond a float isn't JSON either
        worst = np.argsort(-np.abs(values), kind="stable")[:EXAMPLES]
        return {
            "name": self.kind.value,
            "policy": self.policy.value,
            "count": self.count,
            "first": rfc3339(int(self.timestamp.min())),
            "last": rfc3339(int(self.timestamp.max())),
            "examples": [
                {"timestamp": rfc3339(int(self.timestamp[i])), "value": float(values[i])} for i in worst
            ],
        }


def found(
    kind: Kind, rows: NDArray[np.bool_] | NDArray[np.int64], timestamp: Seconds, values: Any
) -> list[Finding]:
    """A finding at `rows`, or nothing where there are none. `values` is a column or one number for all."""
    if not len(rows) or (rows.dtype == np.bool_ and not rows.any()):
        return []
    measured = np.broadcast_to(np.asarray(values, np.float64), timestamp.shape)[rows]
    return [Finding(kind, timestamp[rows], measured)]
