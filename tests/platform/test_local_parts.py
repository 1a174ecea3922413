"""What only the local adapters have: files that go bad, processes that end, secrets on disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import ConfigurationError, CorruptBlob, InvalidInput, NotFound, PlatformUnavailable
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.events import RetryPolicy
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.processes import identity
from shared.platform.local.secrets import LocalSecrets
from shared.platform.ports import JobState
from tests.contracts.platforms import ROOT
from tests.contracts.racing import race
from tests.contracts.workers import wait_for


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.mark.parametrize("content", [b"tampered", b"conten", b""])
def test_a_file_that_went_bad_is_found(tmp_path: Path, blobs: FolderBlobs, content: bytes) -> None:
    digest = blobs.put("a/b.json", b"content")
    (file,) = (tmp_path / "blobs" / "a" / "b.json@").iterdir()
    file.write_bytes(content)
    for sha256 in (None, digest):
        with pytest.raises(CorruptBlob, match=r"a/b\.json"):
            blobs.get("a/b.json", sha256=sha256)


def test_a_blobs_file_is_its_content_with_its_suffix(tmp_path: Path, blobs: FolderBlobs) -> None:
    digest = blobs.put("a/report.html", b"<p>")
    assert (tmp_path / "blobs" / "a" / "report.html@" / f"{digest}.html").read_bytes() == b"<p>"


def test_no_name_leads_out_of_the_folder(tmp_path: Path, blobs: FolderBlobs) -> None:
    blobs.put("a", b"")
    FolderBlobs(tmp_path).put("outside", b"secret")
    with pytest.raises(NotFound):
        blobs.get("../outside")
    blobs.delete("../outside")
    assert list(blobs.list("../")) == []
    assert FolderBlobs(tmp_path).get("outside") == b"secret"


def test_nothing_is_left_of_losers_and_the_deleted(tmp_path: Path, blobs: FolderBlobs) -> None:
    race(8, lambda i: blobs.put("a", f"{i}".encode()))
    blobs.delete("a")
    assert list((tmp_path / "blobs").iterdir()) == [tmp_path / "blobs" / "@staging"]
    assert list((tmp_path / "blobs" / "@staging").iterdir()) == []


def test_a_folder_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PlatformUnavailable, match="file"):
        FolderBlobs(tmp_path / "file" / "blobs").put("a", b"")


def jobs_in(tmp_path: Path) -> SubprocessJobs:
    environment = {"SAMPLE_NOTES": str(tmp_path)}
    return SubprocessJobs(
        tmp_path / "jobs", root=ROOT, package="tests.contracts.sample_jobs", environment=environment
    )


def test_a_jobs_output_is_in_its_log(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path)
    jobs.start("end", ["raise"], execution_id="e1")
    wait_for(lambda: jobs.status("e1").state is JobState.FAILED)
    log = (tmp_path / "jobs" / "e1" / "task-0.log").read_text()
    assert "ending by raise" in log
    assert "RuntimeError: a reason for people" in log
    assert jobs.status("e1").detail.endswith("see jobs/e1/task-0.log.")


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path)
    jobs.start("sleep", [], execution_id="e1")
    wait_for((tmp_path / "sleeper").exists)
    jobs.close()
    assert jobs.status("e1").state is JobState.FAILED
    assert "Stopped with the process" in jobs.status("e1").detail
    assert identity(int((tmp_path / "sleeper").read_text())) is None


def leave_behind(tmp_path: Path, execution_id: str, owner: str, exits: list[int | None]) -> None:
    """The folder of an execution whose watching process ended without a word."""
    folder = tmp_path / "jobs" / execution_id
    folder.mkdir(parents=True)
    facts = {"job": "note", "arguments": [], "task_count": len(exits), "owner": owner}
    (folder / "execution.json").write_text(json.dumps(facts))
    for index, code in enumerate(exits):
        if code is not None:
            (folder / f"task-{index}.exit").write_text(str(code))


@pytest.mark.parametrize(
    ("exits", "state", "why"),
    [
        ([0, 0], JobState.SUCCEEDED, ""),
        ([0, 3], JobState.FAILED, "exit code 3"),
        ([0, None], JobState.FAILED, "Killed"),
        ([None, 1], JobState.FAILED, "exit code 1"),
        ([None], JobState.FAILED, "Killed"),
    ],
)
def test_what_an_ended_process_left_behind_is_judged_by_its_exit_codes(
    tmp_path: Path, exits: list[int | None], state: JobState, why: str
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = identity(child.pid)
    assert owner is not None
    leave_behind(tmp_path, "e1", owner, exits)
    assert jobs_in(tmp_path).status("e1").state is JobState.RUNNING
    child.communicate(b"\n")
    status = jobs_in(tmp_path).status("e1")
    assert status.state is state
    assert why in status.detail


def test_a_process_id_that_was_given_again_isnt_taken_for_the_old_process(tmp_path: Path) -> None:
    mine = identity(os.getpid())
    assert mine is not None
    process_id, started, boot = mine.split()
    leave_behind(tmp_path, "mine", mine, [None])
    leave_behind(tmp_path, "other", f"{process_id} {int(started) - 1} {boot}", [None])
    leave_behind(tmp_path, "before-the-restart", f"{process_id} {started} other", [None])
    jobs = jobs_in(tmp_path)
    assert jobs.status("mine").state is JobState.RUNNING
    assert jobs.status("other").state is JobState.FAILED
    assert jobs.status("before-the-restart").state is JobState.FAILED


def test_a_process_is_known_by_when_it_started_until_it_ends() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine, its = identity(os.getpid()), identity(child.pid)
    assert mine is not None
    assert its is not None
    assert its == identity(child.pid)
    assert mine.split()[1:] != its.split()[1:]
    assert child.stdin is not None
    child.stdin.close()
    wait_for(lambda: identity(child.pid) is None)  # already before it is waited for
    child.wait()
    assert identity(child.pid) is None


@pytest.mark.parametrize(
    ("failure", "least", "most"), [(1, 0.5, 1.0), (2, 1.0, 2.0), (4, 4.0, 8.0), (9, 5.0, 10.0)]
)
def test_delays_double_up_to_a_limit_with_jitter(failure: int, least: float, most: float) -> None:
    retry = RetryPolicy(first_seconds=1.0, longest_seconds=10.0)
    assert retry.delay_seconds(failure, 0.0) == least
    assert least < retry.delay_seconds(failure, 0.999) < most


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    LocalSecrets(tmp_path, {}).ensure("admin-api-key", lambda: "from the file")
    assert LocalSecrets(tmp_path, {}).get("admin-api-key") == "from the file"
    assert LocalSecrets(tmp_path, {"ADMIN_API_KEY": "from outside"}).get("admin-api-key") == "from outside"
    assert LocalSecrets(tmp_path, {"ADMIN_API_KEY": ""}).get("admin-api-key") == "from the file"


def test_a_secret_is_made_once_for_all_who_race(tmp_path: Path) -> None:
    made = [LocalSecrets(tmp_path / "secrets", {}) for _ in range(16)]
    results = race(16, lambda i: made[i].ensure("key", lambda: f"value {i}"))
    assert len(set(results)) == 1
    assert made[0].ensure("key", lambda: "another") == results[0]
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["key"]


def test_only_the_owner_can_read_a_secret(tmp_path: Path) -> None:
    secrets = LocalSecrets(tmp_path / "secrets", {})
    secrets.ensure("key", lambda: "value")
    file = tmp_path / "secrets" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        secrets.get("key")


def test_a_missing_secret_says_where_it_may_be_put(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"ADMIN_API_KEY.*admin-api-key"):
        LocalSecrets(tmp_path, {}).get("admin-api-key")


@pytest.mark.parametrize("name", ["", "../key", "A", "a_b", "1"])
def test_a_secret_needs_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        LocalSecrets(tmp_path, {}).ensure(name, lambda: "value")
    assert list(tmp_path.iterdir()) == []
