"""What only S3 has: a line that fails, contended writes, identities, objects of others."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from infra.emulators import s3
from shared.errors import AlreadyExists, ConfigurationError, CorruptBlob, NotFound, PlatformUnavailable
from shared.platform.s3.blobs import ATTEMPTS, S3Blobs
from tests.contracts.racing import race
from tests.emulators import Emulators, fresh_project
from tests.faulty import Fault, Line, line_to

CONTENT = random.Random(0).randbytes(1_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def bucket(emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> str:
    name = fresh_project()
    s3.create_bucket(emulators.s3, name)
    for variable, value in s3.ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    return name


@pytest.fixture
def line(emulators: Emulators) -> Iterator[Line]:
    with line_to(emulators.s3) as line:
        yield line


Opener = Callable[..., S3Blobs]


@pytest.fixture
def over(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """The bucket, over whatever line leads there."""

    def open_(url: str, *, timeout_seconds: float = 10.0, bucket: str = bucket) -> S3Blobs:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        blobs = S3Blobs(bucket, timeout_seconds=timeout_seconds)
        assert list(blobs.list("none")) == []  # its client is made, and keeps its address
        return blobs

    return open_


@pytest.fixture
def blobs(emulators: Emulators, over: Opener) -> S3Blobs:
    """Straight to the emulator."""
    return over(emulators.s3)


def opened(over: Opener, line: Line, *, timeout_seconds: float = 10.0) -> S3Blobs:
    """Over the line, which forgets what was said until here."""
    found = over(line.url, timeout_seconds=timeout_seconds)
    line.seen.clear()
    return found


@pytest.mark.parametrize("lost", [1, 2])
def test_a_put_whose_answer_was_lost_has_succeeded(
    over: Opener, line: Line, blobs: S3Blobs, lost: int
) -> None:
    bad = opened(over, line)
    line.plan("PUT", *[Fault.LOST] * lost)
    assert bad.put("a", CONTENT) == DIGEST
    assert line.seen == ["PUT"] * (lost + 1) + ["HEAD"]  # taken: by whom?
    assert blobs.get("a") == CONTENT


def test_what_another_put_isnt_taken_for_ours_though_it_is_the_same(
    over: Opener, line: Line, blobs: S3Blobs
) -> None:
    blobs.put("a", CONTENT)
    bad = opened(over, line)
    line.plan("PUT", Fault.UNAVAILABLE, Fault.LOST)
    with pytest.raises(AlreadyExists, match=r"s3://.*/a"):
        bad.put("a", CONTENT)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.CONTENDED, Fault.HANGS])
def test_a_put_that_fails_for_a_while_is_sent_again(
    over: Opener, line: Line, blobs: S3Blobs, fault: Fault
) -> None:
    bad = opened(over, line, timeout_seconds=1.0)
    line.plan("PUT", fault, fault)
    assert bad.put("a", CONTENT) == DIGEST
    assert line.seen == ["PUT"] * 3
    assert blobs.get("a") == CONTENT


def test_what_changed_on_its_way_up_isnt_kept(over: Opener, line: Line, blobs: S3Blobs) -> None:
    bad = opened(over, line)
    line.plan("PUT", Fault.FLIPPED)
    with pytest.raises(PlatformUnavailable, match="400 BadDigest"):
        bad.put("a", CONTENT)
    assert list(blobs.list("")) == []


def test_an_answer_that_is_cut_is_asked_for_again(over: Opener, line: Line, blobs: S3Blobs) -> None:
    blobs.put("a", CONTENT)
    bad = opened(over, line)
    line.plan("GET", Fault.CUT, Fault.UNAVAILABLE, Fault.CUT)
    assert bad.get("a") == CONTENT
    assert line.seen == ["GET"] * 4


@pytest.mark.parametrize("sha256", [None, DIGEST])
def test_half_an_answer_that_looks_whole_is_found(
    over: Opener, line: Line, blobs: S3Blobs, sha256: str | None
) -> None:
    blobs.put("a", CONTENT)
    bad = opened(over, line)
    line.plan("GET", Fault.SHORT)
    with pytest.raises(CorruptBlob, match=DIGEST):
        bad.get("a", sha256=sha256)


@pytest.mark.parametrize(
    ("method", "fault", "requests"),
    [
        ("GET", Fault.UNAVAILABLE, ATTEMPTS),
        ("GET", Fault.CUT, ATTEMPTS),
        ("GET", Fault.LOST, ATTEMPTS),
        ("GET", Fault.HANGS, ATTEMPTS),
        ("PUT", Fault.UNAVAILABLE, ATTEMPTS),
        ("PUT", Fault.LOST, ATTEMPTS),
        ("PUT", Fault.HANGS, ATTEMPTS),
        ("PUT", Fault.CONTENDED, ATTEMPTS),
        ("DELETE", Fault.UNAVAILABLE, ATTEMPTS),
        ("HEAD", Fault.UNAVAILABLE, ATTEMPTS + 1),
    ],
)
def test_a_line_that_stays_bad_is_given_up(
    over: Opener, line: Line, blobs: S3Blobs, method: str, fault: Fault, requests: int
) -> None:
    blobs.put("a", CONTENT)
    bad = opened(over, line, timeout_seconds=0.5)
    line.always(method, fault)
    acts: dict[str, Callable[[], object]] = {
        "GET": lambda: bad.get("a"),
        "PUT": lambda: bad.put("b", CONTENT),
        "DELETE": lambda: bad.delete("a"),
        "HEAD": lambda: list(bad.list("")),
    }
    before = time.monotonic()
    with pytest.raises(PlatformUnavailable, match="s3://"):
        acts[method]()
    assert len(line.seen) == requests
    assert time.monotonic() - before < ATTEMPTS * 0.25 + 20.0


def test_an_identity_without_the_right_is_told_so(over: Opener, line: Line) -> None:
    refused = opened(over, line)
    for method in ("GET", "PUT", "DELETE"):
        line.always(method, Fault.REFUSED)
    acts: tuple[Callable[[], object], ...] = (
        lambda: refused.get("a"),
        lambda: refused.put("a", CONTENT),
        lambda: list(refused.list("")),
        lambda: refused.delete("a"),
    )
    for act in acts:
        with pytest.raises(ConfigurationError, match="rights"):
            act()
    assert line.seen == ["GET", "PUT", "GET", "DELETE"]


def test_a_missing_bucket_is_named(emulators: Emulators, blobs: S3Blobs) -> None:
    elsewhere = S3Blobs("not-there", timeout_seconds=5.0)
    acts: tuple[Callable[[], object], ...] = (
        lambda: elsewhere.put("a", b""),
        lambda: list(elsewhere.list("")),
        lambda: elsewhere.get("a"),
        lambda: elsewhere.delete("a"),
    )
    for act in acts:
        with pytest.raises(ConfigurationError, match=r"s3://not-there/.*NoSuchBucket"):
            act()


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_REGION"])
def test_what_boto3_misses_in_the_environment_is_a_matter_of_configuration(
    blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(ConfigurationError, match="put s3://bucket/a"):
        S3Blobs("bucket", timeout_seconds=5.0).put("a", b"")


def test_what_others_put_there_isnt_a_blob(emulators: Emulators, bucket: str, blobs: S3Blobs) -> None:
    assert httpx.put(f"{emulators.s3}/{bucket}/theirs", content=CONTENT, trust_env=False).status_code == 200
    blobs.put("ours", CONTENT)
    assert [info.name for info in blobs.list("")] == ["ours"]
    with pytest.raises(CorruptBlob, match="theirs"):
        blobs.get("theirs")
    assert blobs.get("theirs", sha256=DIGEST) == CONTENT


def test_content_that_went_bad_is_found(emulators: Emulators, bucket: str, blobs: S3Blobs) -> None:
    headers = {"x-amz-meta-sha256": DIGEST}
    httpx.put(f"{emulators.s3}/{bucket}/a", content=b"other", headers=headers, trust_env=False)
    with pytest.raises(CorruptBlob, match=DIGEST):
        blobs.get("a")


def test_what_is_deleted_while_it_is_listed_is_left_out(over: Opener, line: Line, blobs: S3Blobs) -> None:
    for n in range(30):
        blobs.put(f"a/{n:02}", b"")
    listing = over(line.url).list("a/")
    assert next(listing).name == "a/00"
    for n in range(1, 30):
        blobs.delete(f"a/{n:02}")
    rest = [info.name for info in listing]
    assert rest == sorted(rest)
    listing = over(line.url).list("a/")
    assert [info.name for info in listing] == ["a/00"]
    blobs.delete("a/00")
    with pytest.raises(NotFound):
        blobs.get("a/00")


def test_one_of_16_racing_writers_of_large_blobs_wins(blobs: S3Blobs) -> None:
    results = race(16, lambda i: blobs.put("a", CONTENT + bytes([i])))
    assert sum(isinstance(result, str) for result in results) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 15
