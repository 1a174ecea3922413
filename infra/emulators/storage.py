"""Cloud Storage on one machine: gcp-storage-emulator, with what it leaves out and the engine relies on.

`python -m infra.emulators.storage PORT [FOLDER]` serves 127.0.0.1:PORT. Added here: the precondition
`ifGenerationMatch`, pages of listings, more than one connection at a time, and objects that outlive a
kill when a folder is given.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
import threading
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

from infra.emulators.json_server import JsonServer, send_json
from infra.emulators.processes import Emulator, free_port
from shared.errors import ConfigurationError

MAX_PAGE = 1_000
_CREATE_SECONDS = 10.0
_TABLES = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, resource TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects
    (bucket TEXT, name TEXT, resource TEXT NOT NULL, PRIMARY KEY (bucket, name));
"""


def storage_emulator(logs: Path, port: int | None = None, folder: Path | None = None) -> Emulator:
    """Keeps objects in `folder`, for the next one that is started on it; without one, in memory."""
    port = port or free_port()
    command = [sys.executable, "-m", "infra.emulators.storage", str(port)]
    if folder is not None:
        command.append(str(folder.absolute()))
    return Emulator("storage emulator", command, port, logs / "storage.log")


def create_bucket(url: str, name: str) -> None:
    """Make the bucket at the emulator of that url; nothing happens when it is there.

    Raises:
        ConfigurationError: the emulator doesn't make it.
    """
    answer = httpx.post(f"{url}/storage/v1/b", json={"name": name}, timeout=_CREATE_SECONDS, trust_env=False)
    if answer.status_code not in (HTTPStatus.OK, HTTPStatus.CONFLICT):
        raise ConfigurationError(f"The storage emulator makes no bucket {name!r}: {answer.status_code}.")


class _PreconditionFailed(Exception):
    """The object isn't at the generation that the request asks for."""


class _Kept:
    """What is known of buckets and objects, in a file that is whole after every write."""

    def __init__(self, file: Path | None) -> None:
        self._connection = sqlite3.connect(
            ":memory:" if file is None else file, check_same_thread=False, isolation_level=None
        )
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")  # outlives a kill, if not a power cut
        self._connection.executescript(_TABLES)

    def buckets(self) -> dict[str, Any]:
        rows = self._connection.execute("SELECT name, resource FROM buckets")
        return {name: json.loads(resource) for name, resource in rows}

    def objects(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for bucket, name, resource in self._connection.execute("SELECT * FROM objects"):
            found.setdefault(bucket, {})[name] = json.loads(resource)
        return found

    def put_bucket(self, name: str, resource: Any) -> None:
        self._connection.execute("REPLACE INTO buckets VALUES (?, ?)", (name, json.dumps(resource)))

    def put_object(self, bucket: str, name: str, resource: Any) -> None:
        row = (bucket, name, json.dumps(resource))
        self._connection.execute("REPLACE INTO objects VALUES (?, ?, ?)", row)

    def remove_object(self, bucket: str, name: str) -> None:
        self._connection.execute("DELETE FROM objects WHERE bucket = ? AND name = ?", (bucket, name))

    def remove_bucket(self, name: str) -> None:
        self._connection.execute("DELETE FROM buckets WHERE name = ?", (name,))


class _Storage(Storage):  # type: ignore[misc]  # untyped
    """The emulator's storage, where one lock lets one request at a time look and write."""

    def __init__(self, folder: Path | None) -> None:
        self.wanted = threading.local()  # `generation`: what the thread's request asks for, or None
        self.finished: dict[str, Any] = {}  # the objects of the uploads that are through, by upload id
        self._lock = threading.RLock()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._kept = _Kept(None if folder is None else folder / "objects.sqlite3")
        super().__init__(use_memory_fs=folder is None, data_dir=None if folder is None else str(folder))

    def create_bucket(self, bucket_name: str, bucket_obj: Any) -> Any:
        with self._lock:
            made = super().create_bucket(bucket_name, bucket_obj)
            self._kept.put_bucket(bucket_name, bucket_obj)
            return made

    def delete_bucket(self, bucket_name: str) -> None:
        with self._lock:
            super().delete_bucket(bucket_name)
            self._kept.remove_bucket(bucket_name)

    def create_file(
        self, bucket_name: str, file_name: str, content: bytes, file_obj: Any, file_id: str | None = None
    ) -> None:
        with self._lock:
            self._require_generation(bucket_name, file_name)
            super().create_file(bucket_name, file_name, content or b"", file_obj, file_id)
            self._kept.put_object(bucket_name, file_name, file_obj)
            if file_id is not None:
                self.finished[file_id] = file_obj

    def create_resumable_upload(self, bucket_name: str, file_name: str, file_obj: Any) -> Any:
        with self._lock:
            self._require_generation(bucket_name, file_name)
            return super().create_resumable_upload(bucket_name, file_name, file_obj)

    def patch_object(self, bucket_name: str, file_name: str, file_obj: Any) -> None:
        with self._lock:
            super().patch_object(bucket_name, file_name, file_obj)
            self._kept.put_object(bucket_name, file_name, file_obj)

    def delete_file(self, bucket_name: str, file_name: str) -> None:
        with self._lock:  # for good: nobody here asks for what was deleted
            if file_name not in self.objects.get(bucket_name, {}):
                raise NotFound
            self._kept.remove_object(bucket_name, file_name)
            self._hard_delete_file(bucket_name, file_name)

    def get_file_list(self, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            return super().get_file_list(*arguments, **options)

    def _require_generation(self, bucket_name: str, file_name: str) -> None:
        wanted = getattr(self.wanted, "generation", None)
        found = self.objects.get(bucket_name, {}).get(file_name, {}).get("generation", "0")
        if wanted is not None and wanted != found:
            raise _PreconditionFailed

    def _object_path(self, bucket_name: str, file_name: str) -> str:
        """Flat, so that `a` and `a/b` can both be objects."""
        return f"{bucket_name}/{sha256(file_name.encode()).hexdigest()}"

    def _read_config_from_file(self) -> None:
        super()._read_config_from_file()
        self.buckets = self._kept.buckets()
        self.objects = self._kept.objects()

    def _write_config_to_file(self) -> None:
        """Kept by each change instead: the whole, at every write, takes longer with every object."""


class _Handler(RequestHandler):  # type: ignore[misc]  # untyped
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet per answer, not one per line
    timeout = 60.0

    def do_GET(self) -> None:  # noqa: N802 - what http.server calls
        address = urlsplit(self.path)
        parts = address.path.split("/")
        if len(parts) == 6 and parts[1:4] == ["storage", "v1", "b"] and parts[5] == "o":
            self._list(parts[4], {name: values[0] for name, values in parse_qs(address.query).items()})
        else:
            super().do_GET()

    def do_POST(self) -> None:  # noqa: N802 - what http.server calls
        self._conditional(super().do_POST)

    def do_PUT(self) -> None:  # noqa: N802 - what http.server calls
        upload = parse_qs(urlsplit(self.path).query).get("upload_id", [""])[0]
        if upload in self.storage.finished:  # sent again, since the answer was lost
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            send_json(self, HTTPStatus.OK, self.storage.finished[upload])
        else:
            self._conditional(super().do_PUT)

    def _conditional(self, act: Any) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.storage.wanted.generation = query.get("ifGenerationMatch", [None])[0]
        try:
            act()
        except _PreconditionFailed:
            self._answer(
                HTTPStatus.PRECONDITION_FAILED,
                "At least one of the pre-conditions you specified did not hold.",
            )
        finally:
            self.storage.wanted.generation = None

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        """A page of the bucket's objects; its token is the name of its last."""
        try:
            found, prefixes = self.storage.get_file_list(bucket, query.get("prefix"), query.get("delimiter"))
        except NotFound:
            self._answer(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")
            return
        rest = [one for one in found if one["name"] > query.get("pageToken", "")]
        page = rest[: min(int(query.get("maxResults", MAX_PAGE)), MAX_PAGE)]
        answer = {"kind": "storage#objects", "prefixes": prefixes, "items": page}
        if len(page) < len(rest):
            answer["nextPageToken"] = page[-1]["name"]
        send_json(self, HTTPStatus.OK, answer)

    def _answer(self, status: HTTPStatus, message: str) -> None:
        send_json(self, status, {"error": {"code": status, "message": message}})


def serve(port: int, folder: Path | None) -> None:
    """Serves until the process ends."""
    logging.basicConfig(level=logging.CRITICAL)  # a lost race is no error; a failure has its traceback
    storage = _Storage(folder)
    with JsonServer(("127.0.0.1", port), partial(_Handler, storage)) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
