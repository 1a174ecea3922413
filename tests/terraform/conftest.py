"""What the tests of terraform/ share. Nothing here reaches a cloud.

terraform       the command, on a copy of terraform/ in which it is initialised: `terraform("validate")` gives
                what it says, or fails the test with that. Skips where there is no command.
plan_of         `plan_of("production")` is the plan of that environment, made once per session; more variables
                go with it: `plan_of("production", public="true")`.
plan            the same for each of ENVIRONMENTS: a test that takes it runs three times.

A plan is a `Plan`: `plan.of("google_pubsub_topic")` gives its resources of a type by address, each a mapping
of the values that are known; `plan.resources` all of them; `plan.document` what `terraform show -json` says.

The command is the one that TERRAFORM names, else `terraform-offline` (on the PATH, or beside the checkout),
else `terraform`. Only the offline one can plan: the other asks the project.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from infra.catalogue import ROOT, read_catalogue

ENVIRONMENTS: Final = ("development", "staging", "production")
PROJECT: Final = "demo-project"
VARIABLES: Final[Mapping[str, str]] = {
    "project_id": PROJECT,
    "market_data_url": "https://market-data.example.com",
    "job_image": f"europe-west1-docker.pkg.dev/{PROJECT}/mlengine-jobs/jobs@sha256:{'0123456789abcdef' * 4}",
}
"""What an operator gives besides the file of an environment."""

OFFLINE: Final = "terraform-offline"
BESIDE: Final = ROOT.parent / "shared" / "tools" / OFFLINE / OFFLINE
SECONDS: Final = 220
"""One call may take so long; the first one on a machine prepares the offline provider."""

LOCAL_STATE: Final = 'terraform {\n  backend "local" {}\n}\n'

Values: TypeAlias = Mapping[str, Any]


def find_command() -> str | None:
    given = os.environ.get("TERRAFORM") or shutil.which(OFFLINE)
    if given:
        return given
    return str(BESIDE) if BESIDE.is_file() and shutil.which("terraform") else shutil.which("terraform")


class Terraform:
    """The command in a copy of terraform/, with what it reads beside it and stand-ins for the bundles."""

    def __init__(self, command: str, folder: Path) -> None:
        self.command = command
        self.root = folder / "terraform"
        shutil.copytree(
            ROOT / "terraform", self.root, ignore=shutil.ignore_patterns(".terraform", "*.tfplan")
        )
        for name in ("functions", "infra", "shared"):
            (folder / name).symlink_to(ROOT / name)
        bundles = folder / "build" / "bundles"
        bundles.mkdir(parents=True)
        for name in read_catalogue().functions:
            (bundles / f"{name}.zip").write_text(name)
        (self.root / "backend_override.tf").write_text(LOCAL_STATE)
        self("init", "-input=false")

    def __call__(self, *arguments: str, folder: Path | None = None) -> str:
        done = subprocess.run(
            [self.command, *arguments, *_PLAIN.get(arguments[0], ())],
            cwd=folder or self.root,
            env={**os.environ, "TF_IN_AUTOMATION": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"terraform {' '.join(arguments)}:\n{done.stdout[-8000:]}"
        return done.stdout

    @property
    def is_offline(self) -> bool:
        return Path(self.command).name == OFFLINE

    def plan(self, environment: str, **variables: str) -> Plan:
        """What would be made of nothing."""
        given = [f"-var={name}={value}" for name, value in {**VARIABLES, **variables}.items()]
        file = f"{environment}.tfplan"
        self("plan", "-input=false", f"-var-file=environments/{environment}.tfvars", *given, f"-out={file}")
        shown = self("show", "-json", file)
        return Plan(environment, json.loads(shown[shown.index("{") :].splitlines()[0]), variables)


_PLAIN: Final = dict.fromkeys(("init", "validate", "test", "plan"), ("-no-color",))


@dataclass(frozen=True)
class Plan:
    environment: str
    document: Mapping[str, Any]
    variables: Mapping[str, str]
    """Those that were given besides the environment's own."""

    @cached_property
    def resources(self) -> Mapping[str, Values]:
        """Address -> the values that are known before it is made, and under `kind` its type."""
        return dict(_resources(self.document["planned_values"]["root_module"]))

    def of(self, kind: str) -> Mapping[str, Values]:
        """The resources of one type."""
        return {address: one for address, one in self.resources.items() if one["kind"] == kind}


def _resources(module: Mapping[str, Any]) -> list[tuple[str, Values]]:
    own = [
        (one["address"], {**one["values"], "kind": one["type"]})
        for one in module.get("resources", [])
        if one["mode"] == "managed"
    ]
    return own + [found for child in module.get("child_modules", []) for found in _resources(child)]


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    command = find_command()
    if command is None:
        pytest.skip("terraform isn't here: put it on the PATH, or name the command in TERRAFORM")
    return Terraform(command, tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def plan_of(terraform: Terraform) -> Callable[..., Plan]:
    if not terraform.is_offline:
        pytest.skip(f"{OFFLINE} isn't here: terraform itself would ask the project to plan")
    return cache(terraform.plan)


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def plan(request: pytest.FixtureRequest, plan_of: Callable[..., Plan]) -> Plan:
    return plan_of(request.param)
