"""A scanner for infrastructure code finds nothing in terraform/ that isn't explained beside the resource.

    #checkov:skip=CKV_GCP_62:why it is right here

Runs with SCAN=1: making the scanner's environment takes most of a minute, once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from infra.catalogue import ROOT
from infra.environments import Environment, environment
from shared.errors import OwnError

FOLDER = ROOT / "terraform"
REQUIREMENTS = Path(__file__).with_name("scanner.txt")
SKIP: Final = re.compile(r"#\s*checkov:skip=(\w+)(?::[ \t]*(.*))?")

OPEN_BUCKET: Final = """
resource "google_storage_bucket" "open" {
  name                        = "open"
  location                    = "EU"
  uniform_bucket_level_access = false
}

resource "google_storage_bucket_iam_member" "open" {
  bucket = google_storage_bucket.open.name
  role   = "roles/storage.objectViewer"
  member = "allUsers"
}
"""


@pytest.fixture(scope="module")
def scanner(pytestconfig: pytest.Config) -> Environment:
    if not os.environ.get("SCAN"):
        pytest.skip("the scanner runs where SCAN=1: 'make scan'")
    cache = pytestconfig.cache
    assert cache is not None
    try:
        return environment(cache.mkdir("scanner"), REQUIREMENTS, locked=False)
    except OwnError as error:
        pytest.skip(f"checkov can't be installed here: {str(error)[-500:]}")


def scan(scanner: Environment, folder: Path) -> Mapping[str, Any]:
    """What it finds in a folder, without asking its maker's servers for anything."""
    options = ["--framework", "terraform", "--skip-download", "--output", "json", "--soft-fail"]
    done = subprocess.run(
        [scanner.bin / "checkov", "--directory", folder, *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def where(check: Mapping[str, Any]) -> str:
    return f"{check['file_path']}: {check['resource']}: {check['check_id']} {check['check_name']}"


def explained() -> dict[tuple[str, str], str | None]:
    """File and check -> the reason that stands beside the resource."""
    return {
        (file.relative_to(FOLDER).as_posix(), check): reason
        for file in sorted(FOLDER.rglob("*.tf"))
        if ".terraform" not in file.parts
        for check, reason in SKIP.findall(file.read_text())
    }


@pytest.mark.timeout(600)
def test_it_finds_nothing_that_is_not_explained(scanner: Environment) -> None:
    found = scan(scanner, FOLDER)
    summary, results = found["summary"], found["results"]
    assert summary["parsing_errors"] == 0
    assert summary["resource_count"] > 50
    assert not [where(check) for check in results["failed_checks"]]
    skipped = Counter(
        (check["file_path"].removeprefix("/"), check["check_id"]) for check in results["skipped_checks"]
    )
    idle = set(explained()) - set(skipped)
    assert not idle, "These explanations explain nothing: take them away."


def test_every_exception_has_its_reason() -> None:
    assert explained()
    for (file, check), reason in explained().items():
        assert reason, f"{file}: {check}"
        assert len(reason.split()) >= 4, f"{file}: {check}"


@pytest.mark.timeout(600)
def test_it_finds_what_is_wrong(scanner: Environment, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(OPEN_BUCKET)
    found = {check["check_id"] for check in scan(scanner, tmp_path)["results"]["failed_checks"]}
    assert {"CKV_GCP_28", "CKV_GCP_29"} <= found
