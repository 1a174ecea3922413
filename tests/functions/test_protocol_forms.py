"""All forms of the same rows, over all protocols, are one: to the last bit."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.instance import use_instance
from shared.serving.protocols.oip import HEADER_LENGTH
from shared.tabular import Column, Columns
from tests.functions.engine import Engine, ok
from tests.functions.inferring import (
    INFER,
    PREDICT,
    Row,
    binary,
    outputs,
    split,
    tensors,
)
from tests.tabular_packages import NAME, active_tabular, tabular_package

COLUMNS = Columns(
    (
        Column(name="age", type="integer", minimum=0, maximum=120, nullable=False),
        Column(name="share", type="number", minimum=0.7, maximum=0.8),
        Column(name="dose/day", type="number"),
        Column(name="pain, felt", type="category", categories=("typical", 'odd "one"', "none", "ärger")),
        Column(name="grade", type="category", categories=(3, 1, 2)),
        Column(name="exercise", type="boolean"),
    )
)
FIRST: Row = {
    "age": 63, "share": None, "dose/day": 0.1, "pain, felt": "ärger", "grade": 1, "exercise": None,
}  # fmt: skip
_OWN = {"integer": "INT64", "number": "FP64", "boolean": "BOOL"}


def _values(column: Column) -> st.SearchStrategy[Any]:
    if column.type == "category":
        found: st.SearchStrategy[Any] = st.sampled_from(column.categories)
    elif column.type == "boolean":
        found = st.booleans()
    elif column.type == "integer":
        found = st.integers(0, 120)
    else:
        low, high = (-1e30, 1e30) if column.minimum is None else column.bounds
        found = st.floats(low, high)
    return found | st.none() if column.nullable else found


ROWS = st.lists(
    st.fixed_dictionaries({column.name: _values(column) for column in COLUMNS.columns}),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine whose model has columns of all types."""
    home = tmp_path_factory.mktemp("forms") / "home"
    with Engine(home, invocations_model=NAME, market_data_url="http://127.0.0.1:9") as engine:
        active_tabular(engine.instance.registry, columns=COLUMNS)
        yield engine


@settings(max_examples=25, deadline=None)
@given(rows=ROWS)
@example(rows=[{**FIRST, "share": 0.7}, {**FIRST, "share": 0.8}])  # whose float32 lie beyond the bounds
def test_all_forms_of_the_same_rows_give_the_same_probabilities_bit_for_bit(
    forms: Engine, rows: list[Row]
) -> None:
    use_instance(forms.instance)
    package = tabular_package(columns=COLUMNS)
    x = COLUMNS.encode(rows).x
    expected = package.verified_scorer().score(x)
    for name, found in answers(forms, rows, x).items():
        assert found.dtype == np.float32, name
        assert found.tobytes() == expected.tobytes(), name


def answers(engine: Engine, rows: list[Row], x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    body = {"inputs": rows}
    client, names = engine["inference"], list(COLUMNS.names)
    lists = [[row[name] for name in names] for row in rows]
    batch = ok(engine["batch_predict"].post("/predict/batch", json={"model": NAME, **body}))
    reversed_split = split(names[::-1], *(one[::-1] for one in lists))
    sparse = [{name: value for name, value in row.items() if value is not None} for row in rows]
    by_column = {name: [row[name] for row in rows] for name in names}
    found = {
        "POST /predict": ok(engine["predict"].post("/predict", json={"model": NAME, **body}))["predictions"],
        "by path": ok(engine["predict"].post(f"/models/{NAME}-v1/predict", json=body))["predictions"],
        "sparse": ok(engine["predict"].post("/predict", json={"model": NAME, "inputs": sparse}))[
            "predictions"
        ],
        "batch": [one["prediction"] for one in batch["results"]],
    }
    for name, path, content in (
        ("kserve, objects", PREDICT, {"instances": rows}),
        ("kserve, lists", PREDICT, {"instances": lists}),
        ("mlflow, split", "/invocations", reversed_split),
        ("mlflow, records", "/invocations", {"dataframe_records": rows}),
        ("mlflow, instances", "/invocations", {"instances": lists}),
        ("mlflow, inputs by rows", "/invocations", {"inputs": lists}),
        ("mlflow, inputs by columns", "/invocations", {"inputs": by_column}),
    ):
        found[name] = ok(client.post(path, json=content))["predictions"]
    text = {"content-type": "text/csv"}
    response = client.post("/invocations", content=as_csv(rows), headers=text)
    found["mlflow, csv"] = ok(response)["predictions"]
    told = {
        name: np.array([list(one["probabilities"].values()) for one in predictions], np.float32)
        for name, predictions in found.items()
    }
    return told | oip_answers(engine, rows, x)


def as_csv(rows: list[Row]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS.names)
    writer.writerows([["" if row[name] is None else row[name] for name in COLUMNS.names] for row in rows])
    return stream.getvalue().encode()


def oip_answers(engine: Engine, rows: list[Row], x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    codes = [None if value != value else value for value in x.ravel().tolist()]
    datatypes = {
        c.name: "BYTES" if c.name == "pain, felt" else _OWN.get(c.type, "INT64") for c in COLUMNS.columns
    }
    columns = tensors(rows, datatypes)
    nested = [{**t, "shape": [len(rows), 1], "data": [[value] for value in t["data"]]} for t in columns]
    whole = {"name": "input", "shape": list(x.shape), "datatype": "FP32"}
    mixed = [binary_tensor(t, COLUMNS.columns[n], x[:, n]) for n, t in enumerate(columns)]
    requests = {
        "oip, columns": ([(t, b"") for t in columns], {}),
        "oip, nested": ([(t, b"") for t in nested], {}),
        "oip, encoded": ([({**whole, "data": codes}, b"")], {}),
        "oip, encoded in bytes": ([(whole, x.astype("<f4").tobytes())], {"binary_data_output": True}),
        "oip, columns in bytes": (mixed, {"binary_data_output": True}),
    }
    return {name: asked(engine, inputs, parameters) for name, (inputs, parameters) in requests.items()}


def binary_tensor(
    tensor: dict[str, Any], column: Column, codes: NDArray[np.float32]
) -> tuple[dict[str, Any], bytes]:
    """Numbers as their float32, also where that lies beyond a bound; texts with missing ones stay JSON."""
    shape = {"name": tensor["name"], "shape": tensor["shape"]}
    if column.type in ("number", "integer", "boolean"):
        return {**shape, "datatype": "FP32"}, codes.astype("<f4").tobytes()
    if None in tensor["data"]:
        return tensor, b""
    if tensor["datatype"] == "INT64":
        return {**shape, "datatype": "INT8"}, np.array(tensor["data"], "|i1").tobytes()
    texts = [text.encode() for text in tensor["data"]]
    return {**shape, "datatype": "BYTES"}, b"".join(struct.pack("<I", len(text)) + text for text in texts)


def asked(
    engine: Engine, inputs: Sequence[tuple[dict[str, Any], bytes]], parameters: dict[str, Any]
) -> NDArray[np.float32]:
    content, headers = binary(inputs, parameters=parameters)
    response = engine["inference"].post(INFER, content=content, headers=headers)
    assert response.status_code == 200, response.text
    head = int(response.headers.get(HEADER_LENGTH, len(response.content)))
    output = outputs(json.loads(response.content[:head]))["probabilities"]
    if "data" in output:
        return np.array(output["data"], np.float32).reshape(output["shape"])
    tail = response.content[head : head + output["parameters"]["binary_data_size"]]
    return np.frombuffer(tail, "<f4").reshape(output["shape"])
