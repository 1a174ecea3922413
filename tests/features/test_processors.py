"""The same bits whatever vector instructions numpy finds on the processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shared.market.candles import COLUMNS
from tests.features.made import candles, real_candles

PROGRAM = """
import hashlib, sys
import numpy as np
from shared.features import feature_set
from shared.market.candles import Candles, Panel

timestamp, columns = (np.load(f"{sys.argv[1]}/{name}.npy") for name in ("timestamp", "columns"))
series, features = Candles("SAME", "1d", timestamp, *columns), feature_set("technical")
rows = [features.latest(series[:end]) for end in range(features.memory + 1, len(series), 97)]
matrix = features.matrix(Panel.of([series]))
print(hashlib.sha256(matrix.tobytes() + np.array(rows).tobytes()).hexdigest())
print(*np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))
"""


def _sha256_and_extensions(folder: Path, without: list[str]) -> tuple[str, list[str]]:
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(without)}
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    sha256, extensions = done.stdout.splitlines()
    return sha256, extensions.split()


@pytest.mark.parametrize("symbol", ["made", "IBM"])
def test_rows_are_the_same_bits_at_every_vector_level(symbol: str, tmp_path: Path) -> None:
    series = candles(1_000) if symbol == "made" else real_candles(symbol)
    np.save(tmp_path / "timestamp.npy", series.timestamp)
    np.save(tmp_path / "columns.npy", np.array([getattr(series, name) for name in COLUMNS]))
    sha256, extensions = _sha256_and_extensions(tmp_path, without=[])
    if not extensions:
        pytest.skip("numpy has no choice of vector instructions on this processor")
    for level in range(len(extensions)):
        found = _sha256_and_extensions(tmp_path, without=extensions[level:])
        assert found == (sha256, extensions[:level])
