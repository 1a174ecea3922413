"""`doctor`: each check sees what is wrong, and says how to mend it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from shared.cli.client import Client
from shared.cli.doctor import examine
from shared.cli.doctor.emulators import emulators
from shared.cli.doctor.finding import Finding, Surroundings
from shared.cli.doctor.installation import LOCK_FILE, packages, pins, python, settings
from shared.cli.doctor.network import twin, upstream
from shared.cli.doctor.state import admin_key, candles, databases, disk, existing, state_folder
from shared.cli.target import KEY_FILE, ROOT, Installation
from shared.platform.local.documents import SqliteDocuments
from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Diagnose: TypeAlias = Callable[..., list[Finding]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def diagnose(tmp_path: Path, home: Path, free_url: str) -> Diagnose:
    """Runs one check on an installation in a folder of its own."""

    def run(
        check: Callable[[Surroundings], Sequence[Finding]], url: str = "", **environment: str
    ) -> list[Finding]:
        installation = Installation({"MLENGINE_HOME": str(home)} | environment, tmp_path)
        return list(check(Surroundings(installation, Client(installation.target(url or free_url, None)))))

    return run


@pytest.fixture
def engine(script: Script) -> Script:
    """An engine in good health."""
    script.answers("GET /health", answer("health"))
    script.answers("GET /ready", answer("ready"))
    script.answers("GET /symbols", answer("symbols"))
    script.answers("GET /models", answer("models"))
    script.answers("GET /admin/train/status", {"runs": [], "cursor": None})
    return script


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1
    return findings[0]


def test_this_python_will_do(diagnose: Diagnose) -> None:
    assert only(diagnose(python)).status != "fail"


def lock(root: Path, *lines: str) -> None:
    file = root / LOCK_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line} \\\n    --hash=sha256:00\n    # via someone\n" for line in lines))


def test_packages_as_locked_are_fine(diagnose: Diagnose, tmp_path: Path) -> None:
    lock(tmp_path, f"typer=={metadata.version('typer')}", "nowhere==1.0 ; sys_platform == 'win32'")
    assert only(diagnose(packages)) == Finding("packages", "ok", "all 1 as locked")


def test_missing_and_other_packages_are_named(diagnose: Diagnose, tmp_path: Path) -> None:
    lock(tmp_path, "typer==0.0.1", "no-such-package==1.0")
    found = only(diagnose(packages))
    assert found.status == "fail"
    assert found.found == (
        f"typer is {metadata.version('typer')} instead of 0.0.1, no-such-package is missing"
    )
    assert found.mend.endswith("make up")


def test_a_missing_lock_is_looked_at_not_fatal(diagnose: Diagnose) -> None:
    assert only(diagnose(packages)).status == "warn"


def test_the_repositorys_own_lock_is_read_whole() -> None:
    text = (ROOT / LOCK_FILE).read_text()
    wanted = dict(pins(text))
    assert {"typer", "rich", "httpx", "numpy"} <= wanted.keys()
    assert text.count("==") - text.count("'=='") >= len(wanted)


def test_wrong_settings_are_named(
    diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only(diagnose(settings)).status == "ok"
    (tmp_path / ".env").write_text("PORT=ninety\n")
    found = only(diagnose(settings))
    assert (found.status, "PORT" in found.found) == ("fail", True)
    monkeypatch.setenv("PORT", "8080")
    assert only(diagnose(settings)).status == "ok"


def test_a_good_state_folder_is_left_as_it_was(diagnose: Diagnose, home: Path) -> None:
    assert only(diagnose(state_folder)) == Finding("state folder", "ok", str(home))
    assert list(home.iterdir()) == []


def test_a_state_folder_that_is_not_there_yet_is_fine(diagnose: Diagnose, home: Path) -> None:
    home.rmdir()
    assert "made at the first start" in only(diagnose(state_folder)).found
    assert not home.exists()
    assert existing(home / "deeper") == home.parent


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can make files")
def test_a_state_folder_that_cannot_be_written_to_is_a_failure(diagnose: Diagnose) -> None:
    found = only(diagnose(state_folder, MLENGINE_HOME="/proc/nowhere"))
    assert (found.status, found.mend) == ("fail", "chmod u+rwx /proc")


def test_the_disk_is_measured(diagnose: Diagnose, home: Path) -> None:
    free = shutil.disk_usage(home).free
    assert (only(diagnose(disk)).status == "ok") is (free >= 1_000_000_000)


def test_whole_databases_are_fine_also_while_they_are_used(diagnose: Diagnose, home: Path) -> None:
    assert "none yet" in only(diagnose(databases)).found
    documents = SqliteDocuments(home / "documents.sqlite3")
    assert documents.get("any", "thing") is None
    assert only(diagnose(databases)) == Finding("databases", "ok", "whole: documents.sqlite3")


def test_a_damaged_database_is_a_failure(diagnose: Diagnose, home: Path) -> None:
    file = home / "documents.sqlite3"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    connection.commit()
    connection.close()
    content = bytearray(file.read_bytes())
    content[8192:40960] = b"\xff" * (40960 - 8192)
    file.write_bytes(content)
    (home / "events.sqlite3").write_text("not a database")
    found = diagnose(databases)
    assert [finding.status for finding in found] == ["fail", "fail"]
    assert str(file) in found[0].mend


def test_the_admin_key_must_be_the_owners_alone(diagnose: Diagnose, home: Path) -> None:
    assert "none yet" in only(diagnose(admin_key)).found
    file = home / KEY_FILE
    file.parent.mkdir()
    file.write_text("key")
    file.chmod(0o600)
    assert only(diagnose(admin_key)).status == "ok"
    file.chmod(0o644)
    found = only(diagnose(admin_key))
    assert (found.status, found.mend) == ("fail", f"chmod 600 {file}")
    assert only(diagnose(admin_key, ADMIN_API_KEY="set")).status == "ok"


def test_candles_are_looked_for_and_may_grow_old_under_a_real_upstream(
    diagnose: Diagnose, home: Path
) -> None:
    found = only(diagnose(candles))
    assert (found.status, found.mend) == ("warn", "mlengine ingest")
    part = home / "blobs" / "candles" / "1d" / "symbol=AAPL" / "part@" / "0.parquet"
    part.parent.mkdir(parents=True)
    part.touch()
    assert only(diagnose(candles, MARKET_DATA_URL="http://upstream")).status == "ok"
    for path in (part, *(parent for parent in part.parents if home / "blobs" in parent.parents)):
        os.utime(path, (0, time.time() - 30 * 86_400))
    assert only(diagnose(candles)).status == "ok"
    found = only(diagnose(candles, MARKET_DATA_URL="http://upstream"))
    assert (found.status, found.found) == ("warn", "last stored 30 days ago")


def test_the_twin_is_running_or_its_port_free_or_taken(
    diagnose: Diagnose, engine: Script, free_url: str
) -> None:
    assert only(diagnose(twin, engine.url)).status == "ok"
    found = only(diagnose(twin, free_url))
    assert (found.status, found.mend) == ("warn", "make up")
    engine.answers("GET /health", b"<html>")
    found = only(diagnose(twin, engine.url))
    assert found.status == "fail"
    assert found.mend.startswith("PORT=")


def test_the_upstream_is_asked_where_it_is(diagnose: Diagnose, engine: Script, free_url: str) -> None:
    assert "while the twin runs" in only(diagnose(upstream)).found
    assert only(diagnose(upstream, engine.url)).found == "the twin's upstream has 5 symbols"
    assert only(diagnose(upstream, MARKET_DATA_URL=engine.url)).status == "ok"
    found = only(diagnose(upstream, MARKET_DATA_URL=free_url))
    assert (found.status, free_url in found.mend) == ("fail", True)


def named(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [check for check in document["checks"] if check["name"] == name]


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Java, and with an SDK that has no emulators."""
    sdk = tmp_path / "sdk"
    sdk.mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_ROOT_DIR", str(sdk))
    return sdk


def test_missing_emulators_are_named_with_the_way_to_get_them(diagnose: Diagnose, bare_machine: Path) -> None:
    found = diagnose(emulators, PLATFORM="emulators")
    assert [finding.status for finding in found] == ["fail"] * 3
    assert "java" in found[0].found
    assert "default-jre" in found[0].mend
    for finding, name in zip(found[1:], ("firestore", "pubsub"), strict=True):
        assert name in finding.found
        assert str(bare_machine) in finding.found
        assert f"google-cloud-cli-{name}-emulator" in finding.mend


@pytest.mark.usefixtures("bare_machine")
def test_missing_emulators_are_no_fault_where_nobody_asks_for_them(diagnose: Diagnose) -> None:
    found = diagnose(emulators)
    assert {finding.status for finding in found} == {"ok"}
    assert all("PLATFORM=emulators" in finding.found for finding in found)


def test_a_missing_sdk_is_named(diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CLOUDSDK_ROOT_DIR", raising=False)
    found = diagnose(emulators, PLATFORM="emulators")
    assert any("Google Cloud SDK" in finding.found for finding in found)


def test_with_nothing_running_nothing_is_broken(tmp_path: Path, home: Path, free_url: str) -> None:
    installation = Installation({"MLENGINE_HOME": str(home)}, tmp_path)
    document = examine(installation, Client(installation.target(free_url, None)))
    assert document["healthy"] is True
    assert {check["status"] for check in document["checks"]} <= {"ok", "warn"}
    assert named(document, "model") == []


def test_an_engine_elsewhere_is_examined_alone(tmp_path: Path, free_url: str) -> None:
    installation = Installation({}, tmp_path)
    client = Client(installation.target(free_url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), None))
    document = examine(installation, client)
    assert [check["name"] for check in document["checks"]] == ["engine"]
    assert document["healthy"] is False


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    tmp_path: Path, home: Path, engine: Script
) -> None:
    engine.answers("GET /models", {"unexpected": []})
    installation = Installation({"MLENGINE_HOME": str(home)}, tmp_path)
    document = examine(installation, Client(installation.target(engine.url, None)))
    assert "couldn't be checked: KeyError" in named(document, "live_model")[0]["found"]
    assert named(document, "key")[0]["status"] == "ok"


def test_a_running_engine_is_examined(mlengine_json: Json, engine: Script) -> None:
    _, document = mlengine_json("doctor")
    assert named(document, "functions")[0]["status"] == "ok"
    assert named(document, "key")[0]["status"] == "ok"
    model = named(document, "model")
    assert [(check["status"], check["mend"]) for check in model] == [("warn", "mlengine train --activate")]
    engine.answers("GET /admin/train/status", answer("unauthenticated"), status=401)
    ready = answer("ready")
    ready["functions"]["predict"] = {
        "ready": False,
        "function": "predict",
        "missing": {"documents": "The local database failed.", "model": "No model is active."},
    }
    engine.answers("GET /ready", ready, status=503)
    engine.answers("GET /models", {"models": [], "cursor": None})
    code, document = mlengine_json("doctor")
    assert (code, document["healthy"]) == (1, False)
    assert named(document, "functions")[0]["found"] == (
        "predict isn't ready: documents: The local database failed."
    )
    assert named(document, "key")[0]["status"] == "warn"
    assert named(document, "model")[0]["status"] == "fail"


def test_the_diagnosis_is_readable(mlengine: Mlengine, engine: Script) -> None:
    engine.answers("GET /models", {"models": [], "cursor": None})
    result = mlengine("doctor")
    assert result.exit_code == 1
    assert "✗  model" in result.stdout
    assert "→ mlengine train --activate" in result.stdout
    assert "to mend" in result.stdout
