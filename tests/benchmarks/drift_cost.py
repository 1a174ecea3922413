"""What a check costs beside Evidently's, on the same rows in one run; and whether the values agree."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from infra.catalogue import ROOT
from infra.environments import Environment
from shared.drift import CurrentWindow, Profile, build_profile, check_drift
from tests.benchmarks.contestants import PEERS

COLUMNS: Final = 24
SIZES: Final = (10_000, 100_000)
ROUNDS: Final = 3
EVIDENTLY: Final = PEERS / "drift_evidently.py"


def cost(evidently: Environment, work: Path) -> dict[str, Any]:
    """Seconds warm (in a process that has judged before) and cold (a whole process), and peak MB, by rows."""
    return {str(rows): _cost(rows, evidently, work) for rows in SIZES}


def _cost(rows: int, evidently: Environment, work: Path) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    reference = rng.normal(size=(rows, COLUMNS)).astype(np.float32)
    current = rng.normal(0.02, 1.0, (rows, COLUMNS)).astype(np.float32)
    both = work / f"both-{rows}.npz"
    np.savez(both, reference=reference, current=current)
    sessions = np.arange(rows, dtype=np.int64) * 500 // rows
    told: dict[str, Any] = {"evidently": _evidently(evidently, both)}
    for name, ordered in (("ours, rows", False), ("ours, sessions", True)):
        profile = _profile(reference, sessions if ordered else None)
        window = CurrentWindow(current, sessions=sessions if ordered else None)
        files = work / f"{rows}-{ordered}.json", work / f"{rows}-{ordered}.npz"
        files[0].write_bytes(profile.to_json())
        arrays = {"x": current, "sessions": sessions} if ordered else {"x": current}
        np.savez(files[1], allow_pickle=False, **arrays)
        told[name] = {
            "warm": _warm(profile, window),
            **_cold([sys.executable, "-m", "tests.benchmarks.drift_once", *map(str, files)]),
        }
    return told


def _profile(reference: NDArray[np.float32], sessions: NDArray[np.int64] | None) -> Profile:
    names = [f"f{j:02d}" for j in range(reference.shape[1])]
    labels = np.zeros(len(reference), int)
    made = build_profile(reference, names, np.zeros(0), ("down", "up"), labels, sessions=sessions)
    return Profile.from_json(made.to_json())


def _warm(profile: Profile, window: CurrentWindow) -> float:
    return _median(lambda: check_drift(profile, window), 15)


def _evidently(evidently: Environment, both: Path) -> dict[str, float]:
    program = [str(evidently.python), "-W", "ignore", str(EVIDENTLY)]
    warm = json.loads(_run([*program, "warm", str(both)]))["seconds"]
    return {"warm": warm, **_cold([*program, "cold", str(both)])}


def _cold(command: Sequence[str]) -> dict[str, float]:
    """After one start that fills the file cache."""
    answers = [_run(command)]
    seconds = _median(lambda: answers.append(_run(command)), ROUNDS)
    found = json.loads(answers[-1])
    return {"cold": seconds, "peak_mb": found["peak_mb"], "heavy": float(len(found.get("heavy", ())))}


def _median(call: Callable[[], object], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def _run(command: Sequence[str]) -> str:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def agreement(
    evidently: Environment, work: Path, reference: NDArray[Any], current: NDArray[Any]
) -> dict[str, float]:
    """Greatest difference over the columns between our values, from the profile, and Evidently's and
    scipy's, from the rows themselves. Of Kolmogorov-Smirnov, Evidently tells the p-value only.
    """
    from scipy.stats import ks_2samp

    file = work / "agreement.npz"
    np.savez(file, reference=reference, current=current)
    theirs = json.loads(_run([str(evidently.python), "-W", "ignore", str(EVIDENTLY), "values", str(file)]))
    result = check_drift(_profile(reference, None), CurrentWindow(current))
    ours = sorted(result.features, key=lambda one: one.name)
    exact = [float(ks_2samp(a, b).statistic) for a, b in zip(reference.T, current.T, strict=True)]
    pairs = {
        "ks (scipy)": ([one.ks for one in ours], exact),
        "wasserstein": ([one.wasserstein for one in ours], theirs["wasserstein"]),
        "psi": ([one.psi for one in ours], theirs["psi"]),
        "jensen-shannon": ([one.jensen_shannon for one in ours], theirs["jensenshannon"]),
    }
    return {name: float(np.abs(np.array(a, float) - np.array(b)).max()) for name, (a, b) in pairs.items()}


def evidently_alarms(
    evidently: Environment, work: Path, reference: NDArray[Any], windows: Sequence[NDArray[Any]]
) -> float:
    """Share of the windows in which its default rule (half of the columns drifted) alarms."""
    file = work / "alarms.npz"
    arrays = {"reference": reference, **{f"window_{i}": window for i, window in enumerate(windows)}}
    np.savez(file, allow_pickle=False, **arrays)
    return float(
        np.mean(
            json.loads(_run([str(evidently.python), "-W", "ignore", str(EVIDENTLY), "alarms", str(file)]))
        )
    )
