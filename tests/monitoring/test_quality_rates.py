"""When findings have become more frequent than their past explains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.market.calendar import calendar_named
from shared.market.candles import rfc3339
from shared.market.findings import Kind
from shared.monitoring.quality.rates import BASELINE, FLOOR, RECENT, SESSIONS, Rate, rate_of
from tests.market.defects import PANEL, judged

DATA = Path("../shared/data/market")
OUTBREAKS = {
    Kind.OPEN_CLOSE_OUTSIDE_RANGE: ["2016-09-06"],
    Kind.BAD_PRINT: ["2014-10-31", "2017-09-15", "2017-11-16"],
    Kind.STALE_REPEAT: ["2014-07-18", "2014-08-04", "2014-11-05", "2017-08-04", "2017-08-29"],
}
"""The first session of each, on the development panel: all are among its known defects, or copies."""


def rated(baseline: list[int], recent: list[int]) -> Rate:
    rate = rate_of([*baseline, *recent])
    assert rate is not None
    return rate


@pytest.mark.parametrize("count", [0, SESSIONS - 1])
def test_a_short_past_says_nothing(count: int) -> None:
    assert rate_of([0] * count) is None


@pytest.mark.parametrize(("recent", "has_risen"), [(FLOOR - 1, False), (FLOOR, True)])
def test_where_nothing_was_ever_found_a_few_are_no_rise(recent: int, has_risen: bool) -> None:
    assert rated([0] * BASELINE, [0, 0, 0, 0, recent]).has_risen is has_risen


def test_what_is_usual_is_no_rise() -> None:
    rate = rated([2] * BASELINE, [2] * RECENT)
    assert not rate.has_risen
    assert not rate.is_near
    assert rate.expected == pytest.approx(10, abs=0.1)


def test_five_times_the_usual_is_one() -> None:
    assert rated([2] * BASELINE, [10] * RECENT).has_risen


def test_where_findings_come_in_clusters_more_is_borne() -> None:
    even, clustered = [2] * BASELINE, [0, 0, 0, 0, 0, 4, 4, 4, 4, 4] * (BASELINE // 10)
    assert rated(clustered, [0] * RECENT).limit > rated(even, [0] * RECENT).limit


def test_one_outbreak_does_not_hide_the_next() -> None:
    quiet = [0] * BASELINE
    outbreak = [*quiet[:30], 17, *quiet[31:]]
    assert rated(outbreak, [11, 0, 0, 0, 0]).has_risen


def test_half_way_to_the_limit_it_neither_begins_nor_ends() -> None:
    near = rated([0] * BASELINE, [FLOOR // 2 + 1, 0, 0, 0, 0])
    assert (near.is_near, near.has_risen) == (True, False)


@given(st.lists(st.integers(0, 50), min_size=BASELINE, max_size=BASELINE), st.integers(0, 10_000))
def test_more_findings_never_look_better(baseline: list[int], count: int) -> None:
    less, more = rated(baseline, [count, 0, 0, 0, 0]), rated(baseline, [count + 1, 0, 0, 0, 0])
    assert less.limit == more.limit
    assert less.has_risen <= more.has_risen
    assert less.limit >= FLOOR
    assert less.limit >= 2 * less.expected


@pytest.mark.parametrize(("mean", "most"), [(0.02, 0.0005), (0.3, 0.0005), (4.0, 0.001), (60.0, 0.001)])
def test_findings_that_come_evenly_hardly_ever_alarm(mean: float, most: float) -> None:
    counts = np.random.default_rng(1).poisson(mean, (4_000, SESSIONS))
    assert np.mean([rated(row[:BASELINE], row[BASELINE:]).has_risen for row in counts.tolist()]) <= most


def test_the_outbreaks_of_the_panel_are_found_and_nothing_else() -> None:
    if not DATA.is_dir():
        pytest.skip("the real candles for development (../shared/data/market) aren't here")
    sessions, counts = counted(DATA)
    for kind in (kind for kind in counts if kind is not Kind.STEP_CHANGE):
        alarms = [
            rfc3339(int(sessions[end - 1]))[:10]
            for end in range(SESSIONS, len(sessions) + 1)
            if rated(
                counts[kind][: end - RECENT].tolist()[-BASELINE:], counts[kind][end - RECENT : end].tolist()
            ).has_risen
        ]
        assert begun(alarms) == OUTBREAKS.get(kind, []), kind


def counted(folder: Path) -> tuple[np.ndarray, dict[Kind, np.ndarray]]:
    """The sessions of the panel, and how many findings of each kind each has."""
    panel = judged(folder, PANEL)
    first = min(int(raw.timestamp.min()) for raw, _ in panel)
    last = max(int(raw.timestamp.max()) for raw, _ in panel)
    sessions = calendar_named("XNYS").sessions_between(first, last)
    counts: dict[Kind, np.ndarray] = {}
    for _, result in panel:
        for finding in result.findings:
            of_kind = counts.setdefault(finding.kind, np.zeros(len(sessions), np.int64))
            np.add.at(of_kind, np.searchsorted(sessions, finding.timestamp), 1)
    return sessions, counts


def begun(alarms: list[str]) -> list[str]:
    """The first of each run of alarms with at most ten days in between."""
    days = np.array(alarms, "datetime64[D]")
    is_first = np.r_[True, np.diff(days) > np.timedelta64(10, "D")] if len(days) else np.empty(0, bool)
    return [alarm for alarm, first in zip(alarms, is_first, strict=True) if first]
