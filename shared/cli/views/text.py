"""Numbers, times and small plots as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

BARS: Final = "▁▂▃▄▅▆▇█"
NOTHING: Final = "-"

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def when(stamp: str | None) -> str:
    """A time as people write it, in UTC: a candle's date alone where it is midnight."""
    if stamp is None:
        return NOTHING
    time = datetime.fromisoformat(stamp).astimezone(UTC)
    is_midnight = (time.hour, time.minute, time.second) == (0, 0, 0)
    return f"{time:%Y-%m-%d}" if is_midnight else f"{time:%Y-%m-%d %H:%M:%S}"


def to_the_minute(stamp: str) -> str:
    """A time where room is scarce, in UTC."""
    return f"{datetime.fromisoformat(stamp).astimezone(UTC):%Y-%m-%d %H:%M}"


def span(seconds: float | None) -> str:
    """A duration in its one or two largest units."""
    if seconds is None:
        return NOTHING
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"
    return f"{int(seconds // _DAY)} days"


def seconds_between(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def number(value: Any, digits: int = 4) -> str:
    """At most so many significant digits, without an exponent where there is room."""
    if value is None:
        return NOTHING
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e9):
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def counted(count: int, unit: str) -> str:
    """`1 session`, `1,000 rows`: `unit` is in the plural."""
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"


def sparkline(values: Sequence[float | None]) -> str:
    """One character per value, from the lowest to the highest; a space where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, high = min(known), max(known)
    step = (high - low) / (len(BARS) - 1) or 1.0
    middle = len(BARS) // 2 if low == high else 0
    return "".join(" " if v is None else BARS[middle + round((v - low) / step)] for v in values)


def interval_plot(low: float, value: float, high: float, bounds: tuple[float, float], width: int) -> str:
    """`  ├──●──┤ ` on an axis from the first to the second of `bounds`."""
    row = [" "] * width
    places = [place_on(x, bounds, width) for x in (low, value, high)]
    row[places[0] : places[2] + 1] = "─" * (places[2] + 1 - places[0])
    row[places[0]], row[places[2]], row[places[1]] = "├", "┤", "●"
    return "".join(row)


def place_on(x: float, bounds: tuple[float, float], width: int) -> int:
    """The column of `x` on an axis of `width` columns, the nearest one where it is outside."""
    share = (x - bounds[0]) / ((bounds[1] - bounds[0]) or 1.0)
    return round(min(1.0, max(0.0, share)) * (width - 1))
