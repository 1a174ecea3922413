"""`python -m infra.emulators.child PARENT COMMAND...`: becomes COMMAND, and ends with process PARENT."""

import os
import sys

from shared.platform.local.processes import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - our own command, no shell
