"""The null on real candles: the sample that ships, four symbols, two years to learn from and one to judge."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from tests.benchmarks.drift_data import FEATURES, Table, read_candles
from tests.benchmarks.drift_rules import BH_KS, alarms
from tests.benchmarks.drift_study import Ground, found

SAMPLE = Path(__file__).parents[2] / "infra" / "local" / "data" / "public_domain_5_symbols_daily.parquet"


@functools.cache
def ground() -> Ground:
    return Ground.of("sample", read_candles(SAMPLE), "2005-06-01", "2010-01-01", "2011-01-01")


def share_that_alarms(sessions: int, shift: float = 0.0) -> float:
    rows = ground()
    by = np.zeros(len(FEATURES.names), np.float32)
    column = FEATURES.names.index("close_to_average_20")
    by[column] = shift * rows.reference.x[:, column].std()
    windows = list(rows.windows(sessions, 20))
    return float(np.mean([found(rows.profile, Table(w.x + by, w.stamp, w.symbol)) for w in windows]))


def test_quiet_windows_seldom_alarm_and_the_textbook_rule_always_does() -> None:
    """At 5 %, 5 of 20 windows come once in 300 times; a null made for rows alarms on them all."""
    assert share_that_alarms(1) <= 0.2
    assert share_that_alarms(5) <= 0.2
    textbook = [alarms(ground().reference.x, w.x)[BH_KS] for w in ground().windows(5, 4)]
    assert np.mean(textbook) >= 0.9


def test_a_feature_that_moved_alone_is_found() -> None:
    assert share_that_alarms(5, shift=1.0) >= 0.9
    assert share_that_alarms(20, shift=0.5) >= 0.9
