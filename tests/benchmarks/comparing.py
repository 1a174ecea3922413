"""What the benchmarks that compare servers have in common: their options, their table, their end."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from tests.benchmarks.goals import Goal, table
from tests.benchmarks.measuring import Plan, Samples

OnStep: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Comparison(ABC):
    """What a run found, by contestant."""

    samples: dict[str, Samples]

    def median(self, name: str, measure: str) -> float:
        values: list[float] = getattr(self.samples[name], measure)
        return statistics.median(values)

    @abstractmethod
    def goals(self) -> list[Goal]:
        """What this run should show."""

    @abstractmethod
    def notes(self) -> Sequence[str]:
        """What there is to say below the table."""

    def report(self) -> str:
        head = f"{'median [least-greatest]':<36}{'cold start s':>20}{'p50 us':>20}{'p99 us':>8}"
        lines = [f"{head}{'requests/s a core':>24}{'PSS MB':>8}{'RSS MB':>8}"]
        for name, each in self.samples.items():
            lines.append(
                f"{name:<36}{_spread(each.cold_seconds, 2):>20}{_spread(each.p50_us, 0):>20}"
                f"{statistics.median(each.p99_us):>8,.0f}{_spread(each.requests_per_core_second, 0):>24}"
                f"{statistics.median(each.pss_mb):>8.0f}{statistics.median(each.rss_mb):>8.0f}"
            )
        return "\n".join([*lines, "", *self.notes(), "", table(self.goals())])


@contextmanager
def work_folder(cache: Path) -> Iterator[Path]:
    """A folder for one run beside the environments, which stay."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="run-") as folder:
        yield Path(folder)


def main(
    about: str | None, run: Callable[[Plan, Path, OnStep], Comparison], *, requests: int, parallel: int
) -> int:
    """Run a comparison by its command line; `about` is its description. A round has so many single `requests`
    unless told otherwise, and `parallel` times as many in parallel.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--cache", type=Path, help="folder of environments and state; kept, and used again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--requests", type=int, default=requests, help=f"single ones a round; {parallel} times in parallel"
    )
    arguments = parser.parse_args()
    plan = Plan(arguments.rounds, arguments.requests, parallel * arguments.requests)
    with tempfile.TemporaryDirectory(prefix="mlengine-bench-") as temporary:
        found = run(plan, arguments.cache or Path(temporary), lambda step: sys.stderr.write(f"{step}\n"))
    goals = {"goals": [asdict(goal) for goal in found.goals()]}
    sys.stdout.write(json.dumps(asdict(found) | goals, indent=1) if arguments.json else found.report())
    sys.stdout.write("\n")
    return 0


def _spread(values: list[float], digits: int) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} [{low:,.{digits}f}-{high:,.{digits}f}]"
