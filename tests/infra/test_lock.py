from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.catalogue import ROOT, read_catalogue
from infra.lock import FOLDER, JOBS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FUNCTIONS = {
    name: (ROOT / "functions" / name / "requirements.txt", entry.extras)
    for name, entry in read_catalogue().functions.items()
}
LOCKS = {
    **FUNCTIONS,
    **{name: (FOLDER / f"{name}.txt", (name,)) for name in ("twin", "emulators", "dev")},
    "jobs": (FOLDER / "jobs.txt", JOBS),
}


def pins(file: Path) -> dict[str, set[str]]:
    """Package -> the versions that are pinned (several where they differ by marker)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", file.read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def declared(extras: Sequence[str]) -> list[Requirement]:
    """What pyproject.toml asks for, with the extras that the extras name."""
    wanted = list(PROJECT["dependencies"])
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    found: list[Requirement] = []
    for text in wanted:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            found += declared(tuple(requirement.extras))
        else:
            found.append(requirement)
    return found


APART = FOLDER / "evidently.txt"
"""An environment of its own, since its pins clash with ours."""


@pytest.mark.parametrize("file", [*(file for file, _ in LOCKS.values()), APART], ids=[*LOCKS, "evidently"])
def test_every_line_is_an_exact_version_with_its_hashes(file: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", file.read_text())
    for entry in entries:
        first = entry.partition("\n")[0]
        assert re.match(r"[A-Za-z0-9._-]+==[0-9][^ ]* ", first), first
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), first


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_all_that_is_asked_for_in_versions_that_are_allowed(name: str) -> None:
    file, extras = LOCKS[name]
    locked = pins(file)
    for requirement in declared(extras):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} isn't locked: run 'make lock'"
        assert all(version in requirement.specifier for version in versions), requirement


def test_what_stands_apart_has_all_that_is_asked_for() -> None:
    locked = pins(APART)
    lines = (line.partition("#")[0].strip() for line in APART.with_suffix(".in").read_text().splitlines())
    for requirement in (Requirement(line) for line in lines if line):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} isn't locked: run 'make lock'"
        assert all(version in requirement.specifier for version in versions), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_all_locks_agree(name: str) -> None:
    everything = pins(LOCKS["dev"][0])
    assert {package: everything.get(package) for package in pins(LOCKS[name][0])} == pins(LOCKS[name][0])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_carries_what_only_training_needs(name: str) -> None:
    heavy = {"scikit-learn", "pandas", "lightgbm", "xgboost", "xgboost-cpu", "onnx", "matplotlib", "scipy"}
    assert heavy & pins(FUNCTIONS[name][0]).keys() == set()
