"""Which engine the command speaks to, and which key it shows to whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.access.identity import ADMIN_KEY_SECRET
from shared.cli.problem import CliProblem, ExitCode
from shared.cli.target import KEY_FILE, Installation, is_loopback

REMOTE = "https://engine.example.com"


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Installation]:
    """An installation with a key in its state folder."""
    key = tmp_path / ".mlengine" / KEY_FILE
    key.parent.mkdir(parents=True)
    key.write_text("key-of-the-twin\n")

    def make(env_file: str = "", **environment: str) -> Installation:
        (tmp_path / ".env").write_text(env_file)
        return Installation(environment, tmp_path)

    return make


def test_the_key_file_is_the_one_the_engine_reads() -> None:
    assert Path(KEY_FILE).name == ADMIN_KEY_SECRET


def test_the_twin_on_this_machine_is_the_default(installed: Callable[..., Installation]) -> None:
    target = installed().target(None, None)
    assert (target.url, target.api_key) == ("http://127.0.0.1:8080", "key-of-the-twin")
    assert installed(PORT="9000").target(None, None).url == "http://127.0.0.1:9000"
    assert installed("PORT=9001\n").target(None, None).url == "http://127.0.0.1:9001"


def test_options_beat_the_environment_which_beats_the_file(installed: Callable[..., Installation]) -> None:
    installation = installed(
        "MLENGINE_URL=http://file\nADMIN_API_KEY=f", MLENGINE_URL="http://environment/", MLENGINE_API_KEY="e"
    )
    target = installation.target(None, None)
    assert (target.url, target.api_key) == ("http://environment", "e")
    target = installation.target("http://option", "o")
    assert (target.url, target.api_key) == ("http://option", "o")
    assert installed("MLENGINE_URL=http://file").target(None, None).url == "http://file"


def test_the_clients_own_key_beats_the_administrators(installed: Callable[..., Installation]) -> None:
    installation = installed(ADMIN_API_KEY="admin", MLENGINE_API_KEY="own")
    assert installation.target(None, None).api_key == "own"
    assert installed(ADMIN_API_KEY="admin").target(None, None).api_key == "admin"


def test_this_machines_secrets_are_shown_to_this_machine_alone(
    installed: Callable[..., Installation],
) -> None:
    assert installed().target(REMOTE, None).api_key is None
    assert installed("ADMIN_API_KEY=in-the-file").target(REMOTE, None).api_key is None
    assert installed("ADMIN_API_KEY=in-the-file").target(None, None).api_key == "in-the-file"
    assert installed(MLENGINE_API_KEY="meant-for-it").target(REMOTE, None).api_key == "meant-for-it"


def test_the_state_folder_of_the_environment_starts_here_that_of_the_file_at_the_checkout(
    installed: Callable[..., Installation], tmp_path: Path
) -> None:
    assert installed().home == tmp_path / ".mlengine"
    assert installed(MLENGINE_HOME="state").home == Path.cwd() / "state"
    assert installed("MLENGINE_HOME=state").home == tmp_path / "state"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:80", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.0.0.1@example.com", False),
    ],
)
def test_loopback_is_told_by_the_host_alone(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://", "http://host:99999", "nonsense"])
def test_what_is_no_url_is_wrong_usage(installed: Callable[..., Installation], url: str) -> None:
    with pytest.raises(CliProblem, match="must look like") as caught:
        installed().target(url, None)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_wrong_usage(
    installed: Callable[..., Installation], key: str
) -> None:
    with pytest.raises(CliProblem, match="copied whole"):
        installed().target(None, key)
