"""Drift: false alarms on quiet candles, what is found, and what a check costs, beside the usual rules.

    python -m tests.benchmarks.bench_drift [--json] [--study] [--data DIR] [--windows 10] [--cache DIR]

Without `--study` only the cost and the agreement of values are measured. The study needs the folder of real
data. The rule was chosen on the long histories (12 symbols, 2000 to 2015) and on other symbols of the panel
(every sixth from the second and the fourth, 2013 to 2016), and looked at on every sixth from the first; it is
told on every sixth from the third, 2014 to 2018. Windows overlap: figures of 60 sessions rest on few that
don't. Of the panel's 384 symbols 64 are taken, to keep a run to minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from infra.environments import Environment, environment
from shared.drift import build_profile
from tests.benchmarks.contestants import PEERS
from tests.benchmarks.drift_cost import agreement, cost, evidently_alarms
from tests.benchmarks.drift_data import FEATURES, read_candles
from tests.benchmarks.drift_heart import sites
from tests.benchmarks.drift_rules import RULES
from tests.benchmarks.drift_study import (
    LENGTHS,
    OURS,
    Ground,
    days_until,
    false_alarms,
    half_shifted,
    missing,
    power,
    regime,
    shifted,
)
from tests.benchmarks.goals import Goal, table

DATA: Final = Path("../shared/data")
EVIDENTLY: Final = "Evidently's default"
EVIDENTLY_ROWS: Final = 5_000
EVIDENTLY_WINDOWS: Final = 8
PANEL: Final = ("2014-06-01", "2016-08-01", "2018-05-19")
CHOSEN_ON: Final = (
    ("2000-06-01", "2005-08-01", "2007-02-20"),
    ("2003-06-01", "2005-08-01", "2007-02-20"),
    ("2004-06-01", "2006-02-01", "2007-06-20"),
    ("2009-10-01", "2012-06-01", "2014-08-01"),
    ("2011-12-01", "2013-08-01", "2015-08-01"),
    ("2012-06-01", "2014-08-01", "2015-08-01"),
)
CRASH: Final = ("2004-06-01", "2007-06-01", "2009-07-01")
LEHMAN: Final = "2008-09-15"


def main() -> int:
    arguments = _arguments()
    if arguments.study and not arguments.data.exists():
        sys.stderr.write(f"{arguments.data} is not here; give the folder of real data with --data.\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="drift-") as folder:
        work = Path(folder)
        evidently = environment(arguments.cache or work, PEERS / "evidently.txt", locked=False)
        figures: dict[str, Any] = {}
        if arguments.study:
            figures |= _study(arguments.data, arguments.windows, evidently, work)
        _step("cost")
        figures |= {"cost": cost(evidently, work), "agreement": _agreement(evidently, work)}
    figures["goals"] = [asdict(goal) for goal in _goals(figures)]
    sys.stdout.write(json.dumps(figures, indent=1) if arguments.json else _report(figures))
    sys.stdout.write("\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--study", action="store_true", help="false alarms and power on real data: minutes")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with market/ and heart/")
    parser.add_argument("--windows", type=int, default=10, help="per length and fault, where power is told")
    parser.add_argument("--cache", type=Path, help="folder for Evidently's environment; kept, and used again")
    return parser.parse_args()


def _study(data: Path, windows: int, evidently: Environment, work: Path) -> dict[str, Any]:
    market = data / "market"
    _step("the panel")
    series = read_candles(market / "sp500_daily_5y.parquet", every=6, first=2)
    ground = Ground.of("panel", series, *PANEL)
    quiet = false_alarms(ground, rivals=True)
    _step("Evidently on the panel")
    rng = np.random.default_rng(0)
    rows = ground.reference.x[rng.choice(len(ground.reference), EVIDENTLY_ROWS, replace=False)]
    for sessions in LENGTHS:
        some = [window.x for window in ground.windows(sessions, EVIDENTLY_WINDOWS)]
        quiet[str(sessions)][EVIDENTLY] = evidently_alarms(evidently, work, rows, some)
    _step("what is found")
    return {
        "reference_rows": len(ground.reference),
        "quiet": quiet,
        "shifted": {str(n): shifted(ground, n, windows) for n in LENGTHS},
        "half_shifted": {str(n): half_shifted(ground, n, windows) for n in LENGTHS},
        "faults": {str(n): power(ground, n, windows) for n in LENGTHS},
        "missing": missing(ground, windows),
        "profile": _profile(ground),
        **_long(read_candles(market / "us_long_unadjusted_daily.parquet")),
        "heart": sites(data / "heart"),
    }


def _long(series: list[Any]) -> dict[str, Any]:
    _step("the long histories")
    chosen_on = {
        f"{start} to {split}": false_alarms(Ground.of("long", series, start, split, end), rivals=False)
        for start, split, end in CHOSEN_ON
    }
    crash = Ground.of("crash", series, *CRASH)
    return {
        "chosen_on": chosen_on,
        "crash": {
            str(n): {
                "after Lehman": regime(crash, n, LEHMAN, "2008-12-31"),
                "sessions until found": days_until(crash, n, LEHMAN),
            }
            for n in (1, 5, 20)
        },
    }


def _profile(ground: Ground) -> dict[str, float]:
    """What a profile of the whole feature set weighs, and what it takes to build."""
    start = time.perf_counter()
    reference = ground.reference
    labels = np.zeros(len(reference), int)
    scores = np.random.default_rng(0).random(len(reference))
    made = build_profile(
        reference.x,
        FEATURES.names,
        scores,
        ("down", "up"),
        labels,
        sessions=reference.stamp,
        score_sessions=reference.stamp,
    )
    return {"seconds": time.perf_counter() - start, "kilobytes": len(made.to_json()) / 1e3}


def _agreement(evidently: Environment, work: Path) -> dict[str, float]:
    """On columns of several shapes, without values that other rows share."""
    rng = np.random.default_rng(1)
    reference, current = rng.normal(size=(10_000, 9)), rng.normal(0.2, 1.1, (5_000, 9))
    for rows in (reference, current):
        rows[:, 3:6] = np.exp(rows[:, 3:6] / 2)
        rows[:, 6:] = rng.standard_t(5, (len(rows), 3))
    return agreement(evidently, work, reference.astype(np.float32), current.astype(np.float32))


def _goals(figures: dict[str, Any]) -> Iterator[Goal]:
    if "quiet" in figures:
        yield from _study_goals(figures)
    for rows, (warm, cold) in {"10000": (200, 40), "100000": (60, 40)}.items():
        theirs = figures["cost"][rows]["evidently"]
        for name in ("ours, rows", "ours, sessions"):
            ours = figures["cost"][rows][name]
            what = f"check of {int(rows):,} x 24, {name[6:]}"
            yield Goal(f"{what}: times Evidently warm", theirs["warm"] / ours["warm"], at_least=warm)
            yield Goal(f"{what}: times Evidently cold", theirs["cold"] / ours["cold"], at_least=cold)
            yield Goal(f"{what}: peak MB of a process", ours["peak_mb"], at_most=60)
            yield Goal(f"{what}: heavy libraries imported", ours["heavy"], at_most=0)


def _study_goals(figures: dict[str, Any]) -> Iterator[Goal]:
    for sessions, rates in figures["quiet"].items():
        rivals = min(rates[rule] for rule in (*RULES, EVIDENTLY))
        yield Goal(f"false alarms, {sessions} sessions: ours", rates[OURS], at_most=0.1)
        yield Goal(f"false alarms, {sessions} sessions: the others, least", rivals, at_least=0.9)
    for sessions in LENGTHS:
        one = float(np.mean(list(figures["shifted"][str(sessions)].values())))
        yield Goal(f"found: a feature by 0.5 sd, {sessions} sessions", one, at_least=0.95)
        if sessions >= 5:
            half = figures["half_shifted"][str(sessions)]
            yield Goal(f"found: half of them by 0.25 sd, {sessions} sessions", half, at_least=0.95)
    yield Goal("found: volatility x2, 20 sessions", figures["faults"]["20"]["volatility x2"], at_least=0.9)
    for name, share in figures["faults"]["5"].items():
        if not name.startswith("volatility"):
            yield Goal(f"found: {name}, 5 sessions", share, at_least=0.95)
    yield Goal("found: missing 1 to 10 %, 5 sessions", figures["missing"]["5"]["missing 10%"], at_least=0.95)
    yield Goal(
        "found: autumn 2008, 20 sessions", figures["crash"]["20"]["after Lehman"]["share"], at_least=0.9
    )
    yield Goal("profile: seconds to build", figures["profile"]["seconds"], at_most=10)
    yield Goal("profile: kilobytes", figures["profile"]["kilobytes"], at_most=200)


def _report(figures: dict[str, Any]) -> str:
    lines = [table([Goal(**goal) for goal in figures["goals"]]), ""]
    if "quiet" in figures:
        lines += [*_study_lines(figures), ""]
    for rows, by_name in figures["cost"].items():
        for name, one in by_name.items():
            told = f"warm {one['warm']:.4f} s, cold {one['cold']:.3f} s, peak {one['peak_mb']:.0f} MB"
            lines.append(f"{int(rows):>7,} x 24, {name:<16}{told}")
    lines += ["", *(f"greatest difference, {name}: {far:.5f}" for name, far in figures["agreement"].items())]
    return "\n".join(lines)


def _study_lines(figures: dict[str, Any]) -> Iterator[str]:
    rules = (OURS, *RULES, EVIDENTLY)
    yield f"share of quiet windows that alarm (reference: {figures['reference_rows']:,} rows)"
    yield f"{'sessions':<10}{'windows':>8}" + "".join(f"{rule:>25}" for rule in rules)
    for sessions, rates in figures["quiet"].items():
        yield f"{sessions:<10}{rates['windows']:>8}" + "".join(f"{rates[rule]:>25.3f}" for rule in rules)
    yield ""
    yield "ours on the periods that the rule was chosen on"
    for period, by_length in figures["chosen_on"].items():
        yield f"{period}: " + ", ".join(f"{n}: {rates[OURS]:.3f}" for n, rates in by_length.items())
    yield ""
    yield f"{'share of windows found':<40}" + "".join(f"{n:>8}" for n in LENGTHS)
    for name in figures["faults"]["1"]:
        yield f"{name:<40}" + "".join(f"{figures['faults'][str(n)][name]:>8.2f}" for n in LENGTHS)
    for name in figures["missing"]["1"]:
        yield f"{name:<40}" + "".join(f"{figures['missing'][str(n)][name]:>8.2f}" for n in LENGTHS)
    yield f"{'half of the features by 0.25 sd':<40}" + "".join(
        f"{figures['half_shifted'][str(n)]:>8.2f}" for n in LENGTHS
    )
    for name in figures["shifted"]["1"]:
        shares = [figures["shifted"][str(n)][name] for n in LENGTHS]
        if min(shares) < 0.95:
            yield f"{name + ' by 0.5 sd':<40}" + "".join(f"{share:>8.2f}" for share in shares)
    yield ""
    yield from (f"crash of 2008, {n} sessions: {told}" for n, told in figures["crash"].items())
    yield from (f"heart, {site}: {told}" for site, told in figures["heart"].items())
    yield f"profile: {figures['profile']}"


def _step(name: str) -> None:
    sys.stderr.write(f"{name} ...\n")


if __name__ == "__main__":
    sys.exit(main())
