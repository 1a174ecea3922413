"""Rows in the forms of KServe v1 and of MLflow's scoring server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.engine import Engine, ok, pointers, problem
from tests.functions.inferring import (
    INFER,
    PREDICT,
    split,
)
from tests.tabular_packages import NAME, ROW, active_tabular


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    engine = start(invocations_model=NAME)
    active_tabular(engine.instance.registry)
    return engine


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (PREDICT, {}, "/instances"),
        (PREDICT, {"instances": []}, "/instances"),
        (PREDICT, {"instances": [[1, 2]]}, "/instances/0"),
        (PREDICT, {"instances": [ROW, {**ROW, "age": "x"}]}, "/instances/1/age"),
        (PREDICT, {"instances": [3]}, "/instances/0"),
        ("/invocations", {}, ""),
        ("/invocations", {"instances": [ROW], "inputs": [ROW]}, ""),
        ("/invocations", split(["age"], [1, 2]), "/dataframe_split/data/0"),
        ("/invocations", split(["age", "age"]), "/dataframe_split/columns"),
        ("/invocations", split(["age"], [-1]), "/dataframe_split/data/0/age"),
        ("/invocations", {"dataframe_records": [{}]}, "/dataframe_records/0/age"),
        ("/invocations", {"inputs": {"age": [1], "pressure": [1, 2]}}, "/inputs"),
        ("/invocations", {"inputs": {"age": [1, -1]}}, "/inputs/age/1"),
        ("/invocations", {"inputs": {}}, "/inputs"),
        ("/invocations", {"frame": []}, "/frame"),
    ],
)  # fmt: skip
def test_wrong_instances_are_pointed_at(
    engine: Engine, path: str, body: dict[str, Any], pointer: str
) -> None:
    document = problem(engine["inference"].post(path, json=body), 422, "invalid-input")
    assert pointers(document) == [pointer]
    assert engine.events.depths()["audit"].pending == 0


@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        (b"age,pain\n63,typical\n", 200, None),
        (b"\xef\xbb\xbfage , pain\r\n 63 ,typical\r\n\r\n", 200, None),
        (b'"age","pain"\n"6.3e1",?\n', 200, None),
        (b"age,pain\n63,often\n", 422, "/0/pain"),
        (b"age,exercise\n63,perhaps\n", 422, "/0/exercise"),
        (b"age\n63\nx\n", 422, "/1/age"),
        (b"age\n1_0\n", 422, "/0/age"),
        (b"age,paim\n63,typical\n", 422, "/0/paim"),
        (b"age,age\n63,64\n", 422, "/columns"),
        (b"age,pain\n63\n", 422, "/data/0"),
        (b"age,pain\n", 422, ""),
        (b"", 422, ""),
        (b"age\n\xff\n", 400, None),
        (b'age\n"63\n', 400, None),
    ],
)
def test_csv_is_read_as_it_is_written(
    engine: Engine, content: bytes, status: int, pointer: str | None
) -> None:
    response = engine["inference"].post("/invocations", content=content, headers={"content-type": "text/csv"})
    assert response.status_code == status, response.text
    if pointer is not None:
        assert pointers(response.json()) == [pointer]


def test_other_content_types_are_not_taken(engine: Engine) -> None:
    for path in ("/invocations", PREDICT, INFER):
        for media_type in ("application/x-npy", "text/plain"):
            response = engine["inference"].post(path, content=b"{}", headers={"content-type": media_type})
            problem(response, 415, "unsupported-media-type")


def test_which_model_invocations_ask(start: Callable[..., Engine]) -> None:
    engine = start()
    active_tabular(engine.instance.registry)
    body = {"instances": [ROW]}
    document = problem(engine["inference"].post("/invocations", json=body), 422, "invalid-input")
    assert pointers(document) == ["?model"]
    assert "INVOCATIONS_MODEL" in document["detail"]
    assert ok(engine["inference"].post(f"/invocations?model={NAME}", json=body))["predictions"]
    chosen = start(invocations_model=f"{NAME}-v1")
    assert ok(chosen["inference"].post("/invocations", json=body))["predictions"]
