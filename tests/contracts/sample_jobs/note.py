"""Writes down that it ran: its arguments and what it sees of its task."""

import json
import os
import sys
from pathlib import Path

SEEN = ["CLOUD_RUN_EXECUTION", "CLOUD_RUN_JOB", "CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"]

if __name__ == "__main__":
    note = {"arguments": sys.argv[1:], "cwd": str(Path.cwd()), **{name: os.environ[name] for name in SEEN}}
    note["attempt"] = os.environ["CLOUD_RUN_TASK_ATTEMPT"]
    line = json.dumps(note) + "\n"
    with (Path(os.environ["SAMPLE_NOTES"]) / "notes").open("a") as notes:
        notes.write(line)
