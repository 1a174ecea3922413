"""Starts the conversion's process, and reads what it has made: as warily as what it was given."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from pydantic import ValidationError

from shared.errors import OwnError
from shared.jobs.conversion import limits
from shared.jobs.conversion.outcome import (
    ERRORS_FILE,
    MAX_ONNX_BYTES,
    MAX_OUTCOME_BYTES,
    MODEL_FILE,
    ONNX_FILE,
    OUTCOME_FILE,
    REQUEST_FILE,
    Outcome,
)

_ROOT: Final = Path(__file__).resolve().parents[3]
_LOOK_SECONDS: Final = 0.05
_UNCAUGHT: Final = (1, 120)
"""Python's exit codes for an exception that nobody caught; the second where it couldn't even be told, as on a
full disk.
"""

_TOLD_BYTES: Final = 2_000
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Made:
    """What came out. `model` is empty where the outcome is a refusal; `seconds` and `peak_bytes` are what the
    process took.
    """

    outcome: Outcome
    model: bytes
    seconds: float
    peak_bytes: int


def convert(content: bytes, request: bytes, check: Callable[[], None] = lambda: None) -> Made:
    """Convert a file in a process of its own. `check` is called between looks, and may raise: the process is
    killed then.

    Whatever the file does to that process, the answer is an outcome: one that is killed counts as a refusal.

    Raises:
        OwnError: the process failed of an error that nobody has thought of.
    """
    with tempfile.TemporaryDirectory(prefix="conversion-") as name:
        folder = Path(name)
        (folder / MODEL_FILE).write_bytes(content)
        (folder / REQUEST_FILE).write_bytes(request)
        started = time.monotonic()
        with (folder / ERRORS_FILE).open("wb") as errors:
            code, peak_bytes = _run(folder, errors, check)
        seconds = time.monotonic() - started
        if code in _UNCAUGHT:
            raise OwnError(f"The conversion itself broke down: {_last_line(folder / ERRORS_FILE)}")
        refusal = _disorder(code, len(content))
        if refusal is not None:
            return Made(Outcome(reasons=(refusal,)), b"", seconds, peak_bytes)
        return _read(folder, seconds, peak_bytes)


def _run(folder: Path, errors: IO[bytes], check: Callable[[], None]) -> tuple[int, int]:
    """The exit code, below 0 for a signal; and the most memory that was resident, in bytes."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(_ROOT), "HOME": str(folder), "LANG": "C.UTF-8"}
    process = subprocess.Popen(  # noqa: S603 - our own module, and an argument that we chose
        [sys.executable, "-P", "-m", "shared.jobs.conversion", str(folder)],
        cwd=folder,
        env=environment | dict.fromkeys(_THREADS, "1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )
    deadline = time.monotonic() + limits.WALL_SECONDS
    try:
        while True:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if done:
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode, used.ru_maxrss * 1024
            if time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
            check()
            time.sleep(_LOOK_SECONDS)
    finally:
        with suppress(ProcessLookupError):  # nobody is left, as it should be
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode is None:
            process.wait()


def _disorder(code: int, size_bytes: int) -> str | None:
    """Why a process that didn't end in order counts as a refusal; None where it did."""
    if code == 0:
        return None
    if code == -signal.SIGXCPU:
        return f"Reading and trying the model took more than {limits.CPU_SECONDS} s of processor time."
    if code == -signal.SIGKILL:
        return (
            f"Reading and trying the model took longer than {limits.WALL_SECONDS:.0f} seconds, or more "
            "memory than there is."
        )
    megabytes = limits.memory_bytes(size_bytes) // 1_000_000
    how = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit code {code}"
    return (
        f"Its library broke down while reading or trying the model ({how}), within {megabytes} MB of memory: "
        "the file isn't sound, or needs more than that."
    )


def _read(folder: Path, seconds: float, peak_bytes: int) -> Made:
    """What the process has written, taken for no more than bytes until it was checked."""
    try:
        outcome = Outcome.model_validate_json(_content(folder / OUTCOME_FILE, MAX_OUTCOME_BYTES))
        model = b"" if outcome.reasons else _content(folder / ONNX_FILE, MAX_ONNX_BYTES)
    except (ValidationError, OSError, ValueError):
        outcome = Outcome(reasons=("The conversion left nothing that can be used: the file isn't sound.",))
        model = b""
    return Made(outcome, model, seconds, peak_bytes)


def _last_line(file: Path) -> str:
    """Of what was written to standard error: the error itself."""
    lines = file.read_bytes()[-_TOLD_BYTES:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _content(file: Path, most_bytes: int) -> bytes:
    """
    Raises:
        OSError, ValueError: no plain file, or too large a one.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as opened:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > most_bytes:
            raise ValueError("no plain file, or too large a one")
        return opened.read()
