from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.catalogue import ROOT
from infra.cloudbuild import BUILT_IN, FILES, main, problems

SMALLEST: dict[str, Any] = {"steps": [{"name": "builder", "entrypoint": "make", "args": ["check"]}]}
STEP = SMALLEST["steps"][0]


def documents() -> list[tuple[str, dict[str, Any]]]:
    return [(file.name, yaml.safe_load(file.read_text())) for file in FILES]


def found(**changes: Any) -> list[str]:
    """What is said of the smallest build with these changes."""
    return problems(yaml.safe_dump({**SMALLEST, **changes}))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_shipped_is_what_cloud_build_takes(file: Path) -> None:
    assert problems(file.read_text()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stepz": []}, "stepz: Extra inputs"),
        ({"steps": []}, "steps: List should have at least 1"),
        ({"steps": [{"args": ["x"]}]}, "steps.0.name: Field required"),
        ({"steps": [{**STEP, "waitfor": ["-"]}]}, "steps.0.waitfor: Extra inputs"),
        ({"steps": [{**STEP, "wait_for": ["-"]}]}, "steps.0.wait_for: Extra inputs"),
        ({"steps": [{**STEP, "args": [1]}]}, "steps.0.args.0: Input should be a valid string"),
        ({"steps": [{**STEP, "env": ["CI"]}]}, "steps.0.env.0: String should match"),
        ({"steps": [{**STEP, "script": "true"}]}, "either a script, or args"),
        ({"steps": [{**STEP, "timeout": "10m"}]}, "steps.0.timeout: String should match"),
        ({"steps": [{**STEP, "timeout": "7200s"}]}, "its timeout is longer than the build's"),
        (
            {"steps": [{**STEP, "waitFor": ["later"]}, {**STEP, "id": "later"}]},
            "waits for 'later', which is no step",
        ),
        ({"steps": [{**STEP, "id": "a"}, {**STEP, "id": "a"}]}, "a: another step has that id"),
        ({"steps": [{**STEP, "id": "a", "waitFor": ["a"]}]}, "a: waits for 'a', which is no step"),
        ({"steps": [{**STEP, "args": ["$_NOBODY"]}]}, "steps.0.args.0: $_NOBODY is neither built in"),
        ({"steps": [{**STEP, "args": ["${_NOBODY}-x"]}]}, "steps.0.args.0: $_NOBODY is neither built in"),
        ({"steps": [{**STEP, "args": ["$PROJECT"]}]}, "$PROJECT is neither built in"),
        ({"options": {"env": ["A=$_NOBODY"]}}, "options.env.0: $_NOBODY is neither built in"),
        ({"substitutions": {"_UNUSED": "x"}}, "substitutions._UNUSED: nothing uses it"),
        ({"substitutions": {"UNUSED": "x"}}, "substitutions.UNUSED"),
        ({"substitutions": {"_COUNT": 1}}, "substitutions._COUNT: Input should be a valid string"),
        ({"steps": [{**STEP, "secretEnv": ["KEY"]}]}, "secretEnv: KEY is not among the available secrets"),
        (
            {
                "availableSecrets": {
                    "secretManager": [{"versionName": "projects/p/secrets/s/versions/1", "env": "KEY"}]
                }
            },
            "availableSecrets: no step reads KEY",
        ),
        ({"options": {"machineType": "E2_HIGHCPU_64"}}, "options.machineType"),
        ({"options": {"logging": "CLOUD"}}, "options.logging"),
        ({"timeout": "100000s"}, "timeout: at most"),
    ],
)
def test_what_cloud_build_would_refuse_or_trip_over_is_found(changes: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in found(**changes)), found(**changes)


def test_what_is_well_is_let_through() -> None:
    assert found() == []
    assert found(steps=[{**STEP, "args": ["$$HOME ${PROJECT_ID} $BUILD_ID"]}]) == []
    assert found(steps=[{**STEP, "waitFor": ["-"]}], timeout="90.5s") == []
    assert problems("steps: [") != []


def test_the_command_tells_the_file_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cloudbuild.yaml"
    file.write_text("steps: []")
    assert main([str(file)]) == 1
    assert capsys.readouterr().err.startswith("cloudbuild.yaml: steps: ")
    assert main([]) == 0


def made_by(document: dict[str, Any], step: dict[str, Any]) -> dict[str, str]:
    """The environment of a step, with something in the place of every value."""
    given = [*document["options"]["env"], *step.get("env", ())]
    pairs = (re.sub(r"\$\{?\w+\}?", "given", variable).partition("=") for variable in given)
    return {name: text for name, _, text in pairs}


STEPS = [
    pytest.param(document, step, id=f"{name}: {step['id']}")
    for name, document in documents()
    for step in document["steps"]
    if step.get("entrypoint") == "make"
]


@pytest.mark.parametrize(("document", "step"), STEPS)
def test_each_step_makes_a_target_that_is_there_with_all_it_needs(
    document: dict[str, Any], step: dict[str, Any]
) -> None:
    environment = {"PATH": os.environ["PATH"], **made_by(document, step)}
    done = subprocess.run(
        ["make", "--dry-run", *step["args"]],  # noqa: S607 - as the step does
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_all_but_the_builder_are_made() -> None:
    for _, document in documents():
        assert [step["id"] for step in document["steps"] if step.get("entrypoint") != "make"] == ["builder"]


def test_only_what_was_checked_is_released_and_only_what_was_released_is_applied() -> None:
    build, deploy = (document for _, document in documents())
    waits = {step["id"]: set(step.get("waitFor", ())) for step in build["steps"]}
    above: set[str] = set()
    waiting = {"release"}
    while waiting:
        above |= waiting
        waiting = {one for step in waiting for one in waits[step]} - above
    assert above == set(waits), "the release waits for every step"
    assert "apply" not in waits, "which trigger applies decides whether somebody must approve"
    assert [step["id"] for step in deploy["steps"]] == [
        "builder",
        "bundles",
        "traffic-save",
        "apply",
        "verify",
    ]


def test_values_that_a_trigger_has_to_give_are_empty_not_guessed() -> None:
    for _, document in documents():
        digests = {name: text for name, text in document["substitutions"].items() if "DIGEST" in name}
        assert digests
        assert set(digests.values()) == {""}


def test_built_in_values_are_no_ones_own() -> None:
    assert not [name for name in BUILT_IN if name.startswith("_")]
