"""Features: our kernels against pandas and polars on the same candles, each with one thread.

python -m tests.benchmarks.bench_features [--json] [--symbols 500] [--candles 2520] [--rounds 9]

Times are processor time, medians over rounds in which the contestants take turns. The system's part of it,
mostly for fresh memory, differs from machine to machine; ratios of the user's part alone are told as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


def main() -> int:
    arguments = _arguments()
    os.environ.update(ONE_THREAD)
    from tests.benchmarks.peers import features_contest  # reads the number of threads at import

    figures = features_contest.hold(arguments.symbols, arguments.candles, arguments.rounds)
    sys.stdout.write(json.dumps(figures, indent=1) if arguments.json else _report(figures))
    sys.stdout.write("\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--candles", type=int, default=2520, help="per symbol; more than 1,000")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def _report(figures: dict[str, Any]) -> str:
    lines = [
        "{features} features, {symbols} symbols x {candles} candles, {rounds} rounds".format(**figures),
        "",
        f"{'many candles':<34}{'seconds':>9}{'user':>8}{'rows/s':>13}{'x':>8}{'x user':>8}",
        *(
            f"{name:<34}{row['seconds']:>9.3f}{row['user_seconds']:>8.3f}"
            f"{row['rows_per_second']:>13,.0f}{row['times']:>8.1f}{row['times_user']:>8.1f}"
            for name, row in figures["offline"].items()
        ),
        "",
        f"{'the last row of one symbol':<34}{'us':>9}{'x':>8}",
        *(
            f"{name:<34}{row['microseconds']:>9.1f}{row['times']:>8.1f}"
            for name, row in figures["online"].items()
        ),
        "",
        "rows online and offline with equal bits: {equal_rows} of {symbols}".format(**figures),
        *(f"furthest from {name}: {far}" for name, far in figures["differences"].items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
