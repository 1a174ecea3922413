from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.errors import InvalidInput, PackageRefused
from shared.registry.scorer import Scorer


def model(
    *nodes: Any, initializers: Any = (), input: str = "input", columns: Any = 3, type: Any = 1
) -> bytes:
    """A graph from one input to `probabilities` (rows, 2), of the nodes given or of one product."""
    weights = numpy_helper.from_array(np.ones((3, 2), np.float32), "w")
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("MatMul", [input, "w"], ["probabilities"])],
        "test",
        [helper.make_tensor_value_info(input, type, ["rows", columns])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])],
        list(initializers) or [weights],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("custom", 1)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made


def test_scores_rows() -> None:
    scorer = Scorer(model())
    found = scorer.score(np.array([[1, 2, 3]], np.float32))
    assert (scorer.features, scorer.classes) == (3, 2)
    assert found.dtype == np.float32
    assert found.tolist() == [[6.0, 6.0]]


def test_scores_no_rows() -> None:
    assert Scorer(model()).score(np.zeros((0, 3), np.float32)).shape == (0, 2)


def test_scores_rows_that_do_not_lie_together() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4).T
    assert Scorer(model()).score(rows).tolist() == Scorer(model()).score(rows.copy()).tolist()


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((1, 3)),
        np.zeros((1, 4), np.float32),
        np.zeros(3, np.float32),
        np.zeros((1, 1, 3), np.float32),
    ],
    ids=["float64", "wide", "flat", "deep"],
)
def test_rows_of_another_kind_are_refused(rows: Any) -> None:
    scorer = Scorer(model())
    with pytest.raises(InvalidInput, match=r"takes float32 rows of shape \(n, 3\)"):
        scorer.score(rows)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 1_000], ids=["empty", "text", "zeros"])
def test_garbage_is_refused(content: bytes) -> None:
    with pytest.raises(PackageRefused):
        Scorer(content)


@pytest.mark.parametrize(
    "other",
    [{"input": "x"}, {"columns": "n"}, {"type": TensorProto.INT64}],
    ids=["name", "any width", "integers"],
)
def test_graphs_of_another_form_are_refused(other: Any) -> None:
    cast = helper.make_node("Cast", [other.get("input", "input")], ["x32"], to=TensorProto.FLOAT)
    product = helper.make_node("MatMul", ["x32", "w"], ["probabilities"])
    with pytest.raises(PackageRefused, match="exactly one `input`"):
        Scorer(model(cast, product, **other))


def test_custom_operators_are_refused() -> None:
    node = helper.make_node("Launch", ["input"], ["probabilities"], domain="custom")
    with pytest.raises(PackageRefused, match="can't load"):
        Scorer(model(node))


def test_tensors_in_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.ones((3, 2), np.float32).tofile("weights.bin")
    outside = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[3, 2], data_location=TensorProto.EXTERNAL
    )
    outside.external_data.add(key="location", value="weights.bin")
    with pytest.raises(PackageRefused, match="files outside the model"):
        Scorer(model(initializers=[outside]))
