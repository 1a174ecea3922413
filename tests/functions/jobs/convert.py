"""Stands in for converting: notes that it was started, and runs until it is stopped."""

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    with (Path(os.environ["MLENGINE_HOME"]) / "started").open("a") as notes:
        notes.write(f"{os.getpid()} {' '.join(sys.argv[1:])}\n")
    time.sleep(60)
