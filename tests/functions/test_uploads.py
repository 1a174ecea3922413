from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.access.identity import Identity
from shared.access.roles import Role
from shared.platform.ports import Delete, JobState
from shared.uploads import Upload, UploadStatus
from tests.contracts.racing import race
from tests.contracts.workers import wait_for
from tests.functions.engine import Engine, ok, pointers, problem
from tests.functions.users import key_of
from tests.packages import registered
from tests.uploads.graphs import logistic, logistic_answers, stump
from tests.uploads.made import said

URL_PARTS = ("url", "method", "headers")


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    return start()


@pytest.fixture
def graph() -> bytes:
    return bytes(logistic().SerializeToString())


def metadata(**changes: Any) -> dict[str, Any]:
    return {**said("onnx", logistic_answers()), **changes}


def send(
    engine: Engine, graph: bytes, headers: dict[str, str], *, file_name: str = "model.onnx", **changes: Any
) -> httpx.Response:
    form = {
        "metadata": (None, json.dumps(metadata(**changes)).encode(), "application/json"),
        "file": (file_name, graph, "application/octet-stream"),
    }
    return engine["uploads"].post("/models/upload", files=form, headers=headers)


def status(engine: Engine, upload_id: str, headers: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = ok(engine["uploads"].get(f"/models/uploads/{upload_id}", headers=headers))
    return answer


def started(engine: Engine) -> list[str]:
    file = engine.home / "started"
    return [line.split(maxsplit=1)[1] for line in file.read_text().splitlines()] if file.exists() else []


def test_an_upload_is_queued_and_answered_at_once(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    answer = ok(send(engine, graph, ann, description="Mine"), 202)
    assert (answer["status"], answer["name"], answer["format"]) == ("queued", "mine", "onnx")
    assert (answer["size_bytes"], answer["sha256"]) == (len(graph), hashlib.sha256(graph).hexdigest())
    assert status(engine, answer["upload_id"], ann) == answer
    assert started(engine) == []
    assert "token_hash" not in answer
    (event,) = engine.heard("uploads.requested")
    assert (event.id, event.data["upload_id"]) == (answer["upload_id"], answer["upload_id"])


def test_the_job_starts_once_however_often_the_event_comes(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    upload_id = ok(send(engine, graph, ann), 202)["upload_id"]
    (delivery,) = engine.events.claim("uploads", 1, 0, engine.instance.platform.now())
    engine.events.publish("uploads.requested", [delivery.event, delivery.event])
    wait_for(lambda: engine.deliver("uploads") == 0)
    wait_for(lambda: bool(started(engine)))
    assert engine.jobs.status(upload_id).state is JobState.RUNNING
    engine.jobs.close()
    assert started(engine) == [f"--upload {upload_id}"]
    assert engine.dead_letters("uploads") == []


def test_an_event_that_comes_before_the_document_records_the_upload(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    upload_id = ok(send(engine, graph, ann), 202)["upload_id"]
    engine.instance.platform.documents.commit([Delete("uploads", upload_id)])
    engine.deliver("uploads")
    assert status(engine, upload_id, ann)["name"] == "mine"


def test_an_upload_whose_job_vanished_has_failed(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    upload_id = ok(send(engine, graph, ann), 202)["upload_id"]
    engine.deliver("uploads")
    engine.instance.uploads.start(upload_id)
    engine.jobs.cancel(upload_id)
    wait_for(lambda: status(engine, upload_id, ann)["status"] == "failed")
    assert "job is gone" in status(engine, upload_id, ann)["reasons"][0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"model": 1}), "skl2onnx"),
        (b"<html>", "an HTML page"),
        (b"", "is empty"),
        (b"\x7fELF", "a program"),
    ],
)
def test_what_cant_be_a_model_is_refused_at_once(engine: Engine, content: bytes, words: str) -> None:
    refusal = problem(send(engine, content, key_of(engine, "ann")), 422, "invalid-input")
    assert words in refusal["detail"]
    assert pointers(refusal) == ["/file"]
    assert engine.heard("uploads.requested") == []
    assert list(engine.instance.platform.blobs.list("uploads/")) == []


def test_a_file_name_that_leads_elsewhere_is_refused(engine: Engine, graph: bytes) -> None:
    refusal = problem(
        send(engine, graph, key_of(engine, "ann"), file_name="../../model.onnx"), 422, "invalid-input"
    )
    assert "named plainly" in refusal["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": "../x"}, "/name"),
        ({"name": "Mine"}, "/name"),
        ({"format": "pickle"}, "/format"),
        ({"columns": []}, "/columns"),
        ({"columns": [{"name": "a", "type": "number"}] * 2}, "/columns"),
        ({"classes": ["only"]}, "/classes"),
        ({"classes": ["a", "a"]}, "/classes"),
        ({"threshold": 2}, "/threshold"),
        ({"tags": ["<b>"]}, "/tags/0"),
        ({"examples": []}, "/examples"),
        ({"examples": metadata()["examples"][:2]}, "/examples"),
        ({"owner": "bob"}, "/owner"),
    ],
)
def test_what_is_said_of_it_must_be_right(
    engine: Engine, graph: bytes, changes: dict[str, Any], pointer: str
) -> None:
    refusal = problem(send(engine, graph, key_of(engine, "ann"), **changes), 422, "invalid-input")
    assert pointers(refusal) == [pointer]


def test_examples_must_fit_the_columns_and_the_classes(engine: Engine, graph: bytes) -> None:
    examples = json.loads(json.dumps(metadata()["examples"]))
    examples[1]["inputs"]["age"] = 300
    examples[2]["probabilities"] = [0.5, 0.1]
    examples[3]["probabilities"] = [0.2, 0.2, 0.6]
    refusal = problem(send(engine, graph, key_of(engine, "ann"), examples=examples), 422, "invalid-input")
    assert pointers(refusal) == [
        "/examples/1/inputs/age",
        "/examples/2/probabilities",
        "/examples/3/probabilities",
    ]


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"file": ("m", b"x")}, "/metadata"),
        ({"metadata": (None, b"{}")}, "/file"),
        ({"metadata": (None, b"{}"), "file": ("m", b"x"), "more": ("m", b"x")}, "/more"),
    ],
)
def test_a_form_has_two_parts(engine: Engine, form: dict[str, Any], pointer: str) -> None:
    answer = engine["uploads"].post("/models/upload", files=form, headers=key_of(engine, "ann"))
    assert pointer in pointers(problem(answer, 422, "invalid-input"))


def test_what_is_said_must_be_json(engine: Engine, graph: bytes) -> None:
    form = {"metadata": (None, b"name=mine"), "file": ("m", graph)}
    answer = engine["uploads"].post("/models/upload", files=form, headers=key_of(engine, "ann"))
    assert "The part 'metadata' must be JSON" in problem(answer, 400, "malformed-request")["detail"]


def test_a_body_that_is_no_form_is_refused(engine: Engine) -> None:
    ann = key_of(engine, "ann")
    path = "/models/upload"
    problem(engine["uploads"].post(path, json={}, headers=ann), 415, "unsupported-media-type")
    for header in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = engine["uploads"].post(path, content=b"nonsense", headers={**ann, "content-type": header})
        problem(answer, 400, "malformed-request")
    large = engine["uploads"].post(
        path,
        content=bytes(32_000_000),
        headers={**ann, "content-type": "multipart/form-data; boundary=x"},
    )
    problem(large, 413, "payload-too-large")


def test_a_repeated_call_with_its_key_is_one_upload(engine: Engine, graph: bytes) -> None:
    headers = {**key_of(engine, "ann"), "idempotency-key": "once"}
    body = (
        b'--b\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n'
        + json.dumps(metadata()).encode()
        + b'\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="m"\r\n\r\n'
        + graph
        + b"\r\n--b--\r\n"
    )
    headers["content-type"] = "multipart/form-data; boundary=b"
    first, second = (
        engine["uploads"].post("/models/upload", content=body, headers=headers) for _ in range(2)
    )
    assert ok(first, 202) == ok(second, 202)
    assert len(engine.heard("uploads.requested")) == 1


def test_a_model_needs_an_owner(engine: Engine, graph: bytes) -> None:
    problem(send(engine, graph, {}), 401, "unauthenticated")
    problem(send(engine, graph, key_of(engine, "vic", Role.VIEWER)), 403, "forbidden")
    assert ok(send(engine, graph, key_of(engine, "ann")), 202)["owner"] is not None


def test_only_operators_give_a_model_to_everybody(engine: Engine, graph: bytes) -> None:
    problem(send(engine, graph, key_of(engine, "ann"), shared=True), 403, "forbidden")
    answer = ok(send(engine, graph, key_of(engine, "otto", Role.OPERATOR), shared=True), 202)
    assert answer["owner"] is None


def test_a_name_is_of_one_owner(engine: Engine, graph: bytes) -> None:
    registry = engine.instance.registry
    registered(registry)
    refusal = problem(send(engine, graph, key_of(engine, "ann"), name="market-signal"), 409, "conflict")
    assert "another model" in refusal["detail"]
    for name in ("heart-disease", "uploads", "activate"):
        problem(send(engine, graph, key_of(engine, "ann"), name=name), 409, "conflict")


def test_a_key_for_some_models_uploads_these_alone(engine: Engine, graph: bytes) -> None:
    key = key_of(engine, "ann", models=("mine",))
    ok(send(engine, graph, key), 202)
    problem(send(engine, graph, key, name="other"), 404, "not-found")


def test_others_uploads_arent_told_of(engine: Engine, graph: bytes) -> None:
    ann, bob, otto = key_of(engine, "ann"), key_of(engine, "bob"), key_of(engine, "otto", Role.OPERATOR)
    ids = [ok(send(engine, graph, ann, name=f"mine-{n}"), 202)["upload_id"] for n in range(3)]
    problem(engine["uploads"].get(f"/models/uploads/{ids[0]}", headers=bob), 404, "not-found")
    problem(engine["uploads"].post(f"/models/uploads/{ids[0]}/complete", headers=bob), 404, "not-found")
    assert ok(engine["uploads"].get("/models/uploads", headers=bob))["uploads"] == []
    for who in (ann, otto):
        first = ok(engine["uploads"].get("/models/uploads?limit=2", headers=who))
        rest = ok(
            engine["uploads"].get(
                "/models/uploads", params={"limit": 2, "cursor": first["cursor"]}, headers=who
            )
        )
        assert [one["upload_id"] for one in (*first["uploads"], *rest["uploads"])] == ids[::-1]


def test_too_many_under_way_wait(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    for number in range(10):
        ok(send(engine, graph, ann, name=f"mine-{number}"), 202)
    assert "wait" in problem(send(engine, graph, ann), 409, "conflict")["detail"]
    ok(send(engine, graph, key_of(engine, "bob")), 202)


def begin(engine: Engine, content: bytes, headers: dict[str, str], **changes: Any) -> dict[str, Any]:
    body = {
        "metadata": metadata(**changes),
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    answer: dict[str, Any] = ok(engine["uploads"].post("/models/uploads", json=body, headers=headers), 202)
    return answer


def put(engine: Engine, begun: dict[str, Any], content: bytes) -> httpx.Response:
    return engine["uploads"].request(begun["method"], begun["url"], content=content, headers=begun["headers"])


def test_the_file_of_whoever_has_no_url_is_not_even_read(engine: Engine, graph: bytes) -> None:
    begun = begin(engine, graph, key_of(engine, "ann"))
    sent: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for part in range(1_000):
            sent.append(part)
            yield bytes(65_536)

    guessed = begun["url"].split("token=")[0] + "token=" + "A" * 43
    headers = {"content-type": "application/octet-stream"}
    problem(engine["uploads"].request("PUT", guessed, content=endless(), headers=headers), 404, "not-found")
    assert len(sent) <= 1
    ok(put(engine, begun, graph))


def test_a_large_file_is_put_to_a_url_of_its_own(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    begun = begin(engine, graph, ann)
    assert (begun["status"], begun["method"]) == ("receiving", "PUT")
    assert engine.heard("uploads.requested") == []
    for _ in range(2):
        assert ok(put(engine, begun, graph))["status"] == "receiving"
    done = f"/models/uploads/{begun['upload_id']}/complete"
    for _ in range(2):
        assert ok(engine["uploads"].post(done, headers=ann), 202)["status"] == "queued"
    assert len(engine.heard("uploads.requested")) == 1
    stored = engine.instance.platform.blobs.get(f"uploads/{begun['upload_id']}/model")
    assert stored == graph
    problem(put(engine, begun, graph), 404, "not-found")  # its URL is of no more use


def test_a_url_is_good_for_the_announced_file_alone(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    begun = begin(engine, graph, ann)
    wrong = {**begun, "url": begun["url"][:-1] + ("x" if begun["url"][-1] != "x" else "y")}
    problem(put(engine, wrong, graph), 404, "not-found")
    another = bytes(stump().SerializeToString())
    assert "that were announced" in problem(put(engine, begun, another), 422, "invalid-input")["detail"]
    trap = pickle.dumps(["x"])
    other = begin(engine, trap, ann, name="other")
    assert "a pickle" in problem(put(engine, other, trap), 422, "invalid-input")["detail"]


def complete(engine: Engine, begun: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    return engine["uploads"].post(f"/models/uploads/{begun['upload_id']}/complete", headers=headers)


def test_who_is_done_too_early_may_say_so_again(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    begun = begin(engine, graph, ann)
    refusal = problem(complete(engine, begun, ann), 409, "conflict")
    assert "hasn't come" in refusal["detail"]
    assert engine.heard("uploads.requested") == []
    ok(put(engine, begun, graph))
    assert ok(complete(engine, begun, ann), 202)["status"] == "queued"


def test_a_file_of_another_size_than_announced_isnt_taken(engine: Engine, graph: bytes) -> None:
    """A store that takes files itself may have taken it."""
    ann = key_of(engine, "ann")
    begun = begin(engine, graph, ann)
    engine.instance.platform.blobs.put(f"uploads/{begun['upload_id']}/model", graph + b"x")
    refusal = problem(complete(engine, begun, ann), 409, "conflict")
    assert f"has {len(graph) + 1} bytes, and {len(graph)} were announced" in refusal["detail"]


def test_uploads_that_were_begun_cant_be_hoarded_to_be_converted_at_once(
    engine: Engine, graph: bytes
) -> None:
    ann = key_of(engine, "ann")
    begun = [begin(engine, graph, ann, name=f"mine-{number}") for number in range(11)]
    for one in begun:
        ok(put(engine, one, graph))
    for one in begun[:-1]:
        ok(complete(engine, one, ann), 202)
    assert "wait" in problem(complete(engine, begun[-1], ann), 409, "conflict")["detail"]
    assert ok(complete(engine, begun[0], ann), 202)["status"] == "queued"


def test_of_two_that_complete_an_upload_at_once_both_are_told_the_same(engine: Engine, graph: bytes) -> None:
    ann = key_of(engine, "ann")
    begun = begin(engine, graph, ann)
    ok(put(engine, begun, graph))
    desk, by = engine.instance.upload_desk, Identity("op", Role.OPERATOR)
    results = race(4, lambda _: desk.complete(begun["upload_id"], by))
    assert {result.status for result in results if isinstance(result, Upload)} == {UploadStatus.QUEUED}
    assert not any(isinstance(result, Exception) for result in results)
    engine.deliver("uploads")
    wait_for(lambda: bool(started(engine)))
    engine.jobs.close()
    assert started(engine) == [f"--upload {begun['upload_id']}"]


def test_an_upload_whose_file_never_comes_expires(start: Callable[..., Engine], graph: bytes) -> None:
    engine = start()
    ann = key_of(engine, "ann")
    begun = begin(engine, graph, ann)
    late = engine.instance.platform.now() + timedelta(hours=2)
    engine.instance.uploads._now = lambda: late
    assert status(engine, begun["upload_id"], ann)["status"] == "refused"
    problem(put(engine, begun, graph), 404, "not-found")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"size_bytes": 0}, "/size_bytes"),
        ({"size_bytes": 10**9}, "/size_bytes"),
        ({"sha256": "x"}, "/sha256"),
    ],
)
def test_what_is_announced_must_be_right(
    engine: Engine, graph: bytes, changes: dict[str, Any], pointer: str
) -> None:
    body = {"metadata": metadata(), "size_bytes": 10, "sha256": "0" * 64, **changes}
    answer = engine["uploads"].post("/models/uploads", json=body, headers=key_of(engine, "ann"))
    assert pointers(problem(answer, 422, "invalid-input")) == [pointer]


def test_nothing_heavy_is_imported_with_the_function() -> None:
    heavy = ("grpc", "pandas", "pyarrow", "sklearn", "onnx", "onnxruntime", "lightgbm", "xgboost", "httpx")
    code = f"import functions.uploads.main, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
