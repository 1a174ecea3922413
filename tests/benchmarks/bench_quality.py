"""Candle findings against known defects: recall and precision per kind, on the development data.

python -m tests.benchmarks.bench_quality [--json] [--data ../shared/data/market]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.market.defects import Measured, measure
from tests.market.injected import put_in


def main() -> int:
    arguments = _arguments()
    if not arguments.data.is_dir():
        sys.stderr.write(f"The development data isn't at {arguments.data}.\n")
        return 1
    rows = [*measure(arguments.data), *put_in(arguments.data)]
    sys.stdout.write(json.dumps([_json(row) for row in rows], indent=1) if arguments.json else _table(rows))
    sys.stdout.write("\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/market"))
    return parser.parse_args()


def _json(row: Measured) -> dict[str, object]:
    return {**vars(row), "recall": row.recall, "precision": row.precision}


def _table(rows: Sequence[Measured]) -> str:
    lines = [
        f"{'defect':<48}{'finding':<30}{'known':>8}{'found':>8}{'recall':>9}{'called':>8}{'precision':>11}"
    ]
    for row in rows:
        called = "" if row.flagged is None else f"{row.flagged:,}"
        precision = "" if row.precision is None else f"{row.precision:.1%}"
        lines.append(
            f"{row.defect:<48}{row.kind:<30}{row.known:>8,}{row.found:>8,}{row.recall:>9.1%}"
            f"{called:>8}{precision:>11}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
