"""Ends as it is told: an exit code, `raise`, `text`, `kill`, or well."""

import os
import signal
import sys

if __name__ == "__main__":
    how = sys.argv[1]
    sys.stdout.write(f"ending by {how}\n")
    if how == "raise":
        raise RuntimeError("a reason for people")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "fail-second":
        sys.exit(int(os.environ["CLOUD_RUN_TASK_INDEX"] == "1"))
    if how != "well":
        sys.exit(how if how == "text" else int(how))
