"""What only Firestore's adapter promises; what all promise is in `tests/contracts`."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest

from shared.errors import (
    AlreadyExists,
    ConfigurationError,
    InvalidInput,
    PlatformUnavailable,
    RevisionConflict,
)
from shared.platform import collections
from shared.platform.cas import update
from shared.platform.collections import Collection
from shared.platform.gcp import firestore_messages
from shared.platform.gcp.documents import FirestoreDocuments
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.gcp.values import EXPIRY_FIELD, WRITE_FIELD, revision_of
from shared.platform.ports import Create, Data, Delete, Filter, Order, Put, Replace
from tests.contracts.racing import race
from tests.emulators import Emulators
from tests.proxy import Proxy, proxy_to

ROOT = Path(__file__).resolve().parents[2]

_WITHOUT_CLIENT = """
import json, sys
sys.modules["google.api_core"] = None  # as where it isn't installed
from shared.errors import ConfigurationError
from shared.platform.gcp.documents import FirestoreDocuments
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.ports import Delete
project = Project(**json.loads(sys.argv[1]))
documents = FirestoreDocuments(project, GoogleRest(project))
said = []
for call in (lambda: documents.query("things"), lambda: documents.commit([Delete("things", "a")])):
    try:
        call()
    except ConfigurationError as error:
        said.append(error.detail)
print(json.dumps(said))
"""

_GET_ONLY = """
import json, sys
from pathlib import Path
from shared.platform.gcp.documents import FirestoreDocuments
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
project = Project(**json.loads(sys.argv[1]))
found = FirestoreDocuments(project, GoogleRest(project)).get("things", "a")
loaded = [name for name in ("grpc", "google.cloud.firestore_v1", "google.api_core") if name in sys.modules]
print(json.dumps([found.data, found.revision, loaded]))
"""


@pytest.fixture
def project(emulators: Emulators) -> Project:
    return Project.of(emulators.settings("firestore"))


@pytest.fixture
def documents(project: Project) -> Iterator[FirestoreDocuments]:
    made = FirestoreDocuments(project, GoogleRest(project))
    yield made
    made.close()


@pytest.fixture
def proxy(emulators: Emulators) -> Iterator[Proxy]:
    with proxy_to(emulators.firestore) as made:
        yield made


@pytest.fixture
def shaky(project: Project, proxy: Proxy) -> Iterator[FirestoreDocuments]:
    """The same database through the proxy."""
    through = dataclasses.replace(project, firestore_url=f"http://{proxy.host}")
    made = FirestoreDocuments(through, GoogleRest(through))
    yield made
    made.close()


def raw(project: Project, collection: str, id: str) -> dict[str, dict[str, str]]:
    """A document's fields as Firestore holds them."""
    url = f"{project.firestore_url}/v1/projects/{project.id}/databases/{project.database}/documents"
    fields: dict[str, dict[str, str]] = (
        GoogleRest(project).call("GET", f"{url}/{collection}/{id}").json()["fields"]
    )
    return fields


def test_a_single_read_needs_no_grpc(project: Project, documents: FirestoreDocuments) -> None:
    (revision,) = documents.commit([Put("things", "a", {"n": 1})])
    command = [sys.executable, "-c", _GET_ONLY, json.dumps(dataclasses.asdict(project))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert json.loads(run.stdout) == [{"n": 1}, revision, []]


def test_where_the_client_isnt_installed_queries_and_writes_are_refused_in_words(project: Project) -> None:
    command = [sys.executable, "-c", _WITHOUT_CLIENT, json.dumps(dataclasses.asdict(project))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    query, commit = json.loads(run.stdout)
    assert query == commit
    assert "documents.write under 'may'" in query


def test_nothing_is_opened_before_the_first_call(project: Project) -> None:
    nowhere = dataclasses.replace(project, firestore_url="http://127.0.0.1:9", timeout_seconds=0.5)
    FirestoreDocuments(nowhere, GoogleRest(nowhere)).close()


def test_what_answers_nowhere_is_unavailable(project: Project) -> None:
    nowhere = dataclasses.replace(project, firestore_url="http://127.0.0.1:9", timeout_seconds=0.5)
    documents = FirestoreDocuments(nowhere, GoogleRest(nowhere))
    for call in (
        lambda: documents.get("things", "a"),
        lambda: documents.query("things"),
        lambda: documents.commit([Put("things", "a", {})]),
    ):
        with pytest.raises(PlatformUnavailable):
            call()


def test_the_emulator_is_where_the_settings_say(
    project: Project, documents: FirestoreDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    documents.commit([Put("things", "a", {"n": 1})])
    assert [document.data for document in documents.query("things").documents] == [{"n": 1}]
    assert documents._made is not None
    assert project.firestore_url.endswith(documents._made.transport.host)


def test_databases_are_apart(project: Project, documents: FirestoreDocuments) -> None:
    named = dataclasses.replace(project, database="other")
    other = FirestoreDocuments(named, GoogleRest(named))
    documents.commit([Put("things", "a", {"n": 1})])
    other.commit([Put("things", "b", {"n": 2})])
    assert other.get("things", "a") is None
    assert [document.id for document in other.query("things").documents] == ["b"]
    assert [document.id for document in documents.query("things").documents] == ["a"]
    other.close()


def test_a_closed_client_opens_again(documents: FirestoreDocuments) -> None:
    documents.commit([Put("things", "a", {})])
    documents.close()
    documents.commit([Put("things", "b", {})])
    assert len(documents.query("things").documents) == 2


def test_revisions_are_one_text_whatever_the_precision() -> None:
    times = ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000000000Z"]
    assert {revision_of({"updateTime": time}) for time in times} == {"2020-01-01T00:00:00.000000000Z~"}
    assert revision_of({"updateTime": "2020-01-01T00:00:00.12Z"}) == "2020-01-01T00:00:00.120000000Z~"


def test_a_value_that_isnt_json_is_refused(project: Project, documents: FirestoreDocuments) -> None:
    documents.commit([Put("things", "a", {})])
    url = f"{project.firestore_url}/v1/projects/{project.id}/databases/{project.database}/documents/things/a"
    GoogleRest(project).call(
        "PATCH", url, json={"fields": {"at": {"timestampValue": "2020-01-01T00:00:00Z"}}}
    )
    with pytest.raises(ConfigurationError, match="timestamp"):
        documents.get("things", "a")
    with pytest.raises(ConfigurationError, match="timestamp"):
        documents.query("things")


def test_a_document_that_expires_says_so_to_firestore(
    project: Project, documents: FirestoreDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = MappingProxyType({"things": Collection("things", expires_field="expires_at")})
    for module in (collections, firestore_messages):
        monkeypatch.setattr(module, "COLLECTIONS", known)
    data = {"expires_at": datetime(2030, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC).isoformat()}
    documents.commit([Put("things", "a", data), Put("things", "b", {}), Put("others", "c", data)])
    assert raw(project, "things", "a")[EXPIRY_FIELD] == {"timestampValue": "2030-01-02T03:04:05.600Z"}
    assert EXPIRY_FIELD not in raw(project, "things", "b")
    assert EXPIRY_FIELD not in raw(project, "others", "c")
    found = documents.get("things", "a")
    assert found is not None
    assert found.data == data
    with pytest.raises(InvalidInput, match="expires_at"):
        documents.commit([Put("things", "a", {"expires_at": "soon"})])


def test_each_write_leaves_another_token(project: Project, documents: FirestoreDocuments) -> None:
    tokens = set()
    for _ in range(3):
        documents.commit([Put("things", "a", {"n": 1})])
        tokens.add(raw(project, "things", "a")[WRITE_FIELD]["stringValue"])
    assert len(tokens) == 3


def test_a_written_batch_whose_answer_was_lost_is_taken_for_written(
    documents: FirestoreDocuments, shaky: FirestoreDocuments, proxy: Proxy
) -> None:
    shaky.commit([Put("warm", "up", {})])
    for turn in range(40):
        proxy.lose(1)
        (first,) = shaky.commit([Create("things", f"{turn}", {"n": 1})])
        proxy.lose(1)
        second, log = shaky.commit(
            [Replace("things", f"{turn}", {"n": 2}, first), Create("log", f"{turn}", {})]
        )
        found = documents.get("things", f"{turn}")
        assert found is not None
        assert (found.data, found.revision) == ({"n": 2}, second)
        proxy.lose(1)
        assert list(shaky.commit([Delete("things", f"{turn}", second), Delete("log", f"{turn}", log)])) == [
            "",
            "",
        ]
        assert documents.get("things", f"{turn}") is None
    assert proxy.lost == 120


def test_who_lost_a_race_is_told_so_even_when_the_answer_is_lost(
    documents: FirestoreDocuments, shaky: FirestoreDocuments, proxy: Proxy
) -> None:
    (old,) = documents.commit([Create("things", "a", {"n": 1})])
    documents.commit([Replace("things", "a", {"n": 2}, old)])
    shaky.commit([Put("warm", "up", {})])
    for _ in range(20):
        proxy.lose(1)
        with pytest.raises(AlreadyExists):
            shaky.commit([Create("things", "a", {"n": 3})])
        proxy.lose(1)
        with pytest.raises(RevisionConflict):
            shaky.commit([Replace("things", "a", {"n": 3}, old)])
        proxy.lose(1)
        with pytest.raises(RevisionConflict):
            shaky.commit([Delete("things", "a", old)])
    assert proxy.lost == 60
    found = documents.get("things", "a")
    assert found is not None
    assert found.data == {"n": 2}


def test_a_batch_that_arrives_after_it_was_given_up_is_taken_for_written(
    documents: FirestoreDocuments, shaky: FirestoreDocuments, proxy: Proxy
) -> None:
    """The documents are read before it arrives, so it is sent again: then it finds itself."""
    shaky.commit([Put("warm", "up", {})])
    for turn in range(10):
        proxy.delay()
        (first,) = shaky.commit([Create("things", f"{turn}", {"n": 1})])
        proxy.delay()
        (second,) = shaky.commit([Replace("things", f"{turn}", {"n": 2}, first)])
        found = documents.get("things", f"{turn}")
        assert found is not None
        assert (found.data, found.revision) == ({"n": 2}, second)
        proxy.delay()
        shaky.commit([Delete("things", f"{turn}", second)])
        assert documents.get("things", f"{turn}") is None
    assert proxy.delayed == 30


def test_a_query_whose_answer_was_lost_is_asked_again(shaky: FirestoreDocuments, proxy: Proxy) -> None:
    shaky.commit([Put("things", f"{n}", {"n": n}) for n in range(10)])
    for _ in range(20):
        proxy.lose(1)
        page = shaky.query("things", where=[Filter("n", ">", 3)], order_by=[Order("n")])
        assert [document.data["n"] for document in page.documents] == [4, 5, 6, 7, 8, 9]
    assert proxy.lost == 20


def test_a_connection_that_is_dead_without_a_word_is_left(project: Project, proxy: Proxy) -> None:
    through = dataclasses.replace(project, firestore_url=f"http://{proxy.host}", timeout_seconds=8.0)
    with closing(FirestoreDocuments(through, GoogleRest(through))) as documents:
        documents.commit([Put("things", "a", {"n": 1})])
        proxy.fall_silent()
        documents.commit([Put("things", "a", {"n": 2})])
        proxy.fall_silent()
        assert [found.data for found in documents.query("things").documents] == [{"n": 2}]


def test_counts_are_exact_while_answers_are_lost(
    documents: FirestoreDocuments, shaky: FirestoreDocuments, proxy: Proxy
) -> None:
    """Many writers of one counter; each entry in the log was counted once, and none is missing."""
    shaky.commit([Put("warm", "up", {})])
    ended = threading.Event()

    def disturb() -> None:
        while not ended.wait(0.2):
            proxy.lose(1)

    def count(writer: int) -> None:
        for turn in range(10):
            update(shaky, "counters", "c", lambda data: one_more(data, f"{writer}-{turn}"))  # noqa: B023

    disturber = threading.Thread(target=disturb)
    disturber.start()
    results = race(10, count)
    ended.set()
    disturber.join()
    assert [result for result in results if result is not None] == []
    found = documents.get("counters", "c")
    assert found is not None
    assert sorted(found.data["by"]) == sorted(
        f"{writer}-{turn}" for writer in range(10) for turn in range(10)
    )
    assert proxy.lost > 1


def one_more(data: Data | None, by: str) -> Data:
    return {"by": [*(data or {"by": []})["by"], by]}
