from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.drift import CurrentWindow, DriftResult, Profile, Verdict, build_profile, check_drift
from shared.errors import InvalidInput

NAMES = ("a", "b", "c", "d", "e")
SYMBOLS = 20
CLASSES = ("down", "up")

Rows = NDArray[np.float32]


def made(sessions: int, seed: int, width: int = SYMBOLS) -> tuple[Rows, NDArray[np.int64]]:
    """Five features that share much of their movement by session, and stay what they are for days."""
    rng = np.random.default_rng(seed)
    market = np.zeros(sessions)
    for i, step in enumerate(rng.normal(size=sessions)):
        market[i] = 0.8 * market[i - 1] + step if i else step
    stamp = np.repeat(np.arange(sessions), width)
    own = 0.5 * rng.normal(size=(len(stamp), len(NAMES)))
    x = market[stamp, np.newaxis] + own + 0.3 * own[:, :1]
    return x.astype(np.float32), stamp * 86_400


@functools.cache
def in_time() -> Profile:
    x, stamp = made(400, seed=0)
    scores = np.random.default_rng(9).random(len(x))
    return build_profile(
        x, NAMES, scores, CLASSES, np.zeros(len(x), int), sessions=stamp, score_sessions=stamp
    )


@functools.cache
def rows_alone() -> Profile:
    """Three numbers and two codes, without time order."""
    x = tabular(2_000, seed=0)
    return build_profile(x, NAMES, x[:, 0], CLASSES, (x[:, 1] > 0).astype(int), categorical=("d", "e"))


def tabular(rows: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (rows, 2))
    return np.column_stack([rng.normal(size=(rows, 3)), codes]).astype(np.float32)


def window(length: int, seed: int = 1, **changes: Any) -> CurrentWindow:
    x, stamp = made(length, seed)
    return replace(CurrentWindow(x, sessions=stamp), **changes)


def family(result: DriftResult, name: str) -> Any:
    (found,) = (one for one in result.families if one.name == name)
    return found


def test_an_ordinary_window_is_ok() -> None:
    result = check_drift(in_time(), window(5))
    assert (result.verdict, result.sessions, result.rows, result.null) == (Verdict.OK, 5, 100, 5)
    assert not any(one.alarms for one in result.families)
    assert sum(one.level for one in result.families) == pytest.approx(0.05 * 0.95)  # but for the score's


@pytest.mark.parametrize("sessions", [1, 5, 20, 60])
def test_one_feature_alone_is_found_by_what_the_others_say(sessions: int) -> None:
    now = window(sessions)
    now.x[:, 2] += np.float32(1.0)
    result = check_drift(in_time(), now)
    assert result.verdict is Verdict.DRIFT
    assert family(result, "residual").features[0] == "c"
    first = result.features[0]
    assert (first.name, first.drifted, first.family) == ("c", True, "residual")
    assert first.excess is not None
    assert first.excess > 1
    assert "c" in result.why


def test_a_common_movement_within_the_usual_is_no_drift() -> None:
    """The whole market a deviation up: the features agree with one another."""
    now = window(1)
    now.x[:] += np.float32(1.67) - now.x.mean(dtype=np.float32)
    assert check_drift(in_time(), now).verdict is Verdict.OK


def test_a_stuck_feed_is_found() -> None:
    now = window(5)
    now.x[:, 1] = now.x[0, 1]
    result = check_drift(in_time(), now)
    assert family(result, "ties").features == ("b",)


def test_a_copied_symbol_is_found_and_zeros_are_no_copies() -> None:
    now = window(5)
    for start in range(0, 100, SYMBOLS):
        now.x[start] = now.x[start + 1]
    assert family(check_drift(in_time(), now), "copies").alarms
    zeros = window(5)
    zeros.x[::SYMBOLS] = zeros.x[1::SYMBOLS] = 0.0
    assert not family(check_drift(in_time(), zeros), "copies").alarms


def test_a_wild_value_is_found() -> None:
    now = window(5)
    now.x[7, 3] = 500.0
    assert family(check_drift(in_time(), now), "extremes").features == ("d",)


def test_gaps_are_found_and_don_t_spoil_the_rest() -> None:
    now = window(5)
    now.x[::4, 0], now.x[1::4, 1] = np.nan, np.inf
    result = check_drift(in_time(), now)
    assert set(family(result, "gaps").features) == {"a", "b"}
    assert not family(result, "marginal").alarms
    assert {one.name: (one.missing_share, one.infinite_share) for one in result.features}["b"] == (0.0, 0.25)
    json.dumps(result.json(), allow_nan=False)


def test_nothing_but_gaps_is_judged() -> None:
    now = window(5)
    now.x[:] = np.nan
    result = check_drift(in_time(), now)
    assert [one.name for one in result.families if one.alarms] == ["gaps"]
    assert {one.ks for one in result.features} == {None}
    json.dumps(result.json(), allow_nan=False)


def test_a_score_that_moved_is_found_while_the_features_are_ok() -> None:
    scores = np.full(100, 0.99)
    result = check_drift(in_time(), window(5, scores=scores))
    assert [one.name for one in result.families if one.alarms] == ["score"]
    assert result.score is not None
    assert result.score.drifted
    assert not any(one.drifted for one in result.features)


def test_labels_are_told_beside_the_reference_s() -> None:
    told = check_drift(rows_alone(), CurrentWindow(tabular(300, 1), y=np.ones(300, int))).classes
    assert told is not None
    assert told.psi is not None
    assert told.psi > 1


def test_a_small_effect_is_no_alarm_however_sure() -> None:
    now = window(60)
    now.x[:, 2] += np.float32(0.6)
    sure = check_drift(in_time(), now)
    assert family(sure, "residual").alarms
    assert not family(check_drift(in_time(), now, min_effect=3.0), "residual").alarms


def test_a_window_between_two_lengths_takes_the_shorter_null() -> None:
    result = check_drift(in_time(), window(30))
    assert (result.sessions, result.null) == (30, 20)


def test_a_lower_level_asks_for_more() -> None:
    usual, strict = (check_drift(in_time(), window(5), level=level) for level in (0.05, 0.001))
    for one, other in zip(usual.families, strict.families, strict=True):
        assert one.threshold is not None
        assert other.threshold is not None
        assert one.threshold <= other.threshold


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(random: Any) -> None:
    now = window(5, scores=np.linspace(0, 1, 100))
    order = random.sample(range(100), 100)
    assert now.sessions is not None
    assert now.scores is not None
    other = CurrentWindow(now.x[order], now.scores[order], now.sessions[order])
    one, same = check_drift(in_time(), now), check_drift(in_time(), other)
    assert same.verdict is one.verdict
    for a, b in zip(one.families, same.families, strict=True):
        assert a.statistic == pytest.approx(b.statistic, rel=1e-9)


def test_independent_rows_keep_the_level() -> None:
    """60 windows without drift: at 5 %, more than 9 alarms come once in 1,000 times."""
    profile = rows_alone()
    alarms = sum(
        check_drift(profile, CurrentWindow(tabular(400, 10 + seed)), min_effect=0.0).verdict is Verdict.DRIFT
        for seed in range(60)
    )
    assert alarms <= 9


@pytest.mark.parametrize(("column", "change"), [("a", 0.4), ("b", -0.4), ("d", 4.0), ("e", 1.0)])
def test_a_moved_column_of_independent_rows_is_found(column: str, change: float) -> None:
    x = tabular(400, 5)
    x[:200, NAMES.index(column)] += np.float32(2 * change)
    result = check_drift(rows_alone(), CurrentWindow(x))
    assert result.verdict is Verdict.DRIFT
    assert result.features[0].name == column
    assert (result.null, result.sessions) == (400, None)


def test_unseen_codes_and_missing_values_of_independent_rows_are_found() -> None:
    x = tabular(400, 6)
    x[:80, 3], x[:40, 0] = 9.0, np.nan
    result = check_drift(rows_alone(), CurrentWindow(x))
    by_name = {one.name: one for one in result.features}
    assert by_name["d"].drifted
    assert by_name["d"].unseen_share == pytest.approx(0.2)
    assert family(result, "gaps").features == ("a",)


def reason(profile: Profile, now: CurrentWindow) -> str:
    result = check_drift(profile, now)
    assert result.verdict is Verdict.INSUFFICIENT_DATA
    assert (result.families, result.null) == ((), None)
    json.dumps(result.json(), allow_nan=False)
    return result.why


def test_why_there_is_no_verdict() -> None:
    x, stamp = made(40, seed=3)
    short = build_profile(x, NAMES, np.zeros(0), CLASSES, np.zeros(len(x), int), sessions=stamp)
    old = json.loads(in_time().to_json()) | {"format_version": 1}
    assert "format 1" in reason(Profile.from_json(json.dumps(old).encode()), window(5))
    assert "40 sessions" in reason(short, window(5))
    assert "no rows" in reason(in_time(), CurrentWindow(x[:0], sessions=stamp[:0]))
    assert "session of each row" in reason(in_time(), CurrentWindow(x))
    assert "rows a session" in reason(in_time(), CurrentWindow(x[::5], sessions=stamp[::5]))
    assert "needs 200" in reason(rows_alone(), CurrentWindow(tabular(100, 1)))


@pytest.mark.parametrize(
    ("changes", "options", "named"),
    [
        ({"x": np.zeros((100, 4), np.float32)}, {}, "x"),
        ({"x": np.zeros(100, np.float32)}, {}, "x"),
        ({"scores": np.zeros(3)}, {}, "scores"),
        ({"sessions": np.zeros(3, np.int64)}, {}, "sessions"),
        ({}, {"level": 0.0}, "level"),
        ({}, {"min_effect": -1.0}, "min_effect"),
    ],
)
def test_windows_of_another_shape_are_refused(
    changes: dict[str, Any], options: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        check_drift(in_time(), window(5, **changes), **options)


def test_a_check_needs_nothing_but_numpy() -> None:
    script = "import sys, shared.drift; print(*{n.split('.')[0] for n in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert not {"scipy", "pandas", "sklearn", "pyarrow", "pydantic", "httpx"} & set(loaded.split())
