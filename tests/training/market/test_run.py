from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray
from sklearn.metrics import roc_auc_score

from shared.errors import InvalidInput, NotEnoughCandles, OwnError
from shared.market.candles import COLUMNS, Candles, Panel
from shared.problems.market_signal import PROBLEM as MARKET_SIGNAL
from shared.problems.spec import Algorithm, Candidate
from shared.training.candidates import Variant, positive_score
from shared.training.market.contest import set_task
from shared.training.market.dataset import Dataset, build_dataset
from shared.training.market.evaluation import Fold
from shared.training.market.run import TrainingResult, train
from shared.training.options import MarketOptions
from tests.training.synthetic import LaggedReturns, random_candles, weekdays

PROBLEM = replace(
    MARKET_SIGNAL,
    candidates=(
        Candidate(Algorithm.LOGISTIC_REGRESSION, {"C": 1e-3}),
        Candidate(Algorithm.LIGHTGBM, {"n_estimators": 10, "num_leaves": 4, "min_leaf_share": 0.05}),
    ),
)
OPTIONS = MarketOptions(cv_folds=3, resamples=200)


def _train(series: list[Candles], **changes: Any) -> TrainingResult:
    return train(PROBLEM, series, replace(OPTIONS, **changes), features=LaggedReturns())


@pytest.fixture(scope="module")
def found_edge(panel_with_momentum: list[Candles]) -> TrainingResult:
    return _train(panel_with_momentum)


@pytest.fixture(scope="module")
def found_nothing(panel_of_noise: list[Candles]) -> TrainingResult:
    return _train(panel_of_noise)


def test_noise_does_not_pass_the_gates(found_nothing: TrainingResult) -> None:
    assert not found_nothing.gates_passed
    assert not found_nothing.may_activate
    assert "no ground to act" in found_nothing.findings.conclusion()


def test_edge_passes_the_gates(found_edge: TrainingResult) -> None:
    assert found_edge.gates_passed


def test_edge_too_good_to_be_true_is_suspected_and_not_activated(found_edge: TrainingResult) -> None:
    assert found_edge.findings.contest.winner.metrics["auc"].value > 0.55
    assert found_edge.suspected_leak
    assert not found_edge.may_activate
    assert "leak" in found_edge.findings.warnings[0]
    assert "look for a leak" in found_edge.findings.conclusion()


def test_same_candles_and_options_give_the_same_result(
    panel_with_momentum: list[Candles], found_edge: TrainingResult
) -> None:
    again = _train(panel_with_momentum)
    assert again.report_html == found_edge.report_html
    assert again.metrics() == found_edge.metrics()
    assert again.fitted.calibration == found_edge.fitted.calibration
    np.testing.assert_array_equal(again.unseen_scores, found_edge.unseen_scores)
    x = found_edge.dataset.x
    np.testing.assert_array_equal(again.fitted.predict_proba(x), found_edge.fitted.predict_proba(x))


def test_another_seed_gives_other_intervals(
    panel_with_momentum: list[Candles], found_edge: TrainingResult
) -> None:
    assert _train(panel_with_momentum, random_state=1).metrics() != found_edge.metrics()


def test_nothing_is_chosen_by_the_hold_out(
    panel_with_momentum: list[Candles], found_edge: TrainingResult
) -> None:
    """Other candles in the hold-out leave the whole contest as it was, bit for bit."""
    task = found_edge.findings.task
    begin = task.dataset.timestamp[task.held_out].min()
    changed = [_distorted_from(candles, int(begin)) for candles in panel_with_momentum]
    other = _train(changed).findings
    assert not np.array_equal(other.hold_out.raw_score, found_edge.findings.hold_out.raw_score)
    assert other.contest.variant == found_edge.findings.contest.variant
    assert other.contest.calibration == found_edge.findings.contest.calibration
    for mine, theirs in zip(other.contest.candidates, found_edge.findings.contest.candidates, strict=True):
        np.testing.assert_array_equal(mine.score, theirs.score)


def _distorted_from(candles: Candles, begin: int) -> Candles:
    factor = np.where(candles.timestamp >= begin, 1.0 + 0.1 * np.sin(np.arange(len(candles))), 1.0)
    columns: dict[str, Any] = {name: getattr(candles, name) * factor for name in COLUMNS}
    return replace(candles, **columns)


def test_unseen_rows_are_the_folds_and_the_hold_out(found_edge: TrainingResult) -> None:
    task = found_edge.findings.task
    folds = np.concatenate([test for _, test in task.folds])
    np.testing.assert_array_equal(found_edge.unseen_rows, np.concatenate([folds, task.held_out]))
    assert len(np.unique(found_edge.unseen_rows)) == len(found_edge.unseen_rows)
    assert ((found_edge.unseen_scores > 0) & (found_edge.unseen_scores < 1)).all()


def test_delivered_model_is_fitted_on_all_rows_and_calibrated_on_unseen_scores(
    found_edge: TrainingResult,
) -> None:
    dataset, fitted = found_edge.dataset, found_edge.fitted
    np.testing.assert_allclose(fitted.estimator["imputer"].statistics_, np.median(dataset.x, axis=0))
    seen = dataset.y[found_edge.unseen_rows]
    assert found_edge.unseen_scores.mean() == pytest.approx(seen.mean(), abs=1e-6)
    probabilities = fitted.predict_proba(dataset.x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_only_the_candidates_asked_for_compete(panel_of_noise: list[Candles]) -> None:
    result = _train(panel_of_noise, candidates=("lightgbm",))
    assert list(result.metrics()["walk_forward"]["candidates"]) == ["lightgbm"]
    assert result.fitted.algorithm == "lightgbm"


def test_longer_horizon_purges_more_and_uses_longer_blocks(panel_of_noise: list[Candles]) -> None:
    result = _train(panel_of_noise, horizon=10)
    task = result.findings.task
    for train_rows, test_rows in (*task.folds, (task.development, task.held_out)):
        assert task.dataset.ends_at[train_rows].max() < task.dataset.timestamp[test_rows].min()
    assert result.metrics()["hold_out"]["blocks"] < 12


def test_label_that_reaches_into_the_hold_out_over_missing_sessions_is_not_trained_on() -> None:
    whole = random_candles("A", 200, 1)
    suspended = random_candles("B", 200, 2)[(np.arange(200) < 150) | (np.arange(200) > 190)]
    task = set_task(PROBLEM, OPTIONS, build_dataset([whole, suspended], LaggedReturns(), 1))
    begin = task.dataset.timestamp[task.held_out].min()
    last_before = (task.dataset.symbol == 1) & (task.dataset.timestamp == suspended.timestamp[149])
    assert task.dataset.ends_at[last_before] > begin > suspended.timestamp[149]
    assert task.dataset.ends_at[task.development].max() < begin
    assert not np.isin(np.flatnonzero(last_before), task.development).any()


def test_feature_that_sees_the_future_stops_the_run(panel_of_noise: list[Candles]) -> None:
    class Leaking(LaggedReturns):
        def matrix(
            self, panel: Panel, *, dtype: DTypeLike = np.float64, out: NDArray[Any] | None = None
        ) -> NDArray[Any]:
            x = super().matrix(panel, dtype=dtype, out=out)
            x[:-1, 1] = panel.close[1:] / panel.close[:-1]
            return x

    with pytest.raises(OwnError, match="return_lag_1"):
        train(PROBLEM, panel_of_noise, OPTIONS, features=Leaking())


def test_too_few_sessions_are_refused_in_words() -> None:
    with pytest.raises(NotEnoughCandles, match="fewer folds"):
        _train([random_candles("A", 30, 1)], cv_folds=20)


def test_labels_of_one_class_are_refused() -> None:
    rising = np.linspace(10.0, 20.0, 300)
    candles = Candles("A", "1d", weekdays(300), rising, rising, rising, rising, np.ones(300))
    with pytest.raises(InvalidInput, match="one class"):
        _train([candles])


def test_progress_tells_every_fit_and_can_stop_the_run(panel_of_noise: list[Candles]) -> None:
    class Enough(BaseException):
        pass

    told: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int, message: str) -> None:
        told.append((stage, done, total))
        if stage == "hold_out":
            raise Enough

    with pytest.raises(Enough):
        train(PROBLEM, panel_of_noise, OPTIONS, progress, features=LaggedReturns())
    assert [step[1:] for step in told if step[0] == "walk_forward"] == [*((i, 6) for i in range(7)), (6, 6)]


def test_report_needs_nothing_else_and_tells_the_result(found_edge: TrainingResult) -> None:
    page = found_edge.report_html
    assert page.count("<svg") == 5
    for outside in ("http:", "https:", "src=", "@import", "<script"):
        assert outside not in page.replace("http://www.w3.org/", "")
    assert "logistic regression" in page
    for gate in found_edge.gates:
        assert gate.name.replace("_", " ") in page


def test_names_in_the_report_are_escaped(panel_of_noise: list[Candles]) -> None:
    hostile = replace(PROBLEM, title="<script>alert(1)</script>")
    result = train(hostile, panel_of_noise, OPTIONS, features=LaggedReturns())
    assert "<script>" not in result.report_html
    assert "&lt;script&gt;" in result.report_html


def test_shuffled_rows_show_the_leak_that_splits_by_time_do_not() -> None:
    """The trap: symbols share their days, so other symbols' labels of the same day give the answer."""
    rng = np.random.default_rng(0)
    market = rng.normal(0.0, 0.01, 300)
    series = [_moving_with(market, f"S{i}", rng) for i in range(20)]
    task = set_task(PROBLEM, OPTIONS, build_dataset(series, LaggedReturns(5), 1))
    rows = rng.permutation(len(task.dataset))
    shuffled = [(np.setdiff1d(rows, part), np.sort(part)) for part in np.array_split(rows, 3)]
    assert _auc_of_forest(task.dataset, shuffled) > 0.65
    assert _auc_of_forest(task.dataset, task.folds) < 0.55


def _moving_with(market: NDArray[np.float64], symbol: str, rng: np.random.Generator) -> Candles:
    close = np.asarray(100.0 * np.cumprod(1.0 + market + rng.normal(0.0, 0.003, len(market))), np.float64)
    return Candles(symbol, "1d", weekdays(len(close)), close, close, close, close, np.ones(len(close)))


def _auc_of_forest(dataset: Dataset, folds: Sequence[Fold]) -> float:
    forest = Variant("forest", Algorithm.RANDOM_FOREST, {"n_estimators": 30, "min_samples_leaf": 5})
    fitted = [forest.fit(dataset.x[rows], dataset.y[rows], 0) for rows, _ in folds]
    scores = [positive_score(one, dataset.x[test]) for one, (_, test) in zip(fitted, folds, strict=True)]
    return float(
        roc_auc_score(dataset.y[np.concatenate([test for _, test in folds])], np.concatenate(scores))
    )
