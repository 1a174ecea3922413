"""Replay: every audited prediction verified bit for bit, and one flipped bit of the store found.

python -m tests.benchmarks.bench_verify [--json] [--predictions 10000]

Predictions are made by the predictor with a model of 200 trees, settled by candles, and then verified. Also
told: the share of them that a batch would score with other bits, and what the live metrics take to compute.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from shared.market.candles import Panel
from shared.training.market.dataset import build_dataset
from tests.benchmarks.state import package
from tests.packages import FEATURES
from tests.predicted import FIRST, Market

SYMBOLS = 100


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="mlengine-verify-") as work:
        figures = run(Path(work) / "home", arguments.predictions)
    lines = [f"{name.replace('_', ' '):<44}{value:>14,.6g}" for name, value in figures.items()]
    sys.stdout.write(json.dumps(figures, indent=1) if arguments.json else "\n".join(lines))
    sys.stdout.write("\n")
    return 0 if figures["differing"] == 0 and figures["found_after_one_flipped_bit"] == 1 else 1


def run(home: Path, count: int) -> dict[str, Any]:
    """The figures; seconds are wall time."""
    days = -(-count // SYMBOLS)
    market = Market(home, SYMBOLS, FIRST + days + 1)
    dataset = build_dataset(list(market.series.values()), FEATURES, horizon=1)
    version = market.instance.registry.register(package(dataset), created_by="benchmark")
    market.instance.registry.activate(version.id, by="benchmark")
    figures: dict[str, Any] = {}
    with _timed(figures, "seconds_to_predict_and_audit"):
        for day in range(days):
            market.instance.audit.store(market.predict(FIRST + day))
    market.close(FIRST + days)
    with _timed(figures, "seconds_to_settle"):
        settled = market.instance.outcomes.settle("1d", list(market.series)).settled
    with _timed(figures, "seconds_to_measure_performance"):
        report = market.instance.performance.report("market-signal", "all")
    with _timed(figures, "seconds_to_verify"):
        found = market.instance.verifier.verify()
    figures |= {"predictions": found.checked, "settled": settled, "measured": report.predictions}
    figures["differing"] = len(found.differences)
    figures["other_bits_in_batches_of_all_rows"] = _other_bits(market)
    _flip(home, "p00042")
    fresh = Market(home, 1, FIRST + 1)
    figures["found_after_one_flipped_bit"] = len(fresh.instance.verifier.verify().differences)
    return figures


def _other_bits(market: Market) -> int:
    """How many rows a batch scores otherwise than one row at a time."""
    scorer = market.instance.registry.open_package("market-signal-v1").verified_scorer()
    rows = FEATURES.matrix(Panel.of(list(market.series.values())), dtype=np.float32)
    rows = np.ascontiguousarray(rows[np.isfinite(rows).all(axis=1)])
    together = scorer.score(rows)
    alone = np.concatenate([scorer.score(rows[n : n + 1]) for n in range(len(rows))])
    return int((together.view(np.uint32) != alone.view(np.uint32)).any(axis=1).sum())


def _flip(home: Path, prediction_id: str) -> None:
    """Flip the lowest bit of the last digit of the first feature, in the database's file."""
    connection = sqlite3.connect(home / "documents.sqlite3")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    query = "SELECT data FROM documents WHERE collection = 'predictions' AND id = ?"
    (text,) = connection.execute(query, (prediction_id,)).fetchone()
    connection.close()
    features = text[text.index('"features"') :].split(",")[0].encode()
    file = home / "documents.sqlite3"
    content = bytearray(file.read_bytes())
    content[content.index(features) + len(features) - 1] ^= 1
    file.write_bytes(content)


class _timed:  # noqa: N801 - reads as what it does
    def __init__(self, figures: dict[str, Any], name: str) -> None:
        self._figures, self._name = figures, name

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._figures[self._name] = round(time.perf_counter() - self._begin, 3)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--predictions", type=int, default=10_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
