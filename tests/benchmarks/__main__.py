"""`python -m tests.benchmarks [--training] [--drift] [--cache DIR]`: every benchmark, and the goals."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.goals import Goal, table


def main() -> int:
    arguments = _arguments()
    cache = [] if arguments.cache is None else ["--cache", str(arguments.cache)]
    goals = _features(_run("bench_features"))
    goals += [Goal(**goal) for goal in _run("bench_serving", *cache)["goals"]]
    goals += [Goal(**goal) for goal in _run("bench_protocols", *cache)["goals"]]
    goals += [Goal(**goal) for goal in _run("bench_latency")["goals"]]
    goals += [Goal(**goal) for goal in _run("bench_access")["goals"]]
    goals += [Goal(**goal) for goal in _run("bench_batch")["goals"]]
    goals += [Goal(**goal) for goal in _run("bench_drift", *cache, *(["--study"] * arguments.drift))["goals"]]
    if arguments.training:
        goals += [Goal(**goal) for goal in _run("bench_tabular")["goals"]]
        goals += _training(_run("bench_training"))
    sys.stdout.write(table(goals) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", action="store_true", help="train, also on the large panel: minutes")
    parser.add_argument("--drift", action="store_true", help="study drift on real data as well: minutes")
    parser.add_argument("--cache", type=Path, help="folder for the peers' environments; kept, and used again")
    return parser.parse_args()


def _run(name: str, *arguments: str) -> dict[str, Any]:
    """A benchmark in a process of its own; gives its figures."""
    sys.stderr.write(f"{name} ...\n")
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--json", *arguments]
    figures: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return figures


def _features(figures: dict[str, Any]) -> list[Goal]:
    offline, online = figures["offline"], figures["online"]
    unequal = figures["symbols"] - figures["equal_rows"]
    return [
        Goal("features, rows/s: times pandas group-by", offline["pandas, group-by"]["times"], at_least=10),
        Goal("features, rows/s: times polars lazy", offline["polars, lazy over"]["times"], at_least=3),
        Goal("features, online rows that differ from offline", unequal, at_most=0),
        Goal("features, one row: times pandas", online["pandas, same window"]["times"], at_least=60),
    ]


def _training(figures: dict[str, Any]) -> list[Goal]:
    return [
        Goal("training on the panel, minutes", figures["train_minutes"], at_most=10),
        Goal("training on the panel, peak memory in GB", figures["peak_memory_gb"], at_most=4),
    ]


if __name__ == "__main__":
    sys.exit(main())
