"""Notes each attempt, and fails until it has failed as often as it is told: a number per task."""

import os
import sys

from tests.contracts.sample_jobs.note import note

if __name__ == "__main__":
    note()
    failures = int(sys.argv[1:][int(os.environ["CLOUD_RUN_TASK_INDEX"])])
    sys.exit(7 if int(os.environ["CLOUD_RUN_TASK_ATTEMPT"]) < failures else 0)
