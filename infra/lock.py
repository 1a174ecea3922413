"""`python -m infra.lock`: locks exact versions with hashes: the twin, development, each function, the jobs.

All locks agree: each is made under the constraints of the development lock, which holds everything. Only
Evidently's stands apart: its pins clash with ours, so it has an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.catalogue import ROOT, read_catalogue

FOLDER = ROOT / "infra" / "requirements"
OLDEST_PYTHON = "3.11"
JOBS = ("training", "reports", "gcp-documents", "gcp-blobs")
"""The extras of the jobs' image: one for all of them."""
_OPTIONS = ("--universal", "--generate-hashes", "--no-header", "--quiet", "--python-version", OLDEST_PYTHON)


def lock(extras: Sequence[str], output: Path, *more: str) -> None:
    """Write the locked requirements of these extras of pyproject.toml to `output`."""
    chosen = [option for extra in extras for option in ("--extra", extra)]
    lock_source("pyproject.toml", output, *chosen, *more)


def lock_source(source: str, output: Path, *more: str) -> None:
    """Write the locked requirements of a file to `output`."""
    command = ["uv", "pip", "compile", source, *_OPTIONS, "-o", str(output), *more]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words


def main(arguments: Sequence[str]) -> None:
    """Lock everything; `--upgrade` takes the newest versions that pyproject.toml allows."""
    everything = FOLDER / "dev.txt"
    lock(["dev"], everything, *arguments)
    same = ("--constraint", str(everything.relative_to(ROOT)))
    for extra in ("twin", "emulators"):
        lock([extra], FOLDER / f"{extra}.txt", *same)
    lock(JOBS, FOLDER / "jobs.txt", *same)
    lock_source("infra/requirements/evidently.in", FOLDER / "evidently.txt", *arguments)
    for name, entry in read_catalogue().functions.items():
        lock(entry.extras, ROOT / "functions" / name / "requirements.txt", *same)


if __name__ == "__main__":
    main(sys.argv[1:])
