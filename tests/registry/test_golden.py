from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.errors import PackageRefused
from shared.registry.golden import build_examples, check_golden
from shared.registry.scorer import Scorer

ROWS = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
ROWS[::10, 1] = np.nan


def scorer(bias: float = 0.0) -> Scorer:
    """sigmoid(x0 + bias), with a missing value taken for 0, and the rest to 1."""
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    weights = np.array([[1.0], [0.5]], np.float32)
    nodes = [
        helper.make_node("IsNaN", ["input"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "input"], ["filled"]),
        helper.make_node("MatMul", ["filled", "weights"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["up"]),
        helper.make_node("Sub", ["one", "up"], ["down"]),
        helper.make_node("Concat", ["down", "up"], ["probabilities"], axis=1),
    ]
    constants = {"zero": zero, "one": one, "weights": weights, "bias": zero + np.float32(bias)}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return Scorer(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def test_examples_hold_for_the_model_they_were_made_with() -> None:
    check_golden(scorer(), build_examples(scorer(), ROWS))


def test_examples_spread_over_scores_missing_values_and_edges() -> None:
    examples = json.loads(build_examples(scorer(), ROWS))
    inputs = np.array(examples["inputs"], np.float64)
    up = np.array(examples["probabilities"])[:, 1]
    assert inputs.shape == (32, 2)
    assert up.min() < 0.1
    assert up.max() > 0.9
    assert np.isnan(inputs[:, 1]).sum() >= 4
    assert np.isnan(inputs).all(axis=1).sum() == 1
    assert (inputs == np.nanmin(ROWS, axis=0)).all(axis=1).any()
    assert (inputs == np.nanmax(ROWS, axis=0)).all(axis=1).any()


def test_equal_models_give_equal_examples() -> None:
    assert build_examples(scorer(), ROWS) == build_examples(scorer(), ROWS)


def test_examples_of_few_rows_are_made_too() -> None:
    check_golden(scorer(), build_examples(scorer(), ROWS[:1]))


def test_infinite_rows_are_left_out() -> None:
    rows = ROWS.copy()
    rows[7, 0] = np.inf
    check_golden(scorer(), build_examples(scorer(), rows))


def test_rows_without_an_answer_are_left_out() -> None:
    assert json.loads(build_examples(scorer(bias=np.nan), ROWS))["inputs"] == []


def test_a_model_that_answers_differently_is_refused_with_both_answers() -> None:
    with pytest.raises(PackageRefused, match=r"Golden row \d+: expected .*, found"):
        check_golden(scorer(bias=1e-5), build_examples(scorer(), ROWS))


def test_a_difference_in_the_last_bits_is_let_through() -> None:
    check_golden(scorer(bias=1e-6), build_examples(scorer(), ROWS))


def test_a_model_that_answers_no_number_is_refused() -> None:
    with pytest.raises(PackageRefused, match="nan"):
        check_golden(scorer(bias=np.nan), build_examples(scorer(), ROWS))


def _changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(build_examples(scorer(), ROWS)), **fields}).encode()


@pytest.mark.parametrize(
    "examples",
    [
        b"",
        b"[]",
        b"{}",
        _changed(format_version=2),
        _changed(inputs=[], probabilities=[]),
        _changed(inputs=[[1.0]], probabilities=[[0.5, 0.5]]),
        _changed(inputs=[[1.0, 2.0]], probabilities=[[0.5]]),
        _changed(inputs=[["a", "b"]], probabilities=[[0.5, 0.5]]),
        _changed(inputs=[[1.0, 2.0], [1.0]], probabilities=[[0.5, 0.5]]),
        _changed(inputs=[[1.0, 2.0]], probabilities=[[None, None]]),
    ],
)
def test_other_files_are_refused(examples: bytes) -> None:
    with pytest.raises(PackageRefused):
        check_golden(scorer(), examples)
