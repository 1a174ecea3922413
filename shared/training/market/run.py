"""One training run from candles to a fitted model and its report: pure, no platform and no network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import OwnError
from shared.market.candles import Candles
from shared.problems.spec import MarketProblem
from shared.training.calibration import fit_calibration
from shared.training.findings import Result
from shared.training.fitted import FittedModel
from shared.training.gates import judge_gates
from shared.training.market.contest import Contest, HoldOut, Task, compete, examine, set_task
from shared.training.market.dataset import Dataset, Features, build_dataset
from shared.training.market.evaluation import Indices, Scores
from shared.training.market.findings import MarketFindings, suspected_leak
from shared.training.market.lookahead import LookAhead, look_ahead_test
from shared.training.market.report import render
from shared.training.options import MarketOptions
from shared.training.progress import Progress, Stages, silent


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingResult(Result[MarketFindings]):
    """`unseen_scores` are of `unseen_rows`. Rows index the dataset."""

    unseen_rows: Indices

    @property
    def dataset(self) -> Dataset:
        return self.findings.task.dataset

    @property
    def hold_out_rows(self) -> Indices:
        return self.findings.task.held_out


def train(
    problem: MarketProblem,
    series: Sequence[Candles],
    options: MarketOptions,
    progress: Progress = silent,
    *,
    features: Features | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingResult:
    """Dataset, look-ahead test, contest, hold-out, gates, final fit on all rows, report.

    `series` are stretches of candles without breaks, of any symbols and one timeframe. The same
    candles, options and library versions give the same result, bit for bit, but for `timings`.

    Raises:
        NotEnoughCandles: no rows, or too few sessions for the folds.
        InvalidInput: labels of one class only.
        OwnError: a feature or the label sees the future.
    """
    chosen = features if features is not None else _feature_set(problem.feature_set)
    stages = Stages(progress, clock)
    with stages.stage("features", 1, f"{chosen.name}: {len(chosen.names)} features of {len(series)} series"):
        task = set_task(problem, options, build_dataset(series, chosen, options.horizon))
    with stages.stage("look_ahead", 1, "changing the future"):
        look_ahead = _require_no_look_ahead(series, chosen, options)
    fits = len(task.variants) * len(task.folds)
    with stages.stage("walk_forward", fits, "fitting the candidates") as step:
        contest = compete(task, step)
    with stages.stage("hold_out", 1, f"examining {contest.variant.name} on unseen sessions"):
        hold_out = examine(task, contest)
    with stages.stage("final_fit", 1, f"fitting {contest.variant.name} on all rows"):
        fitted, unseen_rows, unseen_scores = _final(task, contest, hold_out)
    with stages.stage("report", 1, "writing the report"):
        findings = _findings(task, look_ahead, contest, hold_out)
        report_html = render(findings)
    return TrainingResult(
        fitted=fitted,
        findings=findings,
        unseen_rows=unseen_rows,
        unseen_scores=unseen_scores,
        report_html=report_html,
        timings=stages.seconds,
    )


def _feature_set(name: str) -> Features:
    from shared.features import feature_set

    return feature_set(name)


def _require_no_look_ahead(
    series: Sequence[Candles], features: Features, options: MarketOptions
) -> LookAhead:
    found = look_ahead_test(series, features, options.horizon, np.random.default_rng(options.random_state))
    if not found.passed:
        raise OwnError(
            f"These columns change when candles after them change: {', '.join(found.leaking)}. A model "
            "trained on them would be worthless. Mend their definition; nothing was trained."
        )
    return found


def _findings(task: Task, look_ahead: LookAhead, contest: Contest, hold_out: HoldOut) -> MarketFindings:
    leak = suspected_leak(task.problem, contest, hold_out)
    return MarketFindings(
        task=task,
        look_ahead=look_ahead,
        contest=contest,
        hold_out=hold_out,
        gates=judge_gates(task.problem.gates, hold_out.quantities),
        leak=leak,
        warnings=_warnings(task.dataset, contest, leak),
    )


def _warnings(dataset: Dataset, contest: Contest, leak: str) -> tuple[str, ...]:
    undefined = dataset.dropped["undefined"]
    candidates = (
        (leak, bool(leak)),
        ("The scores carry no direction, so they are not calibrated.", contest.calibration is None),
        (f"{undefined} candles gave no row: a feature is undefined there.", undefined > 0),
        (
            "Too few symbols to rank within a session: the rank IC is within blocks of time.",
            contest.judge.rank_ic_unit == "block",
        ),
    )
    return tuple(words for words, holds in candidates if holds)


def _final(task: Task, contest: Contest, hold_out: HoldOut) -> tuple[FittedModel, Indices, Scores]:
    """The winner's parameters on all rows, calibrated on every out-of-fold score there is."""
    variant, dataset = contest.variant, task.dataset
    estimator = task.fit(variant, np.arange(len(dataset)))
    rows = np.concatenate([contest.judge.rows, task.held_out])
    raw = np.concatenate([contest.winner.score, hold_out.raw_score])
    calibration = fit_calibration(raw, dataset.y[rows])
    fitted = FittedModel(
        str(variant.algorithm),
        estimator,
        calibration,
        dataset.feature_names,
        task.problem.classes,
        variant.parameters,
    )
    return fitted, rows, raw if calibration is None else calibration.apply(raw)
