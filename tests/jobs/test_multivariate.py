"""Drift of all features together."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.drift import Verdict
from shared.jobs.multivariate import MultivariateDrift, multivariate_drift

SESSIONS, SYMBOLS = 200, 20
NAMES = ("a", "b", "a_and_b", "noise", "weekday", "constant")


def rows(seed: int, sessions: int = SESSIONS) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Columns with a common movement that goes on from session to session; the third is made of two others,
    the fifth is the same for all rows of a session.
    """
    rng = np.random.default_rng(seed)
    common = np.zeros((sessions, 2))
    for day in range(1, sessions):
        common[day] = 0.9 * common[day - 1] + 0.4 * rng.normal(size=2)
    days = np.repeat(np.arange(sessions), SYMBOLS)
    a, b = (common[days, i] + rng.normal(size=len(days)) for i in (0, 1))
    both = a + b + 0.2 * rng.normal(size=len(days))
    columns = (a, b, both, rng.normal(size=len(days)), days % 5, np.full(len(days), 7.0))
    return np.column_stack(columns).astype(np.float32), 86_400 * days.astype(np.int64)


def judge(current: NDArray[np.float32], stamps: NDArray[np.int64] | None, seed: int = 0) -> MultivariateDrift:
    reference, sessions = rows(0)
    known = None if stamps is None else sessions
    return multivariate_drift(reference, current, known, stamps, NAMES, rng=np.random.default_rng(seed))


def test_quiet_windows_rarely_alarm() -> None:
    later, stamps = rows(1)
    found = [judge(later[stamps // 86_400 // 5 == n], stamps[stamps // 86_400 // 5 == n]) for n in range(40)]
    alarms = sum(one.verdict is Verdict.DRIFT for one in found)
    assert alarms <= 6
    assert {one.null_windows for one in found} == {196}


@pytest.mark.parametrize("sessions", [1, 5, 20])
def test_a_broken_relation_is_found_though_no_column_has_moved(sessions: int) -> None:
    later, stamps = rows(1, sessions)
    shuffled = later.copy()
    shuffled[:, 2] = shuffled[np.random.default_rng(0).permutation(len(later)), 2]
    found = judge(shuffled, stamps)
    assert found.verdict is Verdict.DRIFT
    assert found.columns[0].name in ("a", "b", "a_and_b")
    assert found.columns[0].energy_ratio > 2
    assert found.statistic is not None
    assert found.threshold is not None
    assert found.p_value is not None
    assert found.statistic > found.threshold
    assert found.p_value < 0.02
    assert judge(later, stamps).verdict is Verdict.OK


def test_columns_that_only_say_which_day_it_is_are_left_out() -> None:
    later, stamps = rows(1, 5)
    later[:, 4], later[:, 5] = 99.0, -99.0
    found = judge(later, stamps)
    assert {column.name for column in found.columns} == {"a", "b", "a_and_b", "noise"}


def test_rows_without_sessions_are_judged_by_random_rows() -> None:
    later, _ = rows(1, 12)
    found = judge(later, None)
    assert found.null_windows == 200
    broken = later.copy()
    broken[:, 2] = broken[::-1, 2]
    assert judge(broken, None).verdict is Verdict.DRIFT
    assert judge(later[:199], None).verdict is Verdict.INSUFFICIENT_DATA


@pytest.mark.parametrize(
    ("sessions", "why"),
    [
        (0, "At least 20 rows are needed; there are 0."),
        (26, "A window of 26 sessions needs a reference of 208"),
    ],
)
def test_where_there_is_no_null_nothing_is_said(sessions: int, why: str) -> None:
    found = judge(*rows(1, sessions))
    assert found.verdict is Verdict.INSUFFICIENT_DATA
    assert found.why.startswith(why)
    assert (found.statistic, found.columns) == (None, ())


def test_one_column_has_no_relation() -> None:
    x, stamps = rows(0)
    found = multivariate_drift(
        x[:, 4:], x[:200, 4:], stamps, stamps[:200], NAMES[4:], rng=np.random.default_rng(0)
    )
    assert found.verdict is Verdict.INSUFFICIENT_DATA
    assert "At least 2 columns" in found.why


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_whatever_the_values_the_answer_is_json(data: Any) -> None:
    later, stamps = rows(1, 3)
    strange = st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0])
    for column in range(len(NAMES)):
        value = data.draw(st.one_of(st.none(), strange))
        if value is not None:
            later[:: data.draw(st.integers(1, 5)), column] = value
    found = judge(later, stamps)
    json.dumps(found.json(), allow_nan=False)
    assert found.verdict is not Verdict.INSUFFICIENT_DATA


def test_the_same_rows_give_the_same_answer_in_any_order() -> None:
    later, stamps = rows(1, 5)
    order = np.random.default_rng(0).permutation(len(later))
    one, other = judge(later, stamps), judge(later[order], stamps[order])
    assert one.statistic == pytest.approx(other.statistic)
    assert one.threshold == other.threshold
