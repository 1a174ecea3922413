"""`login`, `logout`, `whoami`, `keys` and `users`, against the functions that deploy."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from typer.testing import CliRunner, Result

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from shared.access.accounts import BOOTSTRAP_SECRET
from shared.access.tokens import SIGNING_KEYS_SECRET, new_signing_key
from shared.cli.app import app
from shared.cli.client import Client
from shared.cli.credentials import Credentials, Login
from shared.cli.target import Target
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.platform.connect import connect
from shared.platform.local.secrets import LocalSecrets
from tests.cli.conftest import serving

EMAIL, PASSWORD, BOOTSTRAP = "ada@example.org", "correct horse battery", "once-and-never-again"

Mlengine = Callable[..., Result]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[str]:
    home = tmp_path / "engine"
    settings = load_settings(mlengine_home=home, rate_limit_requests=0)
    kept = LocalSecrets(home / "secrets")
    kept.ensure(SIGNING_KEYS_SECRET, lambda: new_signing_key("one"))
    kept.ensure(BOOTSTRAP_SECRET, lambda: BOOTSTRAP)
    use_instance(Instance(settings, connect(settings)))
    with serving(Gateway(read_catalogue())) as url:
        yield url


@pytest.fixture
def run(engine: str) -> Mlengine:
    def run(*arguments: str, stdin: str = "", code: int = 0) -> Result:
        result = CliRunner().invoke(app, [*arguments, "--url", engine], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def admin(run: Mlengine) -> Mlengine:
    """The command, logged in as the first admin."""
    run("users", "register", EMAIL, "--bootstrap", stdin=f"{BOOTSTRAP}\n{PASSWORD}\n")
    run("login", EMAIL, stdin=f"{PASSWORD}\n")
    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "mlengine" / "credentials.json"


def test_the_first_admin_registers_logs_in_and_out(run: Mlengine, file: Path) -> None:
    registered = run("users", "register", EMAIL, "--bootstrap", stdin=f"{BOOTSTRAP}\n{PASSWORD}\n")
    assert f"mlengine login {EMAIL}" in registered.stdout
    assert f"Logged in as {EMAIL} (admin)." in run("login", EMAIL, stdin=f"{PASSWORD}\n").stdout
    assert run("whoami").stdout == f"{EMAIL}, admin\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in file.read_text()
    assert run("logout").stdout == f"{EMAIL} is logged out.\n"
    assert run("whoami").stdout == "anonymous, predictor\n"
    assert json.loads(file.read_text()) == {}


def test_keys_are_made_listed_and_revoked(admin: Mlengine) -> None:
    made = admin("keys", "create", "ci", "--role", "viewer", "--model", "market-signal", "--days", "30")
    key = made.stdout.strip()
    assert key.startswith("mlk_")
    assert "Shown once" in made.stderr
    assert "viewer" in admin("whoami", "--api-key", key).stdout
    listed = admin("keys")
    assert key not in listed.stdout
    assert "market-signal" in listed.stdout
    admin("keys", "revoke", key.split("_")[1])
    assert "revoked" in admin("keys").stdout


def test_others_are_invited_and_kept_out(admin: Mlengine) -> None:
    line = admin("users", "invite", "eve@example.org", "--role", "operator").stdout.strip()
    admin("users", "invite", "mallory@example.org")
    waiting = json.loads(admin("users", "invitations", "--json").stdout)["invitations"]
    (theirs,) = [one["id"] for one in waiting if one["email"] == "mallory@example.org"]
    assert "good no more" in admin("users", "uninvite", theirs).stdout
    admin("users", "invite", "mallory@example.org")
    admin("users", "invite", "mallory@example.org", "--role", "viewer")
    taken = json.loads(admin("users", "uninvite", "Mallory@example.org", "--json").stdout)
    assert (taken["email"], taken["count"]) == ("mallory@example.org", 2)
    assert "Nobody has invited" in admin("users", "uninvite", "mallory@example.org", code=2).stderr
    shown = admin("users", "invitations").stdout
    assert "eve@example.org" in shown
    assert "mallory" not in shown
    admin(*line.split()[1:], stdin=f"{PASSWORD}\n")
    assert "eve@example.org is viewer now." in admin("users", "role", "eve@example.org", "viewer").stdout
    assert "disabled now" in admin("users", "disable", "eve@example.org").stdout
    admin("login", "eve@example.org", stdin=f"{PASSWORD}\n", code=1)
    assert "viewer now" in admin("users", "enable", "eve@example.org").stdout
    assert "eve@example.org" in admin("users").stdout
    assert "no user nobody@example.org" in admin("users", "enable", "nobody@example.org", code=2).stderr


def test_a_wrong_password_says_so_and_keeps_nothing(run: Mlengine, file: Path) -> None:
    failed = run("login", EMAIL, stdin="wrong password 1\n", code=1).stderr
    assert ("is wrong" in failed, "Next" in failed) == (True, False)
    assert "standard input" in run("login", EMAIL, code=2).stderr
    assert not file.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--bootstrap"], "bootstrap secret is wrong"), (["--invitation", "mli_a_b"], "invitation isn't good")],
)
def test_who_can_not_register_is_not_told_of_keys(run: Mlengine, options: list[str], told: str) -> None:
    secret = "not the secret\n" if "--bootstrap" in options else ""
    failed = run("users", "register", EMAIL, *options, stdin=f"{secret}{PASSWORD}\n", code=1).stderr
    assert (told in " ".join(failed.split()), "Next" in failed) == (True, False)


def test_who_is_logged_in_is_not_told_of_keys(admin: Mlengine) -> None:
    line = admin("users", "invite", "eve@example.org", "--role", "operator").stdout.strip()
    admin(*line.split()[1:], stdin=f"{PASSWORD}\n")
    key = admin("keys", "create", "ci", "--role", "operator").stdout.strip()
    assert "Next: export MLENGINE_API_KEY=" in admin("users", "--api-key", key, code=1).stderr
    admin("login", "eve@example.org", stdin=f"{PASSWORD}\n")
    failed = admin("users", code=1).stderr
    assert ("needs role admin" in failed, "Next" in failed) == (True, False)


def test_whose_login_has_ended_is_told_to_log_in(admin: Mlengine) -> None:
    key = admin("keys", "create", "ci", "--role", "admin").stdout.strip()
    line = admin("users", "invite", "eve@example.org").stdout.strip()
    admin(*line.split()[1:], stdin=f"{PASSWORD}\n")
    admin("login", "eve@example.org", stdin=f"{PASSWORD}\n")
    admin("users", "disable", "eve@example.org", "--api-key", key)
    assert "Next: mlengine login <email>" in admin("whoami", code=1).stderr


def test_an_explicit_key_goes_before_the_login(admin: Mlengine) -> None:
    key = admin("keys", "create", "ci").stdout.strip()
    assert admin("whoami", "--api-key", key).stdout.startswith("mlk_")
    assert admin("whoami").stdout.startswith(EMAIL)


def stale(credentials: Credentials, url: str) -> Login:
    """The kept login, as it is after half an hour."""
    login = credentials.find(url)
    assert login is not None
    old = replace(login, expires_at=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
    credentials.keep(url, old)
    return old


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials({"XDG_CONFIG_HOME": str(tmp_path / "config"), "MLENGINE_KEYRING": "off"})


def test_a_login_is_renewed_by_itself(admin: Mlengine, engine: str, credentials: Credentials) -> None:
    old = stale(credentials, engine)
    assert admin("whoami").stdout.startswith(EMAIL)
    renewed = credentials.find(engine)
    assert renewed is not None
    assert renewed.refresh_token != old.refresh_token


def test_many_commands_at_once_renew_it_once(
    admin: Mlengine, engine: str, credentials: Credentials, tmp_path: Path
) -> None:
    stale(credentials, engine)

    def whoami(_: int) -> Any:
        own = Credentials({"XDG_CONFIG_HOME": str(tmp_path / "config"), "MLENGINE_KEYRING": "off"})
        return Client(Target(engine, None, is_given=False), own).get("/auth/me")["name"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(whoami, range(16))) == [EMAIL] * 16


def test_a_session_that_has_ended_is_forgotten_with_the_next_command(
    admin: Mlengine, engine: str, credentials: Credentials
) -> None:
    login = stale(credentials, engine)
    client = Client(Target(engine, None), credentials)
    client.post("/auth/refresh", {"refresh_token": login.refresh_token})  # somebody else was quicker
    failed = admin("whoami", code=1)
    assert "has ended" in failed.stderr
    assert f"mlengine login {EMAIL}" in failed.stderr
    assert credentials.find(engine) is None


def test_a_file_that_others_can_read_is_refused(admin: Mlengine, file: Path) -> None:
    file.chmod(0o644)
    assert f"chmod600{file}" in "".join(admin("whoami", code=2).stderr.split())


@pytest.mark.parametrize("content", ["", "[]", "no json", '{"x": 1}'])
def test_a_file_of_something_else_is_no_login(
    credentials: Credentials, engine: str, file: Path, content: str
) -> None:
    file.parent.mkdir(parents=True)
    file.touch(mode=0o600)
    file.write_text(content)
    assert credentials.find(engine) is None


class Ring(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def test_where_there_is_a_keyring_the_login_is_there_and_in_no_file(
    run: Mlengine, engine: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    monkeypatch.delenv("MLENGINE_KEYRING")
    try:
        run("users", "register", EMAIL, "--bootstrap", stdin=f"{BOOTSTRAP}\n{PASSWORD}\n")
        assert "the keyring" in run("login", EMAIL, stdin=f"{PASSWORD}\n").stdout
        assert list(ring.kept) == [("mlengine", engine)]
        assert run("whoami").stdout.startswith(EMAIL)
        run("logout")
        assert ring.kept == {}
    finally:
        keyring.set_keyring(before)
    assert not file.exists()
