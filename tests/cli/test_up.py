"""`up` becomes the twin, with the options as its environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.cli.target import ROOT

_STAND_IN = """
import json, os, sys
names = ("PORT", "MLENGINE_HOME", "MARKET_DATA_URL")
print(json.dumps({"cwd": os.getcwd(), **{name: os.environ.get(name) for name in names}}))
"""

_UP = """
import json, os, sys
from pathlib import Path
from shared.cli.commands.engine import up
from shared.cli.session import Given, Session
from shared.cli.target import Installation

session = Session(Given())
session.installation = Installation(os.environ, Path(sys.argv[1]))
options = json.loads(sys.argv[2])
if "home" in options:
    options["home"] = Path(options["home"])
up(session, **options)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose twin only says how it was started."""
    twin = tmp_path / "checkout" / "infra" / "local"
    twin.mkdir(parents=True)
    for package in (twin.parent, twin):
        (package / "__init__.py").touch()
    (twin / "__main__.py").write_text(_STAND_IN)
    return tmp_path / "checkout"


def start(checkout: Path, options: dict[str, Any], **environment: str) -> dict[str, Any]:
    started = subprocess.run(
        [sys.executable, "-c", _UP, str(checkout), json.dumps(options)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd=checkout.parent,
        env={"PYTHONPATH": str(ROOT), **environment},
    )
    found: dict[str, Any] = json.loads(started.stdout)
    return found


def test_up_starts_the_twin_of_the_checkout(checkout: Path) -> None:
    assert start(checkout, {}) == {
        "cwd": str(checkout),
        "PORT": None,
        "MLENGINE_HOME": str(checkout / ".mlengine"),
        "MARKET_DATA_URL": None,
    }


def test_options_beat_the_environment_and_relative_folders_start_here(checkout: Path) -> None:
    options = {"port": 9000, "home": "state", "market_data_url": "http://upstream"}
    assert start(checkout, options, PORT="1", MLENGINE_HOME="/elsewhere") == {
        "cwd": str(checkout),
        "PORT": "9000",
        "MLENGINE_HOME": str(checkout.parent / "state"),
        "MARKET_DATA_URL": "http://upstream",
    }
    assert start(checkout, {}, MLENGINE_HOME="here")["MLENGINE_HOME"] == str(checkout.parent / "here")


def test_a_replay_has_a_state_folder_of_its_own(checkout: Path) -> None:
    assert start(checkout, {}, REPLAY="60")["MLENGINE_HOME"] == str(checkout / ".mlengine-replay")
    assert start(checkout, {}, REPLAY="60", MLENGINE_HOME="/mine")["MLENGINE_HOME"] == "/mine"
