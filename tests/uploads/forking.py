"""Runs the conversion's process for many folders: `python -m tests.uploads.forking FOLDER...`.

The libraries are loaded once; each conversion is a child of its own with the real bounds, as if it had been
started alone. What each took is written beside its outcome.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from shared.jobs.conversion.__main__ import main

LONGEST_SECONDS = 60


def run(folder: Path) -> None:
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(folder / "errors", os.O_CREAT | os.O_WRONLY), 2)
        signal.alarm(LONGEST_SECONDS)
        code = 1
        try:
            main(folder)
            code = 0
        except Exception as error:  # noqa: BLE001 - as Python itself ends where nobody catches
            os.write(2, repr(error).encode())
        finally:
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    told = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - started,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
    }
    (folder / "usage.json").write_text(json.dumps(told))


if __name__ == "__main__":
    for name in ("of_onnx", "of_lightgbm", "of_xgboost", "of_skops", "trial"):
        importlib.import_module(f"shared.jobs.conversion.{name}")
    for each in sys.argv[1:]:
        run(Path(each))
