"""What Evidently says of the same windows: its own report, made by an interpreter that has it.

Its pins clash with ours, so it lives in an environment of its own; EVIDENTLY_PYTHON names that one's Python.
Rows go there as Parquet files, a page comes back. Nothing of ours depends on it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import OwnError

FILE: Final = "evidently.html"
LONGEST_SECONDS: Final = 600.0

_SCRIPT: Final = Path(__file__).with_name("evidently_script.py")
_LOOK_SECONDS: Final = 0.1
_SHOWN: Final = 400


def report(
    python: Path,
    names: Sequence[str],
    reference: NDArray[np.float32],
    current: NDArray[np.float32],
    check: Callable[[], None],
) -> bytes:
    """Evidently's page on two windows with these columns. `check` is called while it works, and may raise.

    Raises:
        OwnError: Evidently gave no report; with what it complained of.
    """
    with tempfile.TemporaryDirectory(prefix="mlengine-evidently-") as name:
        folder = Path(name)
        files = [folder / "reference.parquet", folder / "current.parquet", folder / FILE]
        _write(files[0], names, reference)
        _write(files[1], names, current)
        _run([str(python), "-I", str(_SCRIPT), *map(str, files)], folder, check)
        if not files[2].exists():
            raise OwnError("Evidently ended without a report.")
        return files[2].read_bytes()


def _write(file: Path, names: Sequence[str], x: NDArray[np.float32]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = dict(zip(names, np.ascontiguousarray(x.T), strict=True))
    pq.write_table(pa.table(columns), file)


def _run(command: Sequence[str], folder: Path, check: Callable[[], None]) -> None:
    """To the end, or until `check` raises; nothing of it outlives this call."""
    until = time.monotonic() + LONGEST_SECONDS
    said = folder / "said"
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder)}  # no secrets of ours
    try:
        with said.open("wb") as words:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=words, stderr=words)  # noqa: S603 - an operator's interpreter, our script
    except OSError as error:
        raise OwnError(f"EVIDENTLY_PYTHON can't be started: {error}.") from error
    try:
        while process.poll() is None:
            check()
            if time.monotonic() > until:
                raise OwnError(f"Evidently took longer than {LONGEST_SECONDS:.0f} s.")
            time.sleep(_LOOK_SECONDS)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last = said.read_text("utf-8", "replace").strip().rpartition("\n")[2][:_SHOWN]
        raise OwnError(f"Evidently failed with exit code {process.returncode}: {last or 'no word'}")
