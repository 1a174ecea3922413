from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as peer

from shared.evaluation.bootstrap import block_codes, block_seconds, estimate, resampling_weights
from shared.evaluation.metrics import METRICS, Evaluator, Rows
from shared.evaluation.rank import concordance, group_ranks, group_spearman

DAY = 86_400


def _rows(
    seed: int, sessions: int = 60, symbols: int = 8, sessions_per_block: int = 5
) -> tuple[Rows, np.ndarray]:
    """Labelled rows, and a score rounded so that many of its values are tied."""
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), symbols)
    change = rng.normal(0.0, 0.01, len(session))
    score = np.round(np.clip(0.5 + 5 * change + rng.normal(0, 0.1, len(session)), 0.01, 0.99), 2)
    rows = Rows((change > 0).astype(np.int8), change, session, session // sessions_per_block)
    return rows, score


def _evaluator(rows: Rows, resamples: int = 50, seed: int = 0) -> Evaluator:
    return Evaluator(rows, threshold=0.5, resamples=resamples, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_agree_with_scikit_learn(seed: int) -> None:
    rows, score = _rows(seed)
    found = {name: e.value for name, e in _evaluator(rows).estimate(score).items()}
    said = score >= 0.5
    assert found["auc"] == pytest.approx(peer.roc_auc_score(rows.y, score), abs=1e-12)
    assert found["accuracy"] == pytest.approx(peer.accuracy_score(rows.y, said), abs=1e-12)
    assert found["f1"] == pytest.approx(peer.f1_score(rows.y, said), abs=1e-12)
    assert found["log_loss"] == pytest.approx(peer.log_loss(rows.y, score), abs=1e-12)
    assert found["brier"] == pytest.approx(peer.brier_score_loss(rows.y, score), abs=1e-12)


def test_rank_ic_is_the_mean_spearman_of_the_sessions() -> None:
    rows, score = _rows(5)
    assert rows.session is not None
    assert rows.forward_return is not None
    each = [
        spearmanr(score[rows.session == s], rows.forward_return[rows.session == s]).statistic
        for s in range(rows.session.max() + 1)
    ]
    assert _evaluator(rows).estimate(score)["rank_ic"].value == pytest.approx(np.mean(each), abs=1e-12)


def test_rank_ic_of_few_symbols_is_within_blocks() -> None:
    rows, score = _rows(5, symbols=1)
    evaluator = _evaluator(rows)
    assert rows.forward_return is not None
    each = [
        spearmanr(score[rows.block == b], rows.forward_return[rows.block == b]).statistic
        for b in range(rows.block.max() + 1)
    ]
    assert evaluator.rank_ic_unit == "block"
    assert evaluator.estimate(score)["rank_ic"].value == pytest.approx(np.mean(each), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_resample_is_the_metric_of_the_repeated_blocks(metric: str) -> None:
    rows, score = _rows(7)
    evaluator = _evaluator(rows)
    weights = resampling_weights(evaluator.blocks, 20, np.random.default_rng(1))
    resampled = evaluator.statistic(metric, score)(weights)
    for drawn, found in zip(weights, resampled, strict=True):
        again, taken = _repeat_blocks(rows, drawn)
        expected = _evaluator(again).estimate(score[taken], [metric])[metric].value
        assert found == pytest.approx(expected, abs=1e-12)


def _repeat_blocks(rows: Rows, times: np.ndarray) -> tuple[Rows, np.ndarray]:
    """The rows with each block repeated; every copy of a session is a session of its own."""
    taken = [np.flatnonzero(rows.block == b) for b, n in enumerate(times) for _ in range(int(n))]
    index = np.concatenate(taken)
    assert rows.session is not None
    assert rows.forward_return is not None
    copy = np.repeat(np.arange(len(taken)), [len(t) for t in taken])
    _, session = np.unique(copy * len(rows) + rows.session[index], return_inverse=True)
    return Rows(rows.y[index], rows.forward_return[index], session, copy), index


def test_estimates_of_one_evaluator_are_paired() -> None:
    rows, score = _rows(8)
    evaluator = _evaluator(rows, resamples=400)
    almost = score + 1e-9
    gain = evaluator.gain("log_loss", score, almost)
    alone = evaluator.estimate(score)["log_loss"]
    assert gain.high - gain.low < 1e-6 < alone.high - alone.low


def test_gain_is_positive_for_the_better_score() -> None:
    rows, score = _rows(9)
    base = np.full(len(score), rows.y.mean())
    assert _evaluator(rows).gain("brier", score, base).low > 0


def test_interval_covers_chance_for_a_score_without_meaning() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        rows, _ = _rows(seed, sessions=100, symbols=3)
        auc = _evaluator(rows, 200, seed).estimate(rng.random(len(rows)), ["auc"])["auc"]
        covered += auc.low <= 0.5 <= auc.high
    assert 85 <= covered <= 100


def test_interval_is_wider_when_a_day_moves_together() -> None:
    rng = np.random.default_rng(3)
    session = np.repeat(np.arange(200), 20)
    market = np.repeat(rng.normal(0, 0.01, 200), 20)
    own = rng.normal(0, 0.01, len(session))
    score = rng.random(200)[session]

    def width(change: np.ndarray) -> float:
        rows = Rows((change > 0).astype(np.int8), change, session, session // 5)
        auc = _evaluator(rows, 400).estimate(score, ["auc"])["auc"]
        return auc.high - auc.low

    assert width(market) > 3 * width(own)


def test_metrics_of_one_class_are_undefined_or_finite_but_never_an_error() -> None:
    rows, score = _rows(1)
    only_up = Rows(np.ones_like(rows.y), rows.forward_return, rows.session, rows.block)
    found = _evaluator(only_up).estimate(score)
    assert np.isnan(found["auc"].value)
    assert found["auc"].json() == {"value": None, "low": None, "high": None}
    assert np.isfinite(found["log_loss"].value)


def test_constant_score_has_no_rank_ic_and_chance_auc() -> None:
    rows, score = _rows(1)
    found = _evaluator(rows).estimate(np.full(len(score), 0.4))
    assert found["auc"].value == 0.5
    assert np.isnan(found["rank_ic"].value)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=40))
def test_concordance_counts_every_pair_once(rows: list[tuple[int, int, int]]) -> None:
    score, y, block = (np.array(column) for column in zip(*rows, strict=True))
    won = concordance(score.astype(np.float64), y.astype(np.int8), block.astype(np.intp), 4)
    lost = concordance(-score.astype(np.float64), y.astype(np.int8), block.astype(np.intp), 4)
    pairs = np.outer(np.bincount(block[y == 1], minlength=4), np.bincount(block[y == 0], minlength=4))
    np.testing.assert_array_equal(won + lost, pairs)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=5, max_size=40))
def test_group_spearman_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    group = np.zeros(len(a), np.intp)
    found = group_spearman(group_ranks(a, group), group_ranks(b, group), group)[0]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_blocks_begin_on_mondays() -> None:
    monday = 1_577_664_000  # 2019-12-30
    stamps = monday + DAY * np.array([0, 4, 6, 7, 13, 14])
    assert block_codes(stamps, 7 * DAY).tolist() == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("timeframe", "horizon", "days"),
    [("1d", 1, 7), ("1d", 5, 7), ("1d", 10, 14), ("1h", 1, 1), ("1h", 24, 2)],
)
def test_blocks_are_never_shorter_than_a_label(timeframe: str, horizon: int, days: int) -> None:
    assert block_seconds(timeframe, horizon) == days * DAY


def test_interval_needs_nearly_all_resamples_defined() -> None:
    undefined = np.array([0.5] * 90 + [np.nan] * 10)
    assert np.isnan(estimate(0.5, undefined).low)
    assert estimate(0.5, undefined[:92]).low == 0.5
