"""From a CSV file to an HTTPS endpoint: how many commands that is, and how long it takes.

    python -m tests.benchmarks.bench_csv_to_endpoint [--rows 2000] [--json]

A twin that runs is spoken to by the commands that a user types, each a process of its own; the draft is taken
as it is. The data are made: three kinds of columns, two classes, an id and a constant to be left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.twin import ADMIN_KEY, Twin, running_twin

ROW = {"age": 41, "fee": 63.5, "plan": "basic", "abroad": False}


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and how long it took from the first to its last byte."""

    command: str
    seconds: float


def customers(rows: int, seed: int = 0) -> str:
    """A CSV file of customers; who is young and pays much leaves."""
    rng = np.random.default_rng(seed)
    age, fee = rng.integers(18, 90, rows), rng.normal(50, 15, rows).round(2)
    plan, abroad = rng.choice(["basic", "plus", "gold"], rows), rng.random(rows) < 0.3
    leaves = (fee - 50) / 15 - (age - 54) / 20 + (plan == "basic") + rng.normal(size=rows) > 0.3
    lines = ["customer_id,age,fee,plan,abroad,currency,churned"]
    lines += [
        f"C{number:06},{age[number]},{fee[number]},{plan[number]},{str(abroad[number]).lower()},EUR,"
        f"{'yes' if leaves[number] else 'no'}"
        for number in range(rows)
    ]
    return "\n".join([*lines, ""])


class User:
    """Types commands in a folder, one after another."""

    def __init__(self, twin: Twin, folder: Path) -> None:
        self._twin = twin
        self._folder = folder
        self.steps: list[Step] = []

    def mlengine(self, *words: str) -> Any:
        """A command of the command line; gives its JSON document."""
        command = [sys.executable, "-m", "shared.cli", *words, "--json"]
        return json.loads(self._typed(" ".join(("mlengine", *words)), command))

    def curl(self, path: str, body: Mapping[str, Any]) -> Any:
        """A POST with curl."""
        url = f"{self._twin.url}{path}"
        headers = ["-H", "content-type: application/json", "-H", f"x-api-key: {ADMIN_KEY}"]
        command = ["curl", "-sS", "--fail-with-body", *headers, "-d", json.dumps(body), url]
        return json.loads(self._typed(f"curl {path}", command))

    def _typed(self, words: str, command: list[str]) -> bytes:
        root = Path(__file__).resolve().parents[2]
        own = {"PYTHONPATH": str(root), "MLENGINE_URL": self._twin.url, "MLENGINE_API_KEY": ADMIN_KEY}
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self._folder,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self._folder), **own},
            capture_output=True,
            check=False,
        )
        self.steps.append(Step(words, round(time.perf_counter() - began, 2)))
        if done.returncode:
            raise SystemExit(f"{words} failed:\n{done.stdout.decode()}{done.stderr.decode()}")
        return done.stdout


def measure(twin: Twin, folder: Path, rows: int) -> dict[str, Any]:
    """The way from the file to an answer."""
    (folder / "customers.csv").write_text(customers(rows))
    user = User(twin, folder)
    user.mlengine("problem", "init", "customers.csv")
    user.mlengine("problem", "check", "customers.yaml")
    user.mlengine("problem", "apply", "customers.yaml")
    run = user.mlengine("train", "--problem", "customers", "--activate")
    answer = user.curl("/predict", {"model": "customers", "inputs": [ROW]})
    return {
        "rows": rows,
        "commands": len(user.steps),
        "seconds": round(sum(step.seconds for step in user.steps), 1),
        "steps": [asdict(step) for step in user.steps],
        "algorithm": run["result"]["algorithm"],
        "activated": run["result"]["activated"],
        "answer": answer["predictions"][0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with running_twin(folder / "home") as twin:
            twin.wait_until_welcoming()
            figures = measure(twin, folder, given.rows)
    if given.json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
        return
    for step in figures["steps"]:
        sys.stdout.write(f"{step['seconds']:>8.2f} s  {step['command']}\n")
    sys.stdout.write(
        f"{figures['seconds']:>8.2f} s  {figures['commands']} commands, {figures['rows']} rows; "
        f"{figures['algorithm']} answers {figures['answer']}\n"
    )


if __name__ == "__main__":
    main()
