from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as peer

from shared.drift.profile import Profile
from shared.drift.result import Verdict
from shared.errors import InvalidInput, NotFound
from shared.evaluation.bootstrap import Estimate
from shared.monitoring.measuring import Measured, measure
from shared.monitoring.performance import MIN_BLOCKS, MIN_ROWS, Validation, _validation, judge
from shared.platform.ports import Data
from shared.registry import Manifest
from shared.registry.package import PROFILE
from tests.packages import active, market_package
from tests.predicted import FIRST, Market
from tests.tabular_packages import tabular_package

DAYS = 70
VALIDATED = {"primary": "auc", "hold_out": {"model": {"auc": {"value": 0.52, "low": 0.51, "high": 0.53}}}}


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Six symbols, predicted on each of 70 days; all is settled but the last day."""
    market = Market(tmp_path_factory.mktemp("performance") / "home", 6, FIRST + DAYS)
    active(market.instance.registry, metrics=VALIDATED)
    market.close(FIRST + DAYS - 1)
    for day in range(DAYS):
        market.instance.audit.store(market.predict(FIRST + day))
    market.instance.outcomes.settle("1d", list(market.series))
    return market


def rows(market: Market) -> tuple[Any, ...]:
    """Labels, scores, past and forward returns, and the day of each row, by other means than the engine's."""
    documents = market.instance.platform.documents
    y, score, past, forward, day = [], [], [], [], []
    for number in range(6 * (DAYS - 1)):
        kept = documents.get("predictions", f"p{number:05}")
        assert kept is not None
        close, row = market.series[kept.data["symbol"]].close, FIRST + number // 6
        y.append(int(close[row + 1] > close[row]))
        score.append(kept.data["probability"])
        past.append(close[row] / close[row - 1] - 1)
        forward.append(close[row + 1] / close[row] - 1)
        day.append(row)
    return tuple(map(np.array, (y, score, past, forward, day)))


def value(estimates: Any, name: str) -> float:
    estimate: Estimate = estimates[name]
    assert estimate.low <= estimate.value <= estimate.high or name == "rank_ic"
    return estimate.value


def test_live_metrics_are_those_of_scikit_learn_on_the_same_rows(settled: Market) -> None:
    report = settled.instance.performance.report("market-signal", "all")
    assert report.measured is not None
    found = report.measured.metrics
    y, score, _, forward, day = rows(settled)
    assert (report.predictions, report.measured.rows, report.waiting) == (len(y), len(y), 6)
    assert value(found, "auc") == pytest.approx(peer.roc_auc_score(y, score), abs=1e-12)
    assert value(found, "accuracy") == pytest.approx(peer.accuracy_score(y, score >= 0.5), abs=1e-12)
    assert value(found, "f1") == pytest.approx(peer.f1_score(y, score >= 0.5), abs=1e-12)
    assert value(found, "log_loss") == pytest.approx(peer.log_loss(y, score), abs=1e-12)
    assert value(found, "brier") == pytest.approx(peer.brier_score_loss(y, score), abs=1e-12)
    each = [spearmanr(score[day == d], forward[day == d]).statistic for d in np.unique(day)]
    assert value(found, "rank_ic") == pytest.approx(np.mean(each), abs=1e-12)
    assert report.measured.rank_ic_within == "session"


def test_the_naive_rules_are_measured_on_the_same_rows(settled: Market) -> None:
    report = settled.instance.performance.report("market-signal-v1", "all")
    assert report.measured is not None
    naive = report.measured.baselines
    y, score, past, _, _ = rows(settled)
    profile = Profile.from_json(market_package(metrics=VALIDATED).file(PROFILE))
    rate = profile.class_shares["up"]
    assert set(naive) == {"always_up", "base_rate", "last_direction", "opposite_direction"}
    assert value(naive["always_up"], "accuracy") == pytest.approx(y.mean(), abs=1e-12)
    assert value(naive["last_direction"], "auc") == pytest.approx(peer.roc_auc_score(y, past > 0), abs=1e-12)
    assert value(naive["opposite_direction"], "accuracy") == pytest.approx(
        np.mean((past <= 0) == y), abs=1e-12
    )
    base = peer.log_loss(y, np.full(len(y), rate))
    assert value(naive["base_rate"], "log_loss") == pytest.approx(base, abs=1e-12)
    gain = report.measured.gains["log_loss"].value
    assert gain == pytest.approx(base - peer.log_loss(y, score), abs=1e-12)


def test_calibration_is_told_in_bins(settled: Market) -> None:
    report = settled.instance.performance.report("market-signal", "all")
    assert report.measured is not None
    calibration = report.measured.calibration
    assert calibration is not None
    y, score, *_ = rows(settled)
    assert sum(one.rows for one in calibration.bins) == len(y)
    weighted = sum(one.rows * abs(one.said - one.happened.value) for one in calibration.bins) / len(y)
    assert calibration.ece.value == pytest.approx(weighted, abs=1e-12)
    assert sum(one.rows * one.said for one in calibration.bins) == pytest.approx(score.sum(), abs=1e-9)


def test_a_window_goes_by_what_predictions_are_about(settled: Market) -> None:
    settled.clock.turn_to(float(settled.series["S0"].timestamp[FIRST + DAYS - 1]))
    report = settled.instance.performance.report("market-signal", "30d")
    assert report.predictions == 6 * 30
    assert report.measured is not None
    assert report.measured.sessions == 30
    assert report.start is not None


def test_the_same_outcomes_give_the_same_intervals(settled: Market) -> None:
    first, second = (settled.instance.performance.report("market-signal", "all").json() for _ in range(2))
    assert first == second
    assert first["verdict"] in set(Verdict)


def test_an_unknown_model_and_an_odd_window_are_refused(settled: Market) -> None:
    with pytest.raises(NotFound, match="nobody-v1"):
        settled.instance.performance.report("nobody-v1")
    for window in ("0d", "30", "forever", "-1d"):
        with pytest.raises(InvalidInput, match="30d"):
            settled.instance.performance.report("market-signal", window)


def test_a_version_without_outcomes_has_insufficient_data(tmp_path: Path) -> None:
    market = Market(tmp_path / "home", 1, FIRST + 2)
    active(market.instance.registry)
    told = market.instance.performance.report("market-signal").json()
    assert (told["verdict"], told["rows"], told["metrics"]) == ("insufficient_data", 0, {})


def outcome(number: int, *, series: str | None = "1d:A", day: int | None = None, **facts: Any) -> Data:
    at = 1_600_000_000 // 86_400 * 86_400 + 86_400 * (number if day is None else day)
    made = {"prediction_id": f"p{number}", "series": series, "at": at, "made_at": f"{number:05}"}
    told = {
        "probability": 0.5,
        "probabilities": None,
        "label": "up",
        "forward_return": 0.1,
        "past_return": 0.1,
    }
    return {**made, **told, **facts}


def manifest(**changes: Any) -> Manifest:
    return market_package(metrics=VALIDATED, **changes).manifest


def test_the_same_candle_asked_for_often_counts_once() -> None:
    """The first prediction stands for all that were asked for later."""
    often = [
        outcome(n, day=n // 10, probability=n / 1_000, label=("up", "down")[n // 10 % 2]) for n in range(400)
    ]
    once = [one for n, one in enumerate(often) if n % 10 == 0]
    assert measure(often[::-1], manifest(), 0.5).json() == measure(once, manifest(), 0.5).json()


def classes(count: int, seed: int = 0) -> tuple[Sequence[Data], Any, Any]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), count)
    y = np.array([rng.choice(3, p=p) for p in probabilities])
    names = ("low", "middle", "high")
    made = [
        outcome(n, series=None, label=names[y[n]], probabilities=probabilities[n].tolist())
        for n in range(count)
    ]
    return made, y, probabilities


@pytest.mark.parametrize("is_there", [(0, 1, 2), (0, 2)])
def test_more_than_two_classes_are_measured_as_scikit_learn_does(is_there: Sequence[int]) -> None:
    """Also where nobody said one of them, and none was there."""
    every, labels, chances = classes(700)
    chosen = [n for n in range(700) if {int(labels[n]), int(chances[n].argmax())} <= set(is_there)]
    made, y, probabilities = [every[n] for n in chosen], labels[chosen], chances[chosen]
    found = measure(made, manifest(kind="tabular", classes=("low", "middle", "high")), None)
    said = probabilities.argmax(axis=1)
    assert value(found.metrics, "accuracy") == pytest.approx(peer.accuracy_score(y, said), abs=1e-12)
    assert value(found.metrics, "f1") == pytest.approx(peer.f1_score(y, said, average="macro"), abs=1e-12)
    log_loss = peer.log_loss(y, probabilities, labels=range(3))
    assert value(found.metrics, "log_loss") == pytest.approx(log_loss, abs=1e-12)
    assert (found.rows, found.baselines, found.calibration) == (len(chosen), {}, None)


def test_tabular_predictions_have_no_returns_to_compare_with() -> None:
    made = [
        outcome(n, series=None, forward_return=None, past_return=None, label=("up", "down")[n % 2])
        for n in range(50)
    ]
    found = measure(made, manifest(kind="tabular"), 0.4)
    assert set(found.metrics) == {"auc", "accuracy", "f1", "log_loss", "brier"}
    assert set(found.baselines) == {"base_rate"}
    assert found.rank_ic_within is None


def test_classes_without_a_probability_each_are_refused() -> None:
    with pytest.raises(InvalidInput, match="probability of each"):
        measure([outcome(1)], manifest(kind="tabular", classes=("a", "b", "up")), None)


GOOD = Validation("auc", 0.55, 0.53, 0.57)


def measured(low: float, high: float, *, metric: str = "auc", **extent: int) -> Measured:
    size = {"rows": MIN_ROWS, "blocks": MIN_BLOCKS, **extent}
    return Measured(
        size["rows"],
        1,
        size["blocks"],
        0,
        0,
        None,
        {metric: Estimate((low + high) / 2, low, high)},
        {},
        {},
        None,
    )


@pytest.mark.parametrize(
    ("found", "validation", "verdict", "words"),
    [
        (measured(0.45, 0.529), GOOD, "drift", "whole interval is worse"),
        (measured(0.45, 0.531), GOOD, "ok", "meet"),
        (measured(0.60, 0.70), GOOD, "ok", "better"),
        (measured(0.45, 0.50, rows=MIN_ROWS - 1), GOOD, "insufficient_data", "199 settled rows"),
        (measured(0.45, 0.50, blocks=MIN_BLOCKS - 1), GOOD, "insufficient_data", "blocks"),
        (measured(float("nan"), float("nan")), GOOD, "insufficient_data", "one class"),
        (measured(0.45, 0.50), None, "insufficient_data", "hold-out"),
        (None, GOOD, "insufficient_data", "0 settled rows"),
        (measured(0.80, 0.90, metric="log_loss"), Validation("log_loss", 0.69, 0.68, 0.70), "drift", "worse"),
        (measured(0.50, 0.60, metric="log_loss"), Validation("log_loss", 0.69, 0.68, 0.70), "ok", "better"),
    ],
)
def test_the_verdict_needs_enough_data_and_a_whole_interval(
    found: Measured | None, validation: Validation | None, verdict: str, words: str
) -> None:
    metric = "auc" if validation is None else validation.metric
    said, why = judge(metric, validation, found)
    assert said == verdict
    assert words in why


def test_what_a_tabular_model_showed_is_found_in_its_cross_validation() -> None:
    told = {"value": 0.81, "low": 0.76, "high": 0.86}
    metrics = {"primary": "f1", "cross_validation": {"model": {"f1": told}}}
    assert _validation(tabular_package(metrics=metrics).manifest) == (
        "f1",
        Validation("f1", 0.81, 0.76, 0.86),
    )
