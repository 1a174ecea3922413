"""Measuring latency: how right the quantiles are, and what it costs a request.

    python -m tests.benchmarks.bench_latency [--json] [--values 1000000] [--requests 20000]

Quantiles of a million durations against the exact ones, for one instance and for two merged. Then requests
to a function in this process, with and without being measured, by turns, in processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.logs import configure_logs
from shared.monitoring.latency import Histogram, Measurements
from shared.platform.connect import connect
from shared.web import Function
from tests.benchmarks.goals import Goal, table

SHARES: Final = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
ROUNDS: Final = 15
SCOPE: Final[dict[str, Any]] = {
    "type": "http",
    "method": "GET",
    "path": "/health",
    "query_string": b"",
    "headers": [],
    "client": None,
}


class Unmeasured(Measurements):
    """Counts nothing."""

    def record(self, *_: Any) -> None:
        return

    def publish_if_due(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class Figures:
    """Costs are medians; `request_us` is of a request that isn't measured, in the function alone."""

    values: int
    worst_error: float
    merged_differs: bool
    stored_bytes: int
    record_us: float
    request_us: float
    measured_request_us: float

    @property
    def cost_us(self) -> float:
        return self.measured_request_us - self.request_us

    def goals(self) -> list[Goal]:
        return [
            Goal("latency: worst relative error of a quantile", self.worst_error, at_most=0.01),
            Goal("latency: merged instances that differ from one", float(self.merged_differs), at_most=0),
            Goal("latency: cost of measuring a request, us", self.cost_us, at_most=5),
        ]


def run(values: int, requests: int) -> Figures:
    plain, measured = _requests(requests)  # first: while there is little in the caches and in memory
    random = np.random.default_rng(20)
    shapes = (
        random.lognormal(-6.0, 1.2, values),
        np.abs(
            np.where(
                random.random(values) < 0.02,
                random.normal(0.6, 0.1, values),
                random.normal(1e-3, 1e-4, values),
            )
        ),
    )
    found = [_accuracy(np.maximum(seconds, 1e-6)) for seconds in shapes]
    return Figures(
        values=values,
        worst_error=max(error for error, _, _ in found),
        merged_differs=any(differs for _, differs, _ in found),
        stored_bytes=max(size for _, _, size in found),
        record_us=_record_us(shapes[0]),
        request_us=plain,
        measured_request_us=measured,
    )


def _accuracy(seconds: NDArray[np.float64]) -> tuple[float, bool, int]:
    """The worst error of a quantile, whether two merged differ from one, and the bytes it is stored in."""
    exact = np.quantile(seconds, SHARES, method="lower")
    one, first, second = Histogram(), Histogram(), Histogram()
    for number, value in enumerate(seconds.tolist()):
        one.record(value)
        (first, second)[number % 3 == 0].record(value)
    first.add(second)
    found = np.array(one.quantiles(SHARES), dtype=float)
    return float(np.max(np.abs(found - exact) / exact)), first != one, len(one.counts_text())


def _record_us(seconds: NDArray[np.float64]) -> float:
    """What recording one value takes, its series looked up."""
    measurements = Measurements(_Nowhere(), lambda: "bench")
    milliseconds = (seconds[:200_000] * 1e3).tolist()
    began = time.process_time()
    for one in milliseconds:
        measurements.record("predict", "GET /predict", 200, "market-signal-v1", one)
    return (time.process_time() - began) / len(milliseconds) * 1e6


def _requests(count: int) -> tuple[float, float]:
    """The microseconds of a request without and with measuring: medians over rounds, by turns."""
    with tempfile.TemporaryDirectory(prefix="mlengine-bench-") as folder:
        chosen = load_settings(mlengine_home=Path(folder))
        instance = Instance(chosen, connect(chosen))
        use_instance(instance)
        configure_logs("INFO", io.StringIO())
        answer = Function("predict").answer
        kinds = {
            False: Unmeasured(_Nowhere(), lambda: "bench"),
            True: Measurements(_Nowhere(), lambda: "bench"),
        }
        times: dict[bool, list[float]] = {False: [], True: []}
        for number in range(2 * ROUNDS):
            is_measured = number % 2 == 1
            instance.__dict__["measurements"] = kinds[is_measured]
            configure_logs("INFO", io.StringIO())
            times[is_measured].append(asyncio.run(_asked(answer, count // ROUNDS)))
        use_instance(None)
    return statistics.median(times[False]), statistics.median(times[True])


async def _asked(answer: Callable[[Request], Any], count: int) -> float:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    began = time.process_time()
    for _ in range(count):
        await answer(Request(dict(SCOPE), receive))
    return (time.process_time() - began) / count * 1e6


class _Nowhere:
    def publish(self, topic: str, events: Any) -> None:
        return


def report(figures: Figures) -> str:
    accuracy = (
        f"{figures.values:,} durations of two shapes: worst relative error {figures.worst_error:.3%}; "
        f"stored in at most {figures.stored_bytes:,} bytes."
    )
    cost = (
        f"Recording one takes {figures.record_us:.2f} us; a request that is answered at once "
        f"{figures.request_us:.1f} us, and measured {figures.measured_request_us:.1f} us."
    )
    return "\n".join([accuracy, cost, "", table(figures.goals())])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=60_000)
    arguments = parser.parse_args()
    figures = run(arguments.values, arguments.requests)
    told = asdict(figures) | {"goals": [asdict(goal) for goal in figures.goals()]}
    sys.stdout.write(json.dumps(told, indent=1) if arguments.json else report(figures))
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
