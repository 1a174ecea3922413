"""What only Cloud Storage has: a line that fails, identities, objects of others, two ways of calling."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from shared.config import PlatformName, load_settings
from shared.errors import AlreadyExists, ConfigurationError, CorruptBlob, NotFound, PlatformUnavailable
from shared.platform.gcp.blobs import GcsBlobs
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import ATTEMPTS, GoogleRest
from tests.emulators import Emulators
from tests.faulty import Fault, Line, line_to

ROOT = Path(__file__).resolve().parents[2]
SMALL = b"content\r\n" * 1000
LARGE = random.Random(0).randbytes(9_000_000)
"""More than 8 MiB goes up in two requests: one that begins, one with the content."""

_READ = """
import json, sys
from shared.config import load_settings
from shared.platform.gcp.blobs import GcsBlobs
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
project = Project.of(load_settings(**json.loads(sys.argv[1])))
assert GcsBlobs(project, GoogleRest(project)).get("a") == b"x"
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def project(emulators: Emulators) -> Project:
    return Project.of(emulators.settings("storage"))


@pytest.fixture
def line(project: Project) -> Iterator[Line]:
    with line_to(project.storage_url) as line:
        yield line


@pytest.fixture
def blobs(project: Project) -> GcsBlobs:
    """Straight to the emulator."""
    return GcsBlobs(project, GoogleRest(project))


def over(line: Line, project: Project, *, timeout_seconds: float = 10.0) -> GcsBlobs:
    """The same bucket, over a bad line."""
    beyond = replace(project, storage_url=line.url, timeout_seconds=timeout_seconds)
    return GcsBlobs(beyond, GoogleRest(beyond))


def put_by_hand(project: Project, name: str, content: bytes) -> None:
    """As somebody else would, without our metadata."""
    url = f"{project.storage_url}/upload/storage/v1/b/{project.bucket}/o"
    params = {"uploadType": "media", "name": name}
    assert httpx.post(url, params=params, content=content, trust_env=False).status_code == 200


@pytest.mark.parametrize("lost", [1, 2])
def test_a_put_whose_answer_was_lost_has_succeeded(
    project: Project, line: Line, blobs: GcsBlobs, lost: int
) -> None:
    line.plan("POST", *[Fault.LOST] * lost)
    digest = over(line, project).put("a", SMALL)
    assert line.seen == ["POST"] * (lost + 1) + ["GET"]  # taken: by whom?
    assert blobs.get("a", sha256=digest) == SMALL


@pytest.mark.parametrize(
    ("method", "expected"), [("POST", ["POST", "POST", "PUT"]), ("PUT", ["POST", "PUT", "PUT"])]
)
def test_a_large_put_whose_answer_was_lost_has_succeeded(
    project: Project, line: Line, blobs: GcsBlobs, method: str, expected: list[str]
) -> None:
    line.plan(method, Fault.LOST)
    digest = over(line, project).put("a", LARGE)
    assert line.seen == expected
    assert blobs.get("a", sha256=digest) == LARGE


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_what_another_put_isnt_taken_for_ours_though_it_is_the_same(
    project: Project, line: Line, blobs: GcsBlobs, content: bytes
) -> None:
    blobs.put("a", content)
    line.plan("POST", Fault.UNAVAILABLE, Fault.LOST)
    with pytest.raises(AlreadyExists, match=r"gs://.*/a"):
        over(line, project).put("a", content)


@pytest.mark.parametrize(("content", "method"), [(SMALL, "POST"), (LARGE, "POST"), (LARGE, "PUT")])
def test_a_put_that_is_refused_for_a_while_is_sent_again(
    project: Project, line: Line, blobs: GcsBlobs, content: bytes, method: str
) -> None:
    line.plan(method, Fault.UNAVAILABLE, Fault.UNAVAILABLE)
    over(line, project).put("a", content)
    assert line.seen.count(method) == 3
    assert blobs.get("a") == content


@pytest.mark.parametrize(("content", "method"), [(SMALL, "POST"), (LARGE, "PUT")])
def test_what_changed_on_its_way_up_isnt_kept(
    project: Project, line: Line, blobs: GcsBlobs, content: bytes, method: str
) -> None:
    line.plan(method, Fault.FLIPPED)
    with pytest.raises(PlatformUnavailable, match="400"):
        over(line, project).put("a", content)
    assert list(blobs.list("")) == []


@pytest.mark.parametrize(("content", "method"), [(SMALL, "POST"), (LARGE, "PUT")])
def test_a_put_that_hangs_is_sent_again(
    project: Project, line: Line, blobs: GcsBlobs, content: bytes, method: str
) -> None:
    line.plan(method, Fault.HANGS)
    over(line, project, timeout_seconds=8.0).put("a", content)
    assert line.seen.count(method) == 2
    assert blobs.get("a") == content


def test_an_answer_that_is_cut_is_asked_for_again(project: Project, line: Line, blobs: GcsBlobs) -> None:
    digest = blobs.put("a", LARGE)
    line.plan("GET", Fault.CUT, Fault.UNAVAILABLE, Fault.CUT)
    assert over(line, project).get("a", sha256=digest) == LARGE
    assert line.seen == ["GET"] * 4


@pytest.mark.parametrize("with_checksum", [True, False])
def test_half_an_answer_that_looks_whole_is_found(
    project: Project, line: Line, blobs: GcsBlobs, with_checksum: bool
) -> None:
    digest = blobs.put("a", LARGE)
    if with_checksum:
        line.plan("GET", Fault.SHORT)
        with pytest.raises(CorruptBlob, match=digest):
            over(line, project).get("a", sha256=digest)
    else:
        put_by_hand(project, "short", LARGE[:100])
        url = f"{project.storage_url}/storage/v1/b/{project.bucket}/o/short"
        httpx.patch(url, json={"metadata": {"sha256": digest}}, trust_env=False).raise_for_status()
        with pytest.raises(CorruptBlob, match=digest):
            blobs.get("short")


def test_reading_takes_one_call_with_a_checksum_and_two_without(
    project: Project, line: Line, blobs: GcsBlobs
) -> None:
    digest = blobs.put("a", SMALL)
    reader = over(line, project)
    assert reader.get("a", sha256=digest) == SMALL
    assert line.seen == ["GET"]
    assert reader.get("a") == SMALL
    assert line.seen == ["GET"] * 3


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.CUT, Fault.LOST])
def test_reading_over_a_line_that_stays_bad_is_given_up(
    project: Project, line: Line, blobs: GcsBlobs, fault: Fault
) -> None:
    digest = blobs.put("a", SMALL)
    line.always("GET", fault)
    with pytest.raises(PlatformUnavailable, match=f"failed {ATTEMPTS} times"):
        over(line, project).get("a", sha256=digest)
    assert line.seen == ["GET"] * ATTEMPTS


@pytest.mark.parametrize(
    ("method", "act", "fault"),
    [
        ("POST", "put", Fault.UNAVAILABLE),
        ("POST", "put", Fault.CUT),
        ("POST", "put", Fault.LOST),
        ("GET", "list", Fault.UNAVAILABLE),
        ("GET", "list", Fault.CUT),
        ("GET", "list", Fault.LOST),
        ("DELETE", "delete", Fault.UNAVAILABLE),
        ("DELETE", "delete", Fault.LOST),
    ],
)
def test_a_line_that_stays_bad_is_given_up(
    project: Project, line: Line, blobs: GcsBlobs, method: str, act: str, fault: Fault
) -> None:
    blobs.put("a", SMALL)
    line.always(method, fault)
    bad = over(line, project, timeout_seconds=2.0)
    acts: dict[str, Callable[[], object]] = {
        "put": lambda: bad.put("b", SMALL),
        "list": lambda: list(bad.list("")),
        "delete": lambda: bad.delete("a"),
    }
    before = time.monotonic()
    with pytest.raises(PlatformUnavailable, match="gs://"):
        acts[act]()
    assert time.monotonic() - before < 8.0
    assert 1 <= line.seen.count(method) <= 20


def test_a_line_that_hangs_is_given_up(project: Project, line: Line, blobs: GcsBlobs) -> None:
    digest = blobs.put("a", SMALL)
    for method in ("GET", "POST"):
        line.always(method, Fault.HANGS)
    bad = over(line, project, timeout_seconds=1.0)
    for act in (lambda: bad.get("a", sha256=digest), lambda: bad.put("b", SMALL)):
        before = time.monotonic()
        with pytest.raises(PlatformUnavailable):
            act()
        assert time.monotonic() - before < 20.0


def test_listing_goes_on_over_a_bad_line(project: Project, line: Line, blobs: GcsBlobs) -> None:
    blobs.put("a", SMALL)
    line.plan("GET", Fault.UNAVAILABLE, Fault.CUT, Fault.LOST)
    assert [info.name for info in over(line, project).list("")] == ["a"]
    assert line.seen == ["GET"] * 4


def test_deleting_over_a_bad_line_deletes(project: Project, line: Line, blobs: GcsBlobs) -> None:
    blobs.put("a", SMALL)
    line.plan("DELETE", Fault.LOST)
    over(line, project).delete("a")
    assert line.seen == ["DELETE"] * 2
    assert list(blobs.list("")) == []


def test_an_identity_without_the_right_is_told_so(project: Project, line: Line) -> None:
    for method in ("GET", "POST", "DELETE"):
        line.always(method, Fault.REFUSED)
    refused = over(line, project)
    for act in (
        lambda: refused.get("a"),
        lambda: refused.put("a", SMALL),
        lambda: list(refused.list("")),
        lambda: refused.delete("a"),
    ):
        with pytest.raises(ConfigurationError, match="service account"):
            act()
    assert line.seen == ["GET", "GET", "POST", "GET", "DELETE"]


def test_what_is_missing_where_only_a_part_may_be_listed_is_missing(
    project: Project, line: Line, blobs: GcsBlobs
) -> None:
    """Cloud Storage answers as if it were forbidden to whom it may not tell that there is no such object."""
    digest = blobs.put("runs/ab", SMALL)
    reader = over(line, project)
    line.plan("GET", Fault.REFUSED)
    with pytest.raises(NotFound):
        reader.get("runs/a", sha256=digest)
    line.plan("GET", Fault.REFUSED)
    with pytest.raises(ConfigurationError, match="service account"):
        reader.get("runs/ab", sha256=digest)


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_a_missing_bucket_is_named(project: Project, content: bytes) -> None:
    elsewhere = replace(project, bucket="not-there")
    blobs = GcsBlobs(elsewhere, GoogleRest(elsewhere))
    with pytest.raises(ConfigurationError, match=r"gs://not-there/a.*no such bucket"):
        blobs.put("a", content)
    with pytest.raises(ConfigurationError, match="no such bucket"):
        list(blobs.list(""))
    with pytest.raises(NotFound):
        blobs.get("a")


def test_what_others_put_there_isnt_a_blob(project: Project, blobs: GcsBlobs) -> None:
    put_by_hand(project, "theirs", b"x")
    digest = blobs.put("ours", b"x")
    assert [info.name for info in blobs.list("")] == ["ours"]
    with pytest.raises(CorruptBlob, match="theirs"):
        blobs.get("theirs")
    assert blobs.get("theirs", sha256=digest) == b"x"


def test_without_an_emulator_an_emulated_project_reaches_nothing() -> None:
    chosen = load_settings(platform=PlatformName.EMULATORS, google_cloud_project="test-nothing")
    project = replace(Project.of(chosen), timeout_seconds=0.5)
    assert project.storage_url == "http://storage-emulator-host.not-set.invalid"
    blobs = GcsBlobs(project, GoogleRest(project))
    with pytest.raises(PlatformUnavailable, match=r"not-set\.invalid"):
        blobs.get("a")
    with pytest.raises(PlatformUnavailable, match=r"not-set\.invalid"):
        blobs.put("a", b"")


def test_the_variable_of_googles_client_leads_nowhere_else(
    project: Project, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    over(line, project).put("a", b"x")
    assert line.seen == ["POST"]


def test_reading_loads_no_client(emulators: Emulators) -> None:
    chosen = emulators.settings("storage")
    project = Project.of(chosen)
    GcsBlobs(project, GoogleRest(project)).put("a", b"x")
    described = chosen.model_dump_json(exclude_unset=True)
    run = subprocess.run(
        [sys.executable, "-c", _READ, described], cwd=ROOT, capture_output=True, check=True, text=True
    )
    loaded = json.loads(run.stdout)
    heavy = (
        "google.api_core",
        "google.auth",
        "google.cloud.",
        "google_crc32c",
        "grpc",
        "requests",
        "urllib3",
    )
    assert [name for name in loaded if name.startswith(heavy)] == []
