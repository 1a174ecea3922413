"""Rows over HTTP: our forms of asking a tabular model against `mlflow models serve` and MLServer, in one run.

    python -m tests.benchmarks.bench_protocols [--json] [--rounds 5] [--cache DIR]

Ours checks a key, checks and encodes the row's columns, scores, writes a log line, and answers when the
prediction is durable in the audit's queue. The peers are sent the finished row and score it: no key, no
columns, no audit. All hold 200 trees of 31 leaves fitted on the same rows, in one process on one core; the
load comes from another process on another core. An answer of ours waits for the disk, a peer's doesn't: what
is comparable is the processor's time. The peers' packages go into environments of their own
under `--cache`, which is a temporary folder unless given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.config import load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from shared.problems.spec import Algorithm
from shared.registry import Package, build_examples
from shared.registry.package import PROFILE, REPORT
from shared.registry.scorer import Scorer
from shared.tabular import Column, Columns
from shared.training.candidates import build_pipeline, fit
from shared.training.export import export
from shared.training.fitted import FittedModel
from tests.benchmarks.comparing import Comparison, OnStep, main, work_folder
from tests.benchmarks.contestants import MLFLOW, MLSERVER, mlflow, mlserver, rows_asked
from tests.benchmarks.goals import Goal
from tests.benchmarks.measuring import Plan, measure
from tests.benchmarks.servers import Launch
from tests.benchmarks.state import LEAVES, TREES, State
from tests.tabular_packages import NAME, tabular_package, tabular_rows

COLUMNS = Columns(tuple(Column(name=f"column_{n}", type="number") for n in range(13)))
ROWS = 20_000

JSON = "mlengine, POST /predict"
OIP = "mlengine, /v2, a tensor a column"
ENCODED = "mlengine, /v2, one tensor"
INVOCATIONS = "mlengine, /invocations"
OURS = (JSON, OIP, ENCODED, INVOCATIONS)
PEERS = (MLFLOW, MLSERVER)


@dataclass(frozen=True, slots=True)
class Figures(Comparison):
    """What a run found. `audited` predictions were found in the audit's queue, of `answered` ones."""

    answered: int
    audited: int
    load_average: float

    def goals(self) -> list[Goal]:
        """Each of our forms against the faster peer."""
        lost = self.answered - self.audited
        goals = [Goal("answered predictions that aren't in the audit", lost, at_most=0)]
        for name in OURS:
            form = name.removeprefix("mlengine, ")
            goals.append(Goal(f"{form}: requests/s a core, times", self._times(name), at_least=5))
        return goals

    def notes(self) -> Sequence[str]:
        counts = f"{self.answered:,} predictions answered by us, {self.audited:,} in the audit."
        return (
            f"{counts} Load average at the end: {self.load_average:.1f}.",
            "The peers have no key, columns or audit in this run.",
        )

    def _times(self, name: str) -> float:
        measure = "requests_per_core_second"
        return self.median(name, measure) / max(self.median(peer, measure) for peer in PEERS)


def prepare(work: Path) -> State:
    """A live tabular model of trees, made by the real code, and the rows that it was fitted on."""
    instance = Instance(*_platform(work / "home"))
    x = np.nan_to_num(tabular_rows(ROWS, COLUMNS))
    y = (x.sum(axis=1) + np.random.default_rng(0).normal(0, 100, ROWS) > np.median(x.sum(axis=1))).astype(
        np.int64
    )
    np.savez(work / "rows.npz", x=x, y=y)
    version = instance.registry.register(_package(x, y), created_by="benchmark")
    instance.registry.activate(version.id, by="benchmark", reason="to be measured")
    return State(work / "home", work / "rows.npz", x.shape[1])


def _platform(home: Path) -> Any:
    settings = load_settings(mlengine_home=home)
    return settings, connect(settings)


def _package(x: Any, y: Any) -> Package:
    made = tabular_package(columns=COLUMNS)
    parameters = {"n_estimators": TREES, "num_leaves": LEAVES}
    pipeline = build_pipeline(Algorithm.LIGHTGBM, parameters, 0, len(x), COLUMNS)
    fitted = FittedModel(
        "lightgbm", fit(pipeline, x, y), None, COLUMNS.names, made.manifest.classes, parameters
    )
    onnx, parity = export(fitted, x[:2_000])
    changes = {"algorithm": "lightgbm", "hyper_parameters": parameters, "parity": parity, "files": {}}
    return Package.build(
        made.manifest.model_copy(update=changes),
        model=onnx,
        examples=build_examples(Scorer(onnx), x),
        profile=made.file(PROFILE),
        report=made.file(REPORT),
    )


def launches(cache: Path, work: Path, state: State) -> list[Launch]:
    """Our forms of the same row, and the peers."""
    with np.load(state.rows) as file:
        row = file["x"][-1].astype(float).tolist()
    named = dict(zip(COLUMNS.names, row, strict=True))
    encoded = {"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    columns = [{"name": n, "shape": [1], "datatype": "FP32", "data": [value]} for n, value in named.items()]
    infer, asked = f"/v2/models/{NAME}/infer", [{"name": "probabilities"}]
    forms: list[tuple[str, str, str, Any]] = [
        (JSON, "predict", "/predict", {"model": NAME, "inputs": [named]}),
        (OIP, "inference", infer, {"inputs": columns, "outputs": asked}),
        (ENCODED, "inference", infer, {"inputs": [encoded], "outputs": asked}),
        (INVOCATIONS, "inference", f"/invocations?model={NAME}", {"inputs": [row]}),
    ]
    ours = [
        rows_asked(cache, work, state.home, function, path, body, name=name)
        for name, function, path, body in forms
    ]
    return [*ours, mlflow(cache, work, state.rows), mlserver(cache, work, state.rows)]


def run(plan: Plan, cache: Path, on_step: OnStep) -> Figures:
    """Prepare the state and the contestants, measure, and count what is in the audit."""
    with work_folder(cache) as work:
        on_step("preparing: a tabular model of 200 trees")
        state = prepare(work)
        on_step("preparing: the contestants' environments")
        samples = measure(launches(cache, work, state), plan, work, on_step)
        answered = sum(samples[name].answered for name in OURS)
        return Figures(samples, answered, state.audited(), os.getloadavg()[0])


if __name__ == "__main__":
    sys.exit(main(__doc__, run, requests=1_000, parallel=2))
