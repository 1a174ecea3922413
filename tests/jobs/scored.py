"""What the scoring tests start from, and what they look at in the end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from shared.instance import Instance
from shared.platform.ports import Blobs, Platform
from shared.serving.scoring_records import Scoring, SymbolsRequest

ROOT = Path(__file__).resolve().parents[2]
MODEL = "market-signal-v1"
COUNT = 120
GOOD = [f"S{number:03d}" for number in range(COUNT)]
NEW = "AYOUNG"
"""A symbol with too few candles for a row of features, in the first chunk of its task."""


class PassedOn(Blobs):
    """Passes on; what a test wants otherwise it overrides."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def put(self, name: str, content: bytes) -> str:
        return self._blobs.put(name, content)

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        return self._blobs.get(name, sha256=sha256)

    def part(self, name: str, *, start: int, size_bytes: int) -> Any:
        return self._blobs.part(name, start=start, size_bytes=size_bytes)

    def list(self, prefix: str) -> Any:
        return self._blobs.list(prefix)

    def delete(self, name: str) -> None:
        self._blobs.delete(name)

    def upload_url(self, name: str, *, size_bytes: int, seconds: int) -> Any:
        return self._blobs.upload_url(name, size_bytes=size_bytes, seconds=seconds)


def requested(instance: Instance, scoring_id: str = "s1", **options: Any) -> Scoring:
    """A scoring that was asked for, without an event."""
    return instance.scorings.create(scoring_id, SymbolsRequest(**{"model": MODEL, **options}))


def part_names(platform: Platform, scoring_id: str = "s1", task: int | None = None) -> list[str]:
    """The parts of one task, or of all."""
    blobs = platform.blobs.list(f"scores/{scoring_id}/" + ("" if task is None else f"task={task}/"))
    return [blob.name for blob in blobs if blob.name.endswith(".parquet")]


def table(platform: Platform, scoring_id: str = "s1") -> pa.Table:
    """The union of all parts."""
    parts = [platform.blobs.get(name) for name in part_names(platform, scoring_id)]
    return pa.concat_tables([pq.read_table(io.BytesIO(part)).replace_schema_metadata() for part in parts])


def times(platform: Platform, scoring_id: str = "s1") -> Counter[str]:
    """How many rows each symbol has."""
    return Counter(table(platform, scoring_id)["symbol"].to_pylist())


def errors(platform: Platform, scoring_id: str = "s1") -> Counter[str]:
    """How often each symbol is in a file of errors."""
    blobs = platform.blobs.list(f"scores/{scoring_id}/errors/")
    found = [error for blob in blobs for error in json.loads(platform.blobs.get(blob.name))]
    return Counter(error["symbol"] for error in found)


def caught(process: subprocess.Popen[bytes], is_at_work: Callable[[], bool]) -> None:
    """Let it run in slices until it is at work; it stands still then, however late this process looks."""
    seen, end = psutil.Process(process.pid), time.monotonic() + 60
    while True:
        seen.suspend()
        if is_at_work():
            return
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < end, "it never was"
        seen.resume()
        time.sleep(0.002)


def told(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send the signal to a process that stands still, and let it go on."""
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)


def started(
    home: Path, module: str, *arguments: str, by_hand: bool = False, **task: object
) -> subprocess.Popen[bytes]:
    """A job as the platform starts it; `task` has index, count and attempt."""
    variables = {
        "CLOUD_RUN_JOB": module,
        "CLOUD_RUN_EXECUTION": "e1",
        **{f"CLOUD_RUN_TASK_{name.upper()}": str(value) for name, value in task.items()},
    }
    return subprocess.Popen(
        [sys.executable, "-m", f"shared.jobs.{module}", *arguments],
        cwd=ROOT,
        env={**os.environ, "MLENGINE_HOME": str(home), **({} if by_hand else variables)},
        stdout=subprocess.DEVNULL,
    )
