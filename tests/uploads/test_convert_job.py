"""The job `convert`: from an upload to a version, once, whatever happens on the way."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.access.identity import ADMIN, Identity
from shared.access.roles import Role
from shared.errors import Conflict, GatesNotPassed, OwnError, PlatformUnavailable
from shared.instance import Instance
from shared.jobs.conversion import limits, sandbox
from shared.jobs.convert import ConversionJob
from shared.jobs.task import Exit, StopSignals, Task
from shared.platform.connect import connect
from shared.registry.golden import check_golden
from shared.uploads import Format, Upload, UploadStatus
from tests.contracts.workers import wait_for
from tests.jobs.conftest import settings_of
from tests.jobs.scored import PassedOn
from tests.uploads.graphs import logistic, logistic_answers
from tests.uploads.made import BINARY, lightgbm_model, request, rows

ANN = Identity("ann", Role.PREDICTOR, user_id="u-ann")
PLATFORM_TASK = Task(retries=3, execution_id="e1", is_by_hand=False)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    settings = settings_of(tmp_path / "home")
    return Instance(settings, connect(settings))


def graph() -> bytes:
    return bytes(logistic().SerializeToString())


def taken(instance: Instance, by: Identity = ANN, **changes: Any) -> Upload:
    said = request(Format.ONNX, logistic_answers(), **changes)
    return instance.upload_desk.take(said, graph(), by)


def left_over(instance: Instance) -> list[str]:
    return [blob.name for blob in instance.platform.blobs.list("uploads/")]


def test_an_upload_becomes_a_candidate_with_an_owner(instance: Instance) -> None:
    content, answers = lightgbm_model()
    said = request(Format.LIGHTGBM, answers, description="Who is ill", tags=["heart", "mine"])
    upload = instance.upload_desk.take(said, content, ANN)
    assert ConversionJob(instance, Task()).work_on(upload.upload_id) is Exit.DONE
    ended = instance.uploads.get(upload.upload_id)
    assert (ended.status, ended.version_id, ended.reasons) == (UploadStatus.SUCCEEDED, "mine-v1", ())
    assert len(ended.checks) == 2
    version, manifest = instance.registry.describe("mine-v1")
    assert (version.status, version.gates_passed, version.owner) == ("candidate", False, "u-ann")
    assert (version.origin, version.description, version.tags) == (
        "uploaded",
        "Who is ill",
        ("heart", "mine"),
    )
    assert (version.run_id, version.created_by) == (upload.upload_id, "ann")
    assert (manifest.problem, manifest.kind, manifest.gates, manifest.gates_passed) == (
        "uploaded",
        "tabular",
        (),
        False,
    )
    assert (manifest.classes, manifest.parity.rows_checked > 1_000) == (BINARY, True)
    package = instance.registry.open_package("mine-v1")
    scorer = package.verified_scorer()
    assert np.abs(scorer.score(rows()[: len(answers)]) - answers).max() <= 1e-5
    check_golden(scorer, package.file("examples.json"))
    assert b"no gate has judged it" in package.file("report.html")
    assert left_over(instance) == []


def test_only_a_human_with_a_reason_makes_it_live(instance: Instance) -> None:
    ConversionJob(instance, Task()).work_on(taken(instance).upload_id)
    registry = instance.registry
    for reason in ("", "  "):
        with pytest.raises(GatesNotPassed, match=r"no gate has judged it.*reason"):
            registry.activate("mine-v1", by="op", reason=reason, allow_failed_gates=True)
    promotion = registry.activate("mine-v1", by="op", reason="checked on our own data")
    assert (promotion.gates_passed, promotion.reason) == (False, "checked on our own data")


def test_a_refused_model_says_why_and_leaves_nothing(instance: Instance) -> None:
    wrong = request(Format.ONNX, logistic_answers()[:, ::-1])
    upload = instance.upload_desk.take(wrong, graph(), ANN)
    assert ConversionJob(instance, PLATFORM_TASK).work_on(upload.upload_id) is Exit.DONE
    ended = instance.uploads.get(upload.upload_id)
    assert (ended.status, ended.version_id) == (UploadStatus.REFUSED, None)
    assert "The other way round they agree" in ended.reasons[0]
    assert instance.registry.list().versions == []
    assert left_over(instance) == []


def test_a_second_attempt_makes_no_second_version(instance: Instance) -> None:
    upload = taken(instance)
    for _ in range(2):
        assert ConversionJob(instance, PLATFORM_TASK).work_on(upload.upload_id) is Exit.DONE
    assert [version.id for version in instance.registry.list().versions] == ["mine-v1"]


def test_of_two_attempts_at_once_one_makes_the_version(instance: Instance) -> None:
    """The other has converted as well, and comes to register when the upload has ended."""
    upload = taken(instance)
    content, said = (
        instance.platform.blobs.get(upload.model_blob),
        instance.platform.blobs.get(upload.request_blob),
    )
    ConversionJob(instance, PLATFORM_TASK).work_on(upload.upload_id)
    instance.platform.blobs.put(upload.model_blob, content)
    instance.platform.blobs.put(upload.request_blob, said)
    late = ConversionJob(instance, PLATFORM_TASK)
    with StopSignals() as signals, pytest.raises(Conflict, match="has ended"):
        late._registered(upload, signals)
    assert [version.id for version in instance.registry.list().versions] == ["mine-v1"]


def test_where_the_platform_is_away_the_next_attempt_goes_on(instance: Instance) -> None:
    upload = taken(instance)
    away = replace(instance.platform, blobs=_Away(instance.platform.blobs))
    broken = Instance(instance.settings, away)
    assert ConversionJob(broken, PLATFORM_TASK).work_on(upload.upload_id) is Exit.TRY_AGAIN
    assert instance.uploads.get(upload.upload_id).status is UploadStatus.RUNNING
    assert ConversionJob(instance, PLATFORM_TASK).work_on(upload.upload_id) is Exit.DONE
    assert instance.uploads.get(upload.upload_id).attempts == 2


class _Away(PassedOn):
    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        raise PlatformUnavailable("The store is away.")


def test_a_name_that_was_taken_meanwhile_is_refused(instance: Instance) -> None:
    mine, theirs = taken(instance), taken(instance, Identity("bob", Role.PREDICTOR, user_id="u-bob"))
    for upload in (mine, theirs):
        ConversionJob(instance, PLATFORM_TASK).work_on(upload.upload_id)
    ended = instance.uploads.get(theirs.upload_id)
    assert (ended.status, "belongs to another model" in ended.reasons[0]) == (UploadStatus.REFUSED, True)


def test_the_file_must_be_the_one_that_was_announced(instance: Instance) -> None:
    content, answers = lightgbm_model()
    said = request(Format.LIGHTGBM, answers)
    begun = instance.upload_desk.begin(said, size_bytes=len(content), sha256="0" * 64, by=ADMIN)
    upload_id = begun.upload.upload_id
    instance.platform.blobs.put(begun.upload.model_blob, content)
    instance.upload_desk.complete(upload_id, ADMIN)
    ConversionJob(instance, PLATFORM_TASK).work_on(upload_id)
    assert "isn't the one that was announced" in instance.uploads.get(upload_id).reasons[0]


def test_what_a_store_took_itself_is_looked_at_by_the_job(instance: Instance) -> None:
    """Nobody has seen the file before: its sender reads in the upload what it is, and how to convert it."""
    content = pickle.dumps({"model": [1, 2, 3]})
    said = request(Format.LIGHTGBM, lightgbm_model()[1])
    digest = hashlib.sha256(content).hexdigest()
    begun = instance.upload_desk.begin(said, size_bytes=len(content), sha256=digest, by=ANN)
    instance.platform.blobs.put(begun.upload.model_blob, content)
    upload_id = instance.upload_desk.complete(begun.upload.upload_id, ANN).upload_id
    assert ConversionJob(instance, PLATFORM_TASK).work_on(upload_id) is Exit.DONE
    ended = instance.upload_desk.status(upload_id, ANN)
    assert ended.status is UploadStatus.REFUSED
    assert "it is a pickle" in ended.reasons[0]
    assert "booster_.save_model" in ended.reasons[0]
    assert left_over(instance) == []


def test_what_never_came_is_refused(instance: Instance) -> None:
    content, answers = lightgbm_model()
    said = request(Format.LIGHTGBM, answers)
    begun = instance.upload_desk.begin(said, size_bytes=len(content), sha256="0" * 64, by=ADMIN)
    ConversionJob(instance, PLATFORM_TASK).work_on(begun.upload.upload_id)
    assert "never came" in instance.uploads.get(begun.upload.upload_id).reasons[0]


def test_a_conversion_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is short here; its process is as it is."""
    monkeypatch.setattr(limits, "WALL_SECONDS", 0.05)
    content, answers = lightgbm_model()
    made = sandbox.convert(content, request(Format.LIGHTGBM, answers).to_json())
    assert "took longer than" in made.outcome.reasons[0]
    assert made.model == b""


@pytest.mark.parametrize("code", [1, 120])
def test_what_nobody_has_thought_of_isnt_the_senders_fault(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120: not even the error could be written, as where the disk is full."""
    (tmp_path / "python").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    content, answers = lightgbm_model()
    with pytest.raises(OwnError, match="conversion itself broke down"):
        sandbox.convert(content, request(Format.LIGHTGBM, answers).to_json())


def test_nobody_outlives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root may fork there at all; then its child ends with it."""
    (tmp_path / "python").write_text("#!/bin/sh\nsleep 300 &\necho $! > child\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with (tmp_path / "errors").open("wb") as errors:
        code, _ = sandbox._run(tmp_path, errors, lambda: None)
    child = int((tmp_path / "child").read_text())
    assert code == 0
    wait_for(lambda: not _is_running(child))


def _is_running(process: int) -> bool:
    """A zombie doesn't: whoever adopts it may never ask for it."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_process_can_open_nothing_once_it_looks_at_the_file(tmp_path: Path) -> None:
    code = (
        "import socket, os\nfrom shared.jobs.conversion import limits\nlimits.confine(0)\nlimits.shut_in()\n"
        "for attempt in (lambda: open('/etc/passwd'), socket.socket, os.pipe):\n"
        "    try:\n        attempt()\n        os.write(1, b'opened ')\n"
        "    except OSError as error:\n        os.write(1, b'refused ')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["refused"] * 3
