"""Virtual environments that hold what a requirements file pins and nothing else, kept for the next time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from shared.errors import OwnError


class Environment:
    """One of them: its programs, its packages, its weight."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bin = folder / "bin"
        self.python = self.bin / "python"

    def run(self, *arguments: str) -> str:
        """Run its Python to the end; gives what it prints.

        Raises:
            OwnError: it failed; with what it complained of.
        """
        return _run(str(self.python), *arguments)

    def size_bytes(self) -> int:
        """What the packages weigh, without the code that was compiled from them."""
        (packages,) = (self._folder / "lib").glob("python*/site-packages")
        files = (file for file in packages.rglob("*") if file.is_file() and file.suffix != ".pyc")
        return sum(file.stat().st_size for file in files)

    def distributions(self) -> set[str]:
        """The names of what is installed, as PEP 503 spells them."""
        script = (
            "import importlib.metadata as m, re;"
            "print(*{re.sub('[-_.]+', '-', d.name).lower() for d in m.distributions()})"
        )
        return set(self.run("-I", "-c", script).split())


def environment(cache: Path, requirements: Path, *, locked: bool = True) -> Environment:
    """The environment of `requirements` under `cache`, made on first use; its packages are compiled.

    `locked` requirements have hashes, which must hold.

    Raises:
        OwnError: a package can't be had, or isn't the one that was locked.
    """
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache / key
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache, prefix=".new-"))
        try:
            _make(fresh, requirements, locked)
            fresh.chmod(0o755)
            fresh.rename(folder)
        except OSError:
            if not folder.exists():  # else somebody else has made it meanwhile
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return Environment(folder)


def _make(folder: Path, requirements: Path, locked: bool) -> None:
    uv = (sys.executable, "-m", "uv", "--quiet")
    _run(*uv, "venv", "--relocatable", "--allow-existing", "--python", sys.executable, str(folder))
    install = (*uv, "pip", "install", "--compile-bytecode", "--link-mode", "copy")
    hashes = ("--require-hashes",) if locked else ()
    _run(*install, *hashes, "--python", str(folder / "bin" / "python"), "-r", str(requirements))


def _run(*command: str) -> str:
    """What a command prints; what it complains of comes out when it fails."""
    home = {name: text for name, text in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(command, env=home, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise OwnError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr.strip()}")
    return done.stdout
