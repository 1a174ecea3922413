"""Triton's own client, which knows nothing of us, against the function over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import uvicorn
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from infra.local.gateway import load
from tests.functions.engine import KEY, Engine
from tests.tabular_packages import COLUMNS, NAME, active_tabular, tabular_package, tabular_rows

COUNT = 7


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    engine = start()
    active_tabular(engine.instance.registry)
    return engine


@pytest.fixture
def client(engine: Engine) -> Iterator[triton.InferenceServerClient]:
    config = uvicorn.Config(load("inference"), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the function didn't start"
        thread.join(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as found:
        yield found
    server.should_exit = True
    thread.join(5)


def rows() -> NDArray[np.float32]:
    """Encoded rows without missing values."""
    return np.nan_to_num(tabular_rows(COUNT))


def whole(*, binary: bool = True) -> list[triton.InferInput]:
    tensor = triton.InferInput("input", [COUNT, 4], "FP32")
    tensor.set_data_from_numpy(rows(), binary_data=binary)
    return [tensor]


def by_column(*, binary: bool = True) -> list[triton.InferInput]:
    x, pain = rows(), COLUMNS.columns[2].categories
    columns: list[tuple[str, str, NDArray[Any]]] = [
        ("age", "INT64", x[:, 0].astype(np.int64)),
        ("pressure", "FP32", x[:, 1]),
        ("pain", "BYTES", np.array([str(pain[int(code)]) for code in x[:, 2]], np.object_)),
        ("exercise", "BOOL", x[:, 3].astype(np.bool_)),
    ]
    tensors = [triton.InferInput(name, [COUNT, 1], datatype) for name, datatype, _ in columns]
    for tensor, (_, _, values) in zip(tensors, columns, strict=True):
        tensor.set_data_from_numpy(values[:, np.newaxis], binary_data=binary)
    return tensors


def expected() -> NDArray[np.float32]:
    return tabular_package().verified_scorer().score(rows())


def test_it_finds_the_server_and_the_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, "1")
    assert not client.is_model_ready("nope")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert [tensor["name"] for tensor in client.get_model_metadata(NAME)["inputs"]] == list(COLUMNS.names)
    (listed,) = client.get_model_repository_index()
    assert (listed["name"], listed["state"]) == (NAME, "READY")


@pytest.mark.parametrize("inputs", [whole, by_column])
@pytest.mark.parametrize("binary", [True, False])
def test_its_defaults_are_answered(
    client: triton.InferenceServerClient, inputs: Callable[..., list[triton.InferInput]], binary: bool
) -> None:
    """Whatever isn't asked for comes as bytes."""
    result = client.infer(NAME, inputs(binary=binary), request_id="r-1", headers=dict(KEY))
    assert result.as_numpy("probabilities").tobytes() == expected().tobytes()
    labels = ["present" if row[1] >= 0.4 else "absent" for row in expected().astype(np.float64)]
    assert [label.decode() for label in result.as_numpy("label")] == labels
    assert result.get_response()["id"] == "r-1"
    assert len(set(result.as_numpy("prediction_id"))) == COUNT


def test_outputs_come_as_they_are_asked_for(client: triton.InferenceServerClient, engine: Engine) -> None:
    wanted = [
        triton.InferRequestedOutput("prediction_id", binary_data=True),
        triton.InferRequestedOutput("probabilities", binary_data=False),
    ]
    result = client.infer(NAME, whole(), model_version="1", outputs=wanted)
    assert [output["name"] for output in result.get_response()["outputs"]] == [
        "prediction_id",
        "probabilities",
    ]
    assert np.array_equal(result.as_numpy("probabilities"), expected())
    assert engine.deliver("audit") == COUNT
    for prediction_id in result.as_numpy("prediction_id"):
        assert engine.instance.platform.documents.get("predictions", prediction_id.decode()) is not None


def test_it_is_told_what_is_wrong(client: triton.InferenceServerClient) -> None:
    tensor = triton.InferInput("input", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 3), np.float32))
    with pytest.raises(InferenceServerException, match=r"must be \[n, 4\], found \[1, 3\]"):
        client.infer(NAME, [tensor])
    with pytest.raises(InferenceServerException, match="There is no model version 'nope'"):
        client.infer("nope", whole())
    with pytest.raises(InferenceServerException, match="content-encoding"):
        client.infer(NAME, whole(), request_compression_algorithm="gzip")
    classes = [triton.InferRequestedOutput("probabilities", class_count=1)]
    with pytest.raises(InferenceServerException, match="ask for the outputs"):
        client.infer(NAME, whole(), outputs=classes)
