"""The layer over gcp-storage-emulator: what it adds is shown to be missing, or to be needed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gcp_storage_emulator.server import create_server

from infra.emulators.processes import free_port, running
from infra.emulators.storage import create_bucket, storage_emulator
from shared.config import PlatformName, load_settings
from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.gcp.blobs import GcsBlobs
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from tests.contracts.racing import race
from tests.contracts.workers import wait_for
from tests.emulators import Emulators, fresh_project

CREATE_ONLY = {"ifGenerationMatch": "0"}
BOUNDARY = "between"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30.0, trust_env=False, limits=httpx.Limits(max_connections=64)) as client:
        yield client


@pytest.fixture
def url(emulators: Emulators) -> str:
    """Of a fresh bucket's objects, for uploads."""
    bucket = fresh_project()
    create_bucket(emulators.storage, bucket)
    return f"{emulators.storage}/upload/storage/v1/b/{bucket}/o"


def simple(client: httpx.Client, url: str, content: bytes) -> int:
    params = {"uploadType": "media", "name": "a", **CREATE_ONLY}
    return client.post(url, params=params, content=content).status_code


def multipart(client: httpx.Client, url: str, content: bytes) -> int:
    head = f'--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{"name": "a"}}\r\n--{BOUNDARY}\r\n'
    body = head.encode() + b"Content-Type: text/plain\r\n\r\n" + content + f"\r\n--{BOUNDARY}--".encode()
    headers = {"Content-Type": f"multipart/related; boundary={BOUNDARY}"}
    params = {"uploadType": "multipart", **CREATE_ONLY}
    return client.post(url, params=params, content=body, headers=headers).status_code


def begin(client: httpx.Client, url: str, name: str = "a") -> httpx.Response:
    return client.post(url, params={"uploadType": "resumable", **CREATE_ONLY}, json={"name": name})


def finish(client: httpx.Client, begun: httpx.Response, content: bytes) -> httpx.Response:
    return client.put(begun.headers["Location"], content=content)


def resumable(client: httpx.Client, url: str, content: bytes) -> int:
    begun = begin(client, url)
    return begun.status_code if begun.is_error else finish(client, begun, content).status_code


def winners(
    client: httpx.Client, url: str, upload: Callable[[httpx.Client, str, bytes], int], size: int = 1
) -> int:
    statuses = race(32, lambda i: upload(client, url, f"{i}".encode() * size))
    assert {status for status in statuses if not isinstance(status, Exception)} <= {200, 412}
    return statuses.count(200)


def test_the_plain_emulator_lets_many_creators_win(client: httpx.Client) -> None:
    """Why there is a layer: `ifGenerationMatch` isn't looked at, so the last of all "creators" stays."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    try:
        create_bucket(f"http://127.0.0.1:{port}", "bucket")
        assert winners(client, f"http://127.0.0.1:{port}/upload/storage/v1/b/bucket/o", simple) > 1
    finally:
        server.stop()


@pytest.mark.parametrize("upload", [simple, multipart, resumable])
def test_one_creator_wins_whichever_way_it_uploads(
    client: httpx.Client, url: str, upload: Callable[[httpx.Client, str, bytes], int]
) -> None:
    assert winners(client, url, upload) == 1


def test_one_creator_wins_where_writing_takes_time(tmp_path: Path, client: httpx.Client) -> None:
    """On disk, where the emulator lets others in between looking and writing, but for the lock."""
    with running(storage_emulator(tmp_path, folder=tmp_path / "objects")) as emulator:
        for bucket in ("one", "two", "three"):
            create_bucket(f"http://{emulator.host}", bucket)
            url = f"http://{emulator.host}/upload/storage/v1/b/{bucket}/o"
            assert winners(client, url, simple, size=200_000) == 1


def test_uploads_that_began_together_dont_both_end(client: httpx.Client, url: str) -> None:
    first, second = begin(client, url), begin(client, url)
    assert finish(client, second, b"2").status_code == 200
    assert finish(client, first, b"1").status_code == 412
    assert begin(client, url).status_code == 412


def test_an_upload_that_is_through_answers_the_same_again(client: httpx.Client, url: str) -> None:
    begun = begin(client, url)
    assert finish(client, begun, b"1").json() == finish(client, begun, b"1").json()


def test_another_generation_than_asked_for_is_refused(client: httpx.Client, url: str) -> None:
    params = {"uploadType": "media", "name": "a"}
    first = client.post(url, params=params, content=b"1").json()["generation"]
    second = client.post(url, params={**params, "ifGenerationMatch": first}, content=b"2")
    third = client.post(url, params={**params, "ifGenerationMatch": first}, content=b"3")
    assert (second.status_code, third.status_code) == (200, 412)
    assert third.json()["error"]["code"] == 412


def test_a_listing_comes_in_pages(client: httpx.Client, url: str) -> None:
    for name in ("b", "a/1", "a/2", "a/3", "a/4"):
        finish(client, begin(client, url, name), b"")
    found: list[list[str]] = []
    params = {"prefix": "a/", "maxResults": "3"}
    while True:
        page = client.get(url.replace("/upload", ""), params=params).json()
        found.append([one["name"] for one in page["items"]])
        if "nextPageToken" not in page:
            break
        params["pageToken"] = page["nextPageToken"]
    assert found == [["a/1", "a/2", "a/3"], ["a/4"]]


def test_a_bucket_is_made_once_and_a_wrong_one_not(emulators: Emulators) -> None:
    create_bucket(emulators.storage, "twice-made")
    create_bucket(emulators.storage, "twice-made")
    with pytest.raises(ConfigurationError, match="400"):
        create_bucket(emulators.storage, "")


def test_what_a_killed_emulator_said_is_kept_is_found_by_the_next(tmp_path: Path) -> None:
    """Killed while 4 writers are busy: every blob that was put is there, and whole."""
    port, folder = free_port(), tmp_path / "objects"
    emulator = storage_emulator(tmp_path, port, folder)
    chosen = load_settings(
        platform=PlatformName.EMULATORS,
        google_cloud_project=fresh_project(),
        storage_emulator_host=f"http://127.0.0.1:{port}",
        platform_timeout_seconds=5.0,
    )
    project = Project.of(chosen)
    blobs = GcsBlobs(project, GoogleRest(project))
    told: dict[str, bytes] = {}

    def write(writer: int) -> None:
        for n in range(100_000):
            content = f"{writer} {n},".encode() * 10_000
            try:
                blobs.put(f"{writer}/{n}", content)
            except PlatformUnavailable:
                return
            told[f"{writer}/{n}"] = content

    with running(emulator):
        create_bucket(project.storage_url, project.bucket)
        blobs.put("a", b"1")
        blobs.put("a/b", b"2")
        blobs.put("gone", b"3")
        blobs.delete("gone")
        writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
        for writer in writers:
            writer.start()
        wait_for(lambda: len(told) > 40)
        emulator.kill()
        for writer in writers:
            writer.join()
    with running(emulator):
        found = {info.name for info in blobs.list("")}
        assert {"a", "a/b", *told} <= found
        assert "gone" not in found
        for name in found:
            content = blobs.get(name)  # whole, says its checksum
            assert content == told.get(name, content)
        blobs.put("new", b"4")
        assert blobs.get("a") == b"1"
    with running(emulator):
        assert blobs.get("new") == b"4"


def test_without_a_folder_nothing_is_kept(tmp_path: Path, client: httpx.Client) -> None:
    emulator = storage_emulator(tmp_path)
    listing = f"http://{emulator.host}/storage/v1/b"
    with running(emulator):
        create_bucket(f"http://{emulator.host}", "bucket")
        assert [one["name"] for one in client.get(listing).json()["items"]] == ["bucket"]
    with running(emulator):
        assert json.loads(client.get(listing).content)["items"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["storage.log"]
