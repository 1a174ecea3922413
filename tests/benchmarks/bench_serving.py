"""Serving: the deployed `predict` function against FastAPI and MLflow, in turns, in one run.

    python -m tests.benchmarks.bench_serving [--json] [--rounds 5] [--cache DIR]

Ours checks a key, computes the features from candles, scores, writes a log line, and answers when the
prediction is durable in the audit's queue. The peers are sent the finished row and score it: no key, no
features, no log line, no audit. All hold 200 trees of 31 leaves fitted on the same rows, in one process on
one core; the load comes from another process on another core. The peers' packages go into environments
of their own under `--cache`, which is a temporary folder unless given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.sample import sample_upstream
from tests.benchmarks.contestants import FASTAPI, FASTAPI_LIGHTGBM, MLFLOW, OURS, fastapi, mlflow, ours
from tests.benchmarks.goals import Goal, table
from tests.benchmarks.measuring import Plan, Samples, measure
from tests.benchmarks.state import prepare

SAMPLE_PORT = 18_081


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run found. `audited` predictions were found in the audit's queue, of `answered` ones."""

    samples: dict[str, Samples]
    answered: int
    audited: int
    durable_write_us: float
    load_average: float

    def median(self, name: str, measure: str) -> float:
        values: list[float] = getattr(self.samples[name], measure)
        return statistics.median(values)

    def goals(self) -> list[Goal]:
        """What this run should show."""
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

    def _times(self, measure: str, peer: str) -> float:
        return self.median(peer, measure) / self.median(OURS, measure)

    def _throughput(self, peer: str) -> float:
        measure = "requests_per_core_second"
        return self.median(OURS, measure) / self.median(peer, measure)


def run(plan: Plan, cache: Path, on_step: Callable[[str], object]) -> Figures:
    """Prepare the state and the contestants, measure, and count what is in the audit."""
    cache.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache, prefix="run-") as folder,
        sample_upstream("127.0.0.1", SAMPLE_PORT) as upstream_url,
    ):
        work = Path(folder)
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


def report(figures: Figures) -> str:
    head = f"{'median [least-greatest]':<32}{'cold start s':>22}{'p50 us':>22}{'p99 us':>8}"
    lines = [f"{head}{'requests/s a core':>24}{'PSS MB':>8}{'RSS MB':>8}"]
    for name, each in figures.samples.items():
        lines.append(
            f"{name:<32}{_spread(each.cold_seconds, 2):>22}{_spread(each.p50_us, 0):>22}"
            f"{statistics.median(each.p99_us):>8,.0f}{_spread(each.requests_per_core_second, 0):>24}"
            f"{statistics.median(each.pss_mb):>8.0f}{statistics.median(each.rss_mb):>8.0f}"
        )
    counts = f"{figures.answered:,} predictions answered by {OURS}, {figures.audited:,} in the audit."
    disk = f"One durable write to this disk takes {figures.durable_write_us:.0f} us."
    lines += [
        "",
        f"{counts} {disk} Load average at the end: {figures.load_average:.1f}.",
        "The peers have no key, features, log line or audit in this run.",
        "",
        table(figures.goals()),
    ]
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} [{low:,.{digits}f}-{high:,.{digits}f}]"


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--cache", type=Path, help="folder of environments and state; kept, and used again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--requests", type=int, default=2_000, help="single ones a round; 5 times as many in parallel"
    )
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    plan = Plan(arguments.rounds, arguments.requests, 5 * arguments.requests)
    with tempfile.TemporaryDirectory(prefix="mlengine-bench-") as temporary:
        figures = run(plan, arguments.cache or Path(temporary), lambda step: sys.stderr.write(f"{step}\n"))
    if arguments.json:
        sys.stdout.write(
            json.dumps(asdict(figures) | {"goals": [asdict(g) for g in figures.goals()]}, indent=1)
        )
    else:
        sys.stdout.write(report(figures))
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
