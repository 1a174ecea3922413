"""Small, real packages: a linear model of two features."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from shared.registry import GateResult, Manifest, Package, Parity, Scorer, build_examples
from tests.registry.workers import Parts

ROWS = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)


@functools.cache
def onnx_model(weight: float = 1.0) -> bytes:
    weights = numpy_helper.from_array(np.array([[-weight, weight], [-1, 1]], np.float32), "weights")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["input", "weights"], ["sum"]),
            helper.make_node("Softmax", ["sum"], ["probabilities"]),
        ],
        "test",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made


@functools.cache
def examples(weight: float = 1.0) -> bytes:
    return build_examples(Scorer(onnx_model(weight)), ROWS)


def gate(name: str, passed: bool) -> GateResult:
    return GateResult(name=name, quantity=name, value=float(passed), bound=0.5, passed=passed, why="")


def package(number: int = 0, *, passes: bool = True, golden: bytes | None = None, **changes: Any) -> Package:
    """Packages of different numbers differ in their reports, and so in their hashes."""
    fields: dict[str, Any] = {
        "name": "market-signal",
        "problem": "market_signal",
        "kind": "market",
        "feature_set": "core",
        "feature_set_hash": "ab",
        "feature_names": ("a", "b"),
        "classes": ("down", "up"),
        "threshold": 0.5,
        "algorithm": "logistic_regression",
        "hyper_parameters": {},
        "metrics": {},
        "gates": (gate("auc", True), gate("log_loss", passes)),
        "gates_passed": passes,
        "suspected_leak": False,
        "rows": 64,
        "dataset_fingerprint": "cd",
        "code_revision": "ef",
        "libraries": {"python": "3.11.7", "onnx": "1.23.2"},
        "parity": Parity(max_abs_difference=0.0, rows_checked=64),
    }
    return Package.build(
        Manifest(**{**fields, **changes}),
        model=onnx_model(),
        examples=golden or examples(),
        profile=b"{}",
        report=f"<p>{number}".encode(),
    )


def parts(made: Package) -> Parts:
    return made.manifest_bytes, {name: made.file(name) for name in made.manifest.files}, made.hash
