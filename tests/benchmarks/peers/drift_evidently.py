"""Evidently on files of rows, in its own environment: prints one JSON object.

python drift_evidently.py values FILE.npz     each column's value by method, of `reference` and `current`
python drift_evidently.py alarms FILE.npz     whether its default rule alarms on each of `window_0`, ...
python drift_evidently.py cold FILE.npz       one report of its default rule: what it takes in memory
python drift_evidently.py warm FILE.npz       seconds: the median of three reports after a first one
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from evidently import Report  # type: ignore[import-not-found]  # is in the peer's own environment only
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]  # the same

METHODS = ("ks", "wasserstein", "psi", "jensenshannon")


def main() -> None:
    what, file = sys.argv[1:]
    with np.load(file) as content:
        rows = {name: _frame(content[name]) for name in content.files}
    tell = {"values": _values, "alarms": _alarms, "cold": _cold, "warm": _warm}[what]
    sys.stdout.write(json.dumps(tell(rows)))


def _values(rows: dict[str, Any]) -> dict[str, list[float]]:
    found = {}
    for method in METHODS:
        _, *columns = _run(DataDriftPreset(num_method=method), rows["reference"], rows["current"])
        found[method] = [float(column["value"]) for column in columns]
    return found


def _alarms(rows: dict[str, Any]) -> list[bool]:
    reference = rows.pop("reference")
    return [bool(_run(DataDriftPreset(), reference, rows[name])[0]["value"]["share"] >= 0.5) for name in rows]


def _cold(rows: dict[str, Any]) -> dict[str, float]:
    _run(DataDriftPreset(), rows["reference"], rows["current"])
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {"peak_mb": int(peak) / 1024}


def _warm(rows: dict[str, Any]) -> dict[str, float]:
    took = []
    for _ in range(4):
        start = time.perf_counter()
        _run(DataDriftPreset(), rows["reference"], rows["current"])
        took.append(time.perf_counter() - start)
    return {"seconds": statistics.median(took[1:])}


def _run(preset: Any, reference: Any, current: Any) -> list[dict[str, Any]]:
    metrics: list[dict[str, Any]] = Report([preset]).run(current, reference).dict()["metrics"]
    return metrics


def _frame(x: Any) -> Any:
    return pd.DataFrame(x.astype(np.float64), columns=[f"f{j:02d}" for j in range(x.shape[1])])


if __name__ == "__main__":
    main()
