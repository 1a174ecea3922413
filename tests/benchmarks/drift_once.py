"""`python -m tests.benchmarks.drift_once PROFILE.json ROWS.npz`: a window judged in a process of its own.

Prints the verdict, the peak memory in MB, and whether scipy, pandas or scikit-learn came along.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np

from shared.drift import CurrentWindow, Profile, check_drift

HEAVY = ("scipy", "pandas", "sklearn")


def main() -> None:
    profile_file, rows_file = map(Path, sys.argv[1:])
    profile = Profile.from_json(profile_file.read_bytes())
    with np.load(rows_file) as rows:
        window = CurrentWindow(rows["x"], sessions=rows["sessions"] if "sessions" in rows.files else None)
    result = check_drift(profile, window)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    heavy = [name for name in HEAVY if name in sys.modules]
    sys.stdout.write(
        json.dumps({"verdict": result.verdict.value, "peak_mb": int(peak) / 1024, "heavy": heavy})
    )


if __name__ == "__main__":
    main()
