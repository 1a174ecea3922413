"""Writes down that it ran: its arguments and what it sees of its task."""

import json
import os
import sys
from pathlib import Path

SEEN = [
    "MLENGINE_EXECUTION",
    "CLOUD_RUN_EXECUTION",
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_TASK_INDEX",
    "CLOUD_RUN_TASK_COUNT",
    "CLOUD_RUN_TASK_ATTEMPT",
    "MLENGINE_TASK_RETRIES",
]


def folder() -> Path:
    """A project's jobs have a folder of their own, if there is a project."""
    found = Path(os.environ["SAMPLE_NOTES"]) / os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    found.mkdir(parents=True, exist_ok=True)
    return found


def note() -> None:
    seen = {"arguments": sys.argv[1:], "cwd": str(Path.cwd()), **{name: os.environ[name] for name in SEEN}}
    with (folder() / "notes").open("a") as notes:
        notes.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    note()
