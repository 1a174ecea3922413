"""`python -m infra.evidently`: makes the environment that drift reports take Evidently's opinion from.

It prints the line for `.env`. Its packages stay apart from ours, with which their pins clash.
"""

from __future__ import annotations

import sys

from infra.catalogue import ROOT
from infra.environments import environment
from infra.lock import FOLDER
from shared.errors import OwnError

ENVIRONMENTS = ROOT / "build" / "environments"


def main() -> int:
    try:
        made = environment(ENVIRONMENTS, FOLDER / "evidently.txt")
    except OwnError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"EVIDENTLY_PYTHON={made.python}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
