"""Throw-away virtual environments, made from pinned requirements and kept for the next run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path


class Environment:
    """A virtual environment that holds what a requirements file pins, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.python = self.bin / "python"

    def run(self, *arguments: str) -> None:
        """Run this environment's Python to its end; what it says is shown only if it fails."""
        done = subprocess.run([self.python, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.python} {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def environment(cache: Path, requirements: Path) -> Environment:
    """The environment of `requirements` under `cache`, made on first use. Packages are compiled by pip."""
    fingerprint = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"{requirements.parent.name}-{requirements.stem}-{fingerprint}"
    made = Environment(folder)
    complete = folder / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        made.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
        complete.touch()
    return made
