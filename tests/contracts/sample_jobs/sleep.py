"""Runs for a minute. `stubborn`: SIGTERM doesn't end it. `second`: its first attempt fails at once."""

import os
import signal
import sys
import time

from tests.contracts.sample_jobs.note import folder, note

if __name__ == "__main__":
    if sys.argv[1:] == ["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note()
    if sys.argv[1:] == ["second"] and os.environ["CLOUD_RUN_TASK_ATTEMPT"] == "0":
        sys.exit(1)
    fresh = folder() / f"sleeper-{os.getpid()}"
    fresh.write_text(str(os.getpid()))
    fresh.rename(folder() / "sleeper")
    time.sleep(60)
