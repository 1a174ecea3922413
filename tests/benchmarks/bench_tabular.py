"""Heart disease: the candidates beside the reference, the chosen model at other sites, parity of the exports.

python -m tests.benchmarks.bench_tabular [--json] [--data ../shared/data/heart]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.config import Settings
from shared.platform.connect import connect
from shared.problems.heart_disease import PROBLEM
from shared.problems.spec import Algorithm, Candidate, TabularProblem, Target
from shared.registry import Scorer
from shared.tabular.table import encode_table, read_table
from shared.training.export import export, export_onnx, verify_parity
from shared.training.options import TabularOptions
from shared.training.tabular.contest import Competitor
from shared.training.tabular.judge import Answers, Judge
from shared.training.tabular.run import TrainingResult, train
from shared.training.tabular.source import read_source
from tests.benchmarks.goals import Goal
from tests.tabular_packages import tabular_rows

REFERENCE: Final = {
    "logistic_regression": {"accuracy": 0.845, "f1": 0.823, "auc": 0.913},
    "random_forest": {"accuracy": 0.828, "f1": 0.804, "auc": 0.906},
    "xgboost": {"accuracy": 0.819, "f1": 0.796, "auc": 0.898},
    "lightgbm": {"accuracy": 0.821, "f1": 0.798, "auc": 0.899},
}
"""10 times stratified 5-fold, threshold 0.5, mean over the folds."""
ROUNDING: Final = 5e-4
"""The reference has three decimals."""

SITES: Final = ("hungarian", "switzerland", "va")
ZERO_IS_MISSING: Final = ("chol", "trestbps")
RANDOM_ROWS: Final = 10_000
SEVERITY: Final = {"absent": (0,), "mild": (1,), "severe": (2, 3, 4)}


def main() -> int:
    arguments = _arguments()
    began = time.perf_counter()
    table = read_source(PROBLEM.data, connect(Settings(mlengine_home=arguments.home)).blobs)
    result = train(PROBLEM, table, TabularOptions())
    figures = {
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_by_stage": {name: round(seconds, 2) for name, seconds in result.timings.items()},
        "cleveland": _at_a_half(result),
        "served": _served(result),
        "sites": _sites(result, arguments.data),
        "parity": _parity(table),
    }
    figures["goals"] = [asdict(goal) for goal in _goals(figures)]
    sys.stdout.write(json.dumps(figures, indent=1) if arguments.json else _table(figures))
    sys.stdout.write("\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/heart"), help="the other sites")
    parser.add_argument("--home", type=Path, default=Path(".mlengine"), help="an engine's home; only read")
    return parser.parse_args()


def _at_a_half(result: TrainingResult) -> dict[str, Any]:
    """Raw scores cut at 0.5, as the reference is: the mean over the folds, with the interval of the rows."""
    judge = result.findings.contest.judge
    return {one.variant.name: _raw(one, judge) for one in result.findings.contest.candidates}


def _raw(one: Competitor, judge: Judge) -> dict[str, Any]:
    found = judge.evaluate(Answers(one.variant.name, one.raw))
    return {
        name: {"mean": found.folds[name][0], "sd": found.folds[name][1], **found.metrics[name].json()}
        for name in ("accuracy", "f1", "auc")
    }


def _served(result: TrainingResult) -> dict[str, Any]:
    return {
        "algorithm": result.fitted.algorithm,
        "threshold": result.threshold,
        "gates_passed": result.gates_passed,
        "suspected_leak": result.suspected_leak,
        "optimism": result.metrics()["cross_validation"]["optimism"],
        "model": result.metrics()["cross_validation"]["model"],
    }


def _sites(result: TrainingResult, folder: Path) -> dict[str, Any]:
    """The exported model where it wasn't trained. A cholesterol or a pressure of 0 stands for missing."""
    scorer = Scorer(export(result.fitted, result.dataset.x)[0])
    home = result.metrics()["cross_validation"]["model"]
    told = {
        "cleveland, out of fold": {
            "rows": len(result.dataset),
            **{name: home[name]["value"] for name in ("auc", "accuracy", "f1")},
            "said_present": float((result.unseen_scores >= result.threshold).mean()),
            "present": float(result.dataset.y.mean()),
            "missing": float(np.isnan(result.dataset.x).mean()),
        }
    }
    for site in SITES:
        file = folder / f"{site}.csv"
        if file.exists():
            told[site] = _elsewhere(scorer, result.threshold, read_table(file.read_bytes(), "csv"))
    return told


def _elsewhere(scorer: Scorer, threshold: float, table: pa.Table) -> dict[str, float]:
    from sklearn.metrics import f1_score, roc_auc_score

    for name in ZERO_IS_MISSING:
        place, values = table.column_names.index(name), table.column(name)
        is_zero = pc.fill_null(pc.equal(values.cast(pa.float64()), 0.0), False)
        table = table.set_column(place, name, pc.if_else(is_zero, pa.scalar(None, pa.string()), values))
    found = encode_table(PROBLEM.columns, table)
    y = np.array([float(value) > 0 for value in table.column("num").to_pylist()])[found.rows]
    score = scorer.score(found.x)[:, 1]
    said = score >= threshold
    return {
        "rows": len(y),
        "auc": float(roc_auc_score(y, score)),
        "accuracy": float((said == y).mean()),
        "f1": float(f1_score(y, said)),
        "said_present": float(said.mean()),
        "present": float(y.mean()),
        "missing": float(np.isnan(found.x).mean()),
    }


def _parity(table: pa.Table) -> dict[str, dict[str, float]]:
    """By algorithm: the largest difference of a probability on all rows with their extremes, and on random
    rows; of two classes and of three (by severity)."""
    severity = replace(
        PROBLEM,
        classes=tuple(SEVERITY),
        target=Target("num", SEVERITY),
        primary_metric="log_loss",
        gates=(),
    )
    random = tabular_rows(RANDOM_ROWS, PROBLEM.columns, seed=1)
    return {
        algorithm: {
            f"{len(problem.classes)} classes, {rows}": difference
            for problem in (PROBLEM, severity)
            for rows, difference in _differences(algorithm, problem, table, random).items()
        }
        for algorithm in Algorithm
    }


def _differences(
    algorithm: Algorithm, problem: TabularProblem, table: pa.Table, random: NDArray[np.float32]
) -> dict[str, float]:
    parameters = next((p for _, a, p in PROBLEM.variants() if a is algorithm), {"max_iter": 100})
    alone = replace(problem, candidates=(Candidate(algorithm, parameters),))
    result = train(alone, table, TabularOptions(cv_folds=2, cv_repeats=1, resamples=10))
    own = export(result.fitted, result.dataset.x)[1].max_abs_difference
    strange = verify_parity(result.fitted, export_onnx(result.fitted), random).max_abs_difference
    return {"all rows and extremes": own, f"{len(random):,} random rows": strange}


def _goals(figures: dict[str, Any]) -> list[Goal]:
    goals = [
        Goal(f"{name}, {metric} less the reference", _less(figures, name, metric), at_least=-ROUNDING)
        for name, reference in REFERENCE.items()
        for metric in reference
    ]
    worst = max(value for found in figures["parity"].values() for value in found.values())
    return [*goals, Goal("tabular exports, largest difference of a probability", worst, at_most=1e-5)]


def _less(figures: dict[str, Any], name: str, metric: str) -> float:
    mean: float = figures["cleveland"][name][metric]["mean"]
    return round(mean - REFERENCE[name][metric], 4)


def _table(figures: dict[str, Any]) -> str:
    lines = [f"Trained in {figures['seconds']} s; by stage: {figures['seconds_by_stage']}", ""]
    lines += ["| Cleveland, threshold 0.5 | accuracy | F1 | AUC |", "|---|---|---|---|"]
    for name, found in figures["cleveland"].items():
        cells = (_estimate(found[metric], REFERENCE[name][metric]) for metric in ("accuracy", "f1", "auc"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    served = figures["served"]
    lines += ["", f"Served: {served['algorithm']} at {served['threshold']:.3f}; gates passed: "]
    lines[-1] += f"{served['gates_passed']}, optimism of the choice {served['optimism']:.4f}"
    lines += ["", "| site | rows | AUC | accuracy | F1 | said present | present | missing |"]
    lines += ["|---" * 8 + "|"]
    for name, site in figures["sites"].items():
        values = [f"{site[key]:.3f}" for key in list(site)[1:]]
        lines.append(f"| {name} | {site['rows']} | {' | '.join(values)} |")
    lines += ["", "Largest difference of a probability between fitted and exported model:"]
    lines += [
        f"{name}: " + "; ".join(f"{rows} {value:.1e}" for rows, value in found.items())
        for name, found in figures["parity"].items()
    ]
    return "\n".join(lines)


def _estimate(found: dict[str, float], reference: float) -> str:
    return f"{found['mean']:.4f} [{found['low']:.3f}, {found['high']:.3f}] (reference {reference})"


if __name__ == "__main__":
    raise SystemExit(main())
