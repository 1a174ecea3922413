"""Serving: the deployed `predict` function against FastAPI and MLflow, in turns, in one run.

    python -m tests.benchmarks.bench_serving [--json] [--rounds 5] [--cache DIR]

Ours checks a key, computes the features from candles, scores, writes a log line, and answers when the
prediction is durable in the audit's queue. The peers are sent the finished row and score it: no key, no
features, no log line, no audit. All hold 200 trees of 31 leaves fitted on the same rows, in one process on
one core; the load comes from another process on another core. The peers' packages go into environments
of their own under `--cache`, which is a temporary folder unless given.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.sample import sample_upstream
from tests.benchmarks.comparing import Comparison, OnStep, main, work_folder
from tests.benchmarks.contestants import FASTAPI, FASTAPI_LIGHTGBM, MLFLOW, OURS, fastapi, mlflow, ours
from tests.benchmarks.goals import Goal
from tests.benchmarks.measuring import Plan, measure
from tests.benchmarks.state import prepare

SAMPLE_PORT = 18_081


@dataclass(frozen=True, slots=True)
class Figures(Comparison):
    """What a run found. `audited` predictions were found in the audit's queue, of `answered` ones."""

    answered: int
    audited: int
    durable_write_us: float
    load_average: float

    def goals(self) -> list[Goal]:
        return [
            Goal("cold start of predict, seconds", self.median(OURS, "cold_seconds"), at_most=0.6),
            Goal("cold start: times faster than FastAPI", self._times("cold_seconds", FASTAPI), at_least=2),
            Goal("cold start: times faster than MLflow", self._times("cold_seconds", MLFLOW), at_least=7),
            Goal("p50 of one request: times faster than FastAPI", self._times("p50_us", FASTAPI), at_least=5),
            Goal("p50 of one request: times faster than MLflow", self._times("p50_us", MLFLOW), at_least=5),
            Goal("requests/s per core: times FastAPI's", self._throughput(FASTAPI), at_least=8),
            Goal("requests/s per core: times MLflow's", self._throughput(MLFLOW), at_least=8),
            Goal("memory: share of FastAPI's", 1 / self._times("pss_mb", FASTAPI), at_most=0.5),
            Goal("answered predictions that aren't in the audit", self.answered - self.audited, at_most=0),
        ]

    def notes(self) -> Sequence[str]:
        counts = f"{self.answered:,} predictions answered by {OURS}, {self.audited:,} in the audit."
        disk = f"One durable write to this disk takes {self.durable_write_us:.0f} us."
        return (
            f"{counts} {disk} Load average at the end: {self.load_average:.1f}.",
            "The peers have no key, features, log line or audit in this run.",
        )

    def _times(self, measure: str, peer: str) -> float:
        return self.median(peer, measure) / self.median(OURS, measure)

    def _throughput(self, peer: str) -> float:
        measure = "requests_per_core_second"
        return self.median(OURS, measure) / self.median(peer, measure)


def run(plan: Plan, cache: Path, on_step: OnStep) -> Figures:
    """Prepare the state and the contestants, measure, and count what is in the audit."""
    with work_folder(cache) as work, sample_upstream("127.0.0.1", SAMPLE_PORT) as upstream_url:
        on_step("preparing: sample candles and a model of 200 trees")
        state = prepare(work, upstream_url)
        on_step("preparing: the contestants' environments")
        launches = [
            ours(cache, work, state.home, upstream_url),
            fastapi(cache, work, state.rows, name=FASTAPI, estimator="hist_gradient_boosting"),
            fastapi(cache, work, state.rows, name=FASTAPI_LIGHTGBM, estimator="lightgbm"),
            mlflow(cache, work, state.rows),
        ]
        samples = measure(launches, plan, work, on_step)
        return Figures(
            samples=samples,
            answered=samples[OURS].answered,
            audited=state.audited(),
            durable_write_us=_durable_write_us(work),
            load_average=os.getloadavg()[0],
        )


def _durable_write_us(folder: Path) -> float:
    """The median of 4 kB appended and synchronised: what an answer waits for at least."""
    times = []
    with (folder / "durable").open("wb", buffering=0) as file:
        for _ in range(200):
            started = time.perf_counter()
            file.write(bytes(4_096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


if __name__ == "__main__":
    sys.exit(main(__doc__, run, requests=2_000, parallel=5))
