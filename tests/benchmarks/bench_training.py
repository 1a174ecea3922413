"""Training on a panel: minutes, peak memory, the table of metrics, and what follows from it.

python -m tests.benchmarks.bench_training [--json] [--data FILE] [--timeframe 1d]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shared.config import load_settings
from shared.evaluation.metrics import METRICS
from shared.market.calendar import calendar_named
from shared.market.candles import COLUMNS, Candles, RawCandles
from shared.market.checks import check
from shared.market.splits import split_series
from shared.problems.market_signal import PROBLEM
from shared.training.market.run import TrainingResult, train
from shared.training.options import TrainingRequest

PANEL = Path("../shared/data/market/sp500_daily_5y.parquet")


def main() -> int:
    arguments = _arguments()
    if not arguments.data.exists():
        sys.stderr.write(f"{arguments.data} is not here; give a Parquet file of candles with --data.\n")
        return 1
    request = TrainingRequest(problem="market_signal")
    began = time.perf_counter()
    series = list(_series(arguments.data))
    loaded = time.perf_counter()
    progress = _quiet if arguments.json else _told
    result = train(PROBLEM, series, request.market_options(load_settings(), PROBLEM), progress)
    figures = _figures(series, result, loaded - began, time.perf_counter() - loaded)
    if arguments.report:
        arguments.report.write_text(result.report_html, "utf-8")
    sys.stdout.write(json.dumps(figures, indent=1) if arguments.json else _table(figures))
    sys.stdout.write("\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--data", type=Path, default=PANEL, help="Parquet file of daily candles")
    parser.add_argument("--report", type=Path, help="write the training report there")
    return parser.parse_args()


def _series(file: Path) -> Iterator[Candles]:
    """The file's candles as the store would hold them: checked, and cut at breaks."""
    import pyarrow.parquet as pq

    table = pq.read_table(file, columns=["symbol", "timestamp", *COLUMNS])
    names = table["symbol"].to_numpy(zero_copy_only=False)
    stamps = table["timestamp"].to_numpy(zero_copy_only=False).astype("datetime64[s]").astype(np.int64)
    values = {name: table[name].to_numpy().astype(np.float64) for name in COLUMNS}
    calendar, now_seconds = calendar_named("XNYS"), float(stamps.max() + 10 * 86_400)
    for symbol in np.unique(names):
        rows = names == symbol
        raw = RawCandles(str(symbol), "1d", stamps[rows], *(values[name][rows] for name in COLUMNS))
        checked = check(raw, timeframe="1d", now_seconds=now_seconds, calendar=calendar)
        yield from split_series(checked.candles, checked.breaks)


def _figures(
    series: list[Candles], result: TrainingResult, load_seconds: float, train_seconds: float
) -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "candles": sum(map(len, series)),
        "series": len(series),
        "rows": len(result.dataset),
        "features": len(result.dataset.feature_names),
        "load_seconds": round(load_seconds, 1),
        "train_minutes": round(train_seconds / 60, 2),
        "processor_minutes": round((usage.ru_utime + usage.ru_stime) / 60, 2),
        "seconds_by_stage": {name: round(seconds, 1) for name, seconds in result.timings.items()},
        "peak_memory_gb": round(usage.ru_maxrss / 2**20, 2),
        "metrics": result.metrics(),
        "gates": [gate.json() for gate in result.gates],
        "suspected_leak": result.findings.leak,
        "warnings": list(result.findings.warnings),
        "conclusion": result.findings.conclusion(),
    }


def _table(figures: dict[str, Any]) -> str:
    metrics = figures["metrics"]
    parts = {
        "walk-forward": {**metrics["walk_forward"]["candidates"], **metrics["walk_forward"]["baselines"]},
        "hold-out": {metrics["selected"]: metrics["hold_out"]["model"], **metrics["hold_out"]["baselines"]},
    }
    extent = f"{figures['candles']:,} candles in {figures['series']} series"
    minutes = f"{figures['train_minutes']} minutes ({figures['processor_minutes']} of processor time)"
    cost = f"{minutes}, peak memory {figures['peak_memory_gb']} GB"
    lines = [
        f"{extent}: {figures['rows']:,} rows x {figures['features']} features",
        f"{cost}; seconds by stage: {figures['seconds_by_stage']}",
    ]
    for title, rows in parts.items():
        lines += ["", f"| {title} | {' | '.join(METRICS)} |", "|---" * (len(METRICS) + 1) + "|"]
        lines += [
            f"| {name} | " + " | ".join(_cell(row.get(m)) for m in METRICS) + " |"
            for name, row in rows.items()
        ]
    gains = metrics["hold_out"]["gains"]
    lines += ["", *(f"gain over the base rate, {name}: {_cell(gain)}" for name, gain in gains.items())]
    lines += [gate["why"] for gate in figures["gates"]]
    return "\n".join([*lines, *figures["warnings"], "", figures["conclusion"]])


def _row(name: str, estimates: dict[str, Any]) -> str:
    return f"| {name} | {' | '.join(_cell(estimates.get(metric)) for metric in METRICS)} |"


def _cell(estimate: dict[str, float | None] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['value']:.4f}"
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


def _told(stage: str, done: int, total: int, message: str) -> None:
    sys.stderr.write(f"{stage:>14} {done}/{total} {message}\n")


def _quiet(stage: str, done: int, total: int, message: str) -> None:
    """JSON comes alone."""


if __name__ == "__main__":
    raise SystemExit(main())
