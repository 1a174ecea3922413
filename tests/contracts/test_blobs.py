from __future__ import annotations

import hashlib
import random
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import AlreadyExists, CorruptBlob, InvalidInput, NotFound
from shared.platform.ports import BlobInfo, BlobPart, Blobs
from tests.contracts.platforms import Place
from tests.contracts.racing import kill_while_busy, race
from tests.contracts.workers import put_blobs

COMMON = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAME = re.compile(r"[A-Za-z0-9._=^-]+(/[A-Za-z0-9._=^-]+)*")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def names(blobs: Blobs, prefix: str = "") -> list[str]:
    return [info.name for info in blobs.list(prefix)]


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)), b"\n\r\n" * 1000])
def test_what_was_put_is_got(blobs: Blobs, content: bytes) -> None:
    assert blobs.put("a/b.bin", content) == sha256(content)
    assert blobs.get("a/b.bin") == content
    assert list(blobs.list("")) == [BlobInfo("a/b.bin", len(content), sha256(content))]


def test_a_large_blob_comes_back_whole(blobs: Blobs) -> None:
    content = random.Random(0).randbytes(20_000_000)
    digest = blobs.put("large", content)
    assert digest == sha256(content)
    assert blobs.get("large", sha256=digest) == content
    assert list(blobs.list("large")) == [BlobInfo("large", 20_000_000, digest)]


@pytest.mark.parametrize(
    ("start", "size_bytes", "found"),
    [(0, 3, b"abc"), (2, 2, b"cd"), (4, 100, b"ef"), (5, 1, b"f"), (6, 1, b""), (99, 5, b"")],
)
def test_a_part_is_what_there_is_of_it(blobs: Blobs, start: int, size_bytes: int, found: bytes) -> None:
    blobs.put("a/b.bin", b"abcdef")
    assert blobs.part("a/b.bin", start=start, size_bytes=size_bytes) == BlobPart(found, 6)


def test_there_is_no_part_of_nothing(blobs: Blobs) -> None:
    blobs.put("empty", b"")
    assert blobs.part("empty", start=0, size_bytes=1) == BlobPart(b"", 0)
    for name in ("nope", "../empty", ""):
        with pytest.raises(NotFound):
            blobs.part(name, start=0, size_bytes=1)


def test_a_name_is_written_once(blobs: Blobs) -> None:
    blobs.put("a", b"first")
    for content in (b"second", b"first"):
        with pytest.raises(AlreadyExists, match="a"):
            blobs.put("a", content)
    assert blobs.get("a") == b"first"


def test_one_of_32_racing_writers_wins(blobs: Blobs) -> None:
    results = race(32, lambda i: blobs.put("a/b", f"{i}".encode()))
    winners = [i for i, result in enumerate(results) if not isinstance(result, Exception)]
    assert len(winners) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 31
    assert blobs.get("a/b") == f"{winners[0]}".encode()
    assert names(blobs) == ["a/b"]


def test_another_checksum_than_expected_is_found(blobs: Blobs) -> None:
    blobs.put("a", b"content")
    with pytest.raises(CorruptBlob, match=sha256(b"content")):
        blobs.get("a", sha256=sha256(b"other"))


def test_an_unknown_name_isnt_found(blobs: Blobs) -> None:
    blobs.put("a/b", b"")
    for name in ("b", "a", "a/b/c", "a/B2", "../a", "", "/a/b", "a/b/"):
        with pytest.raises(NotFound):
            blobs.get(name)


@pytest.mark.parametrize(
    "name",
    ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "a b", "a\\b", "a@", "é",
     "a\0", "a\n", "a:b", "~", "x" * 201, "/".join(["x" * 100] * 10)],
)  # fmt: skip
def test_what_is_no_name_is_refused(blobs: Blobs, name: str) -> None:
    with pytest.raises(InvalidInput):
        blobs.put(name, b"")
    blobs.delete(name)
    assert names(blobs) == []


@pytest.mark.parametrize(
    "name",
    [
        "...",
        "..a",
        ".hidden",
        "-",
        "^BRK.B",
        "symbol=AAPL/part-0.parquet",
        "a." + "b" * 198,
        "A/a",
        "x" * 200,
    ],
)
def test_odd_names_work(blobs: Blobs, name: str) -> None:
    blobs.put(name, b"content")
    assert blobs.get(name) == b"content"
    assert names(blobs) == names(blobs, name) == [name]


def test_a_name_may_go_on_where_another_ends(blobs: Blobs) -> None:
    blobs.put("a/b", b"1")
    blobs.put("a", b"2")
    blobs.put("a/b/c", b"3")
    assert [blobs.get(name) for name in ("a", "a/b", "a/b/c")] == [b"2", b"1", b"3"]
    blobs.delete("a/b")
    assert names(blobs) == ["a", "a/b/c"]


@COMMON
@given(st.text("ab/.=", max_size=8))
def test_a_name_is_taken_as_it_is_or_refused(blobs: Blobs, name: str) -> None:
    is_name = NAME.fullmatch(name) is not None and not {".", ".."} & set(name.split("/"))
    try:
        blobs.put(name, name.encode())
    except InvalidInput:
        assert not is_name
    else:
        assert is_name
        assert blobs.get(name) == name.encode()
        assert names(blobs) == [name]
        blobs.delete(name)
    assert names(blobs) == []


def test_names_are_listed_by_prefix_in_order(blobs: Blobs) -> None:
    every = ["a", "a-b", "a/b", "a/c/d", "ab/c", "b"]
    for name in reversed(every):
        blobs.put(name, b"")
    assert names(blobs) == every
    assert names(blobs, "a") == every[:5]
    assert names(blobs, "a/") == ["a/b", "a/c/d"]
    assert names(blobs, "a/c") == ["a/c/d"]
    for prefix in ("c", "/", "../", "a/..", "a/./", "a@", "a b", "a\0", ".."):
        assert names(blobs, prefix) == []


def test_more_blobs_than_the_services_list_at_once_are_all_listed(blobs: Blobs) -> None:
    every = [f"a/{n:04}" for n in range(1_001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: blobs.put(name, name.encode()), every))
    found = list(blobs.list("a/"))
    assert [info.name for info in found] == every
    assert found[-1] == BlobInfo("a/1000", 6, sha256(b"a/1000"))


def test_a_deleted_name_is_free_again(blobs: Blobs) -> None:
    blobs.put("a/b", b"1")
    blobs.delete("a/b")
    blobs.delete("a/b")
    with pytest.raises(NotFound):
        blobs.get("a/b")
    blobs.put("a/b", b"2")
    assert blobs.get("a/b") == b"2"


def test_a_killed_writer_leaves_whole_blobs_and_all_it_was_told_are_there(place: Place) -> None:
    rng = random.Random(2)
    for attempt in range(20):
        told = kill_while_busy(
            put_blobs, place.name, place.state, f"p{attempt}", after_seconds=rng.random() / 100
        )
        found = names(place.blobs, f"p{attempt}/")
        assert set(told) <= set(found)
        for name in found:
            number = name.removesuffix(".bin").rpartition("/")[2]
            assert place.blobs.get(name) == f"{number},".encode() * 100_000


def test_a_blob_is_put_by_its_url_alone_where_the_store_has_one(blobs: Blobs) -> None:
    content = b"a model"
    url = blobs.upload_url("uploads/a", size_bytes=len(content), seconds=60)
    if url is None:
        return
    for status in (200, 412):
        answer = httpx.request(url.method, url.url, headers=dict(url.headers), content=content)
        assert answer.status_code == status
    assert blobs.get("uploads/a", sha256=sha256(content)) == content
    assert names(blobs) == []  # nobody has checked it


def test_no_url_is_made_for_what_is_no_name(blobs: Blobs) -> None:
    with pytest.raises(InvalidInput):
        blobs.upload_url("../a", size_bytes=1, seconds=60)
