"""Runs for a minute. With `stubborn`, SIGTERM doesn't end it."""

import os
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    if sys.argv[1:] == ["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    state = Path(os.environ["SAMPLE_NOTES"])
    (state / "sleeper.new").write_text(str(os.getpid()))
    (state / "sleeper.new").rename(state / "sleeper")
    time.sleep(60)
