"""Models of every format and kind become packages that answer as their own libraries do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper

from shared.jobs.conversion.outcome import MODEL_FILE, ONNX_FILE, OUTCOME_FILE, REQUEST_FILE, Outcome
from shared.registry.golden import check_golden
from shared.registry.scorer import Scorer
from shared.uploads import Format
from tests.uploads import forking
from tests.uploads.graphs import (
    BOTH,
    DOUBLE,
    FIXED,
    FLOAT,
    LOGIT,
    ML,
    WIDTH,
    constant,
    logistic,
    logistic_answers,
    model,
    node,
    stump,
    stump_answers,
)
from tests.uploads.made import (
    lightgbm_model,
    request,
    rows,
    skops_model,
    xgboost_model,
    xgboost_of_categories,
)

ROOT = Path(__file__).resolve().parents[2]
Answers = NDArray[np.float64]
Made = tuple[bytes, Answers]


def zipmap() -> ModelProto:
    """As skl2onnx writes classifiers unless told otherwise: labels, and a map for each row."""
    maps = helper.make_node("ZipMap", ["p"], ["m"], domain=ML, classlabels_int64s=[0, 1])
    label = node("ArgMax", ["p"], ["label"], axis=1, keepdims=0)
    kind = helper.make_map_type_proto(7, helper.make_tensor_type_proto(FLOAT, []))
    out = helper.make_value_info("m", helper.make_sequence_type_proto(kind))
    labels = helper.make_tensor_value_info("label", 7, [None])
    return model([*LOGIT, *BOTH, label, maps], tensors=FIXED, outputs=[labels, out])


def one_column(flat: bool = False) -> ModelProto:
    """The probability of the second class alone, as Keras and PyTorch models often answer."""
    last = [node("Sigmoid", ["z"], ["q"])]
    if flat:
        last = [*last, node("Squeeze", ["q", "axis"], ["y"])]
    axis = constant("axis", [1], np.int64)
    out = helper.make_tensor_value_info("y" if flat else "q", FLOAT, [None] if flat else [None, 1])
    return model([*LOGIT, *last], tensors=[*FIXED, axis], outputs=[out])


def double_input() -> ModelProto:
    """Computes in float64 from its first node on."""
    narrow = node("Cast", ["x"], ["f"], to=FLOAT)
    rest = [node("IsNaN", ["f"], ["gone"]), node("Where", ["gone", "zero", "f"], ["filled"]), LOGIT[2]]
    given = helper.make_tensor_value_info("x", DOUBLE, [None, WIDTH])
    return model([narrow, *rest, *BOTH], tensors=FIXED, inputs=[given])


def normalised() -> ModelProto:
    """Divides its shares by their sum, behind an operator whose type ONNX doesn't infer."""
    scaled = helper.make_node("Scaler", ["p"], ["odds"], domain=ML, offset=[0.0, 0.0], scale=[3.0, 3.0])
    shares = [node("ReduceSum", ["odds", "axis"], ["all"], keepdims=1), node("Div", ["odds", "all"], ["y"])]
    out = helper.make_tensor_value_info("y", FLOAT, [None, 2])
    axis = constant("axis", [1], np.int64)
    return model([*LOGIT, *BOTH, scaled, *shares], tensors=[*FIXED, axis], outputs=[out])


def hostile_names() -> ModelProto:
    """Names like ours, and the word that external data need: none of them stays."""
    made = logistic()
    renamed = {"q": "input", "z": "probabilities", "filled": "location"}
    for each in made.graph.node:
        each.input[:] = [renamed.get(name, name) for name in each.input]
        each.output[:] = [renamed.get(name, name) for name in each.output]
        each.doc_string = "location"
    made.metadata_props.add(key="location", value="location")
    return made


def graph(make: Callable[[], ModelProto], answers: Callable[[], Answers]) -> Callable[[], Made]:
    return lambda: (bytes(make().SerializeToString()), answers())


MODELS: Mapping[str, tuple[Format, Callable[[], Made]]] = {
    "lightgbm-2": (Format.LIGHTGBM, lambda: lightgbm_model(2)),
    "lightgbm-3": (Format.LIGHTGBM, lambda: lightgbm_model(3)),
    "xgboost-json-2": (Format.XGBOOST_JSON, lambda: xgboost_model(2)),
    "xgboost-json-3": (Format.XGBOOST_JSON, lambda: xgboost_model(3)),
    "xgboost-ubj-2": (Format.XGBOOST_UBJ, lambda: xgboost_model(2, "ubj")),
    "xgboost-ubj-3": (Format.XGBOOST_UBJ, lambda: xgboost_model(3, "ubj")),
    "xgboost-pruned": (Format.XGBOOST_JSON, lambda: xgboost_model(2, tree_method="exact", gamma=1.0)),
    "xgboost-forest": (
        Format.XGBOOST_UBJ,
        lambda: xgboost_model(2, "ubj", num_parallel_tree=3, subsample=0.5),
    ),
    "lightgbm-codes-2": (Format.LIGHTGBM, lambda: lightgbm_model(2, categories="codes")),
    "lightgbm-codes-3": (Format.LIGHTGBM, lambda: lightgbm_model(3, categories="codes")),
    "lightgbm-pandas": (Format.LIGHTGBM, lambda: lightgbm_model(2, categories="frame")),
    "xgboost-codes-2": (Format.XGBOOST_JSON, lambda: xgboost_of_categories(2)),
    "xgboost-codes-3": (Format.XGBOOST_UBJ, lambda: xgboost_of_categories(3, "ubj")),
    "xgboost-pandas": (Format.XGBOOST_JSON, lambda: xgboost_of_categories(2, framed=True)),
    "skops-logistic-2": (Format.SKOPS, lambda: skops_model("logistic", 2)),
    "skops-logistic-3": (Format.SKOPS, lambda: skops_model("logistic", 3)),
    "skops-forest-2": (Format.SKOPS, lambda: skops_model("forest", 2)),
    "skops-forest-3": (Format.SKOPS, lambda: skops_model("forest", 3)),
    "skops-columns": (Format.SKOPS, lambda: skops_model("columns", 2)),
    "onnx-logistic": (Format.ONNX, graph(logistic, logistic_answers)),
    "onnx-zipmap": (Format.ONNX, graph(zipmap, logistic_answers)),
    "onnx-one-column": (Format.ONNX, graph(one_column, logistic_answers)),
    "onnx-flat": (Format.ONNX, graph(lambda: one_column(flat=True), logistic_answers)),
    "onnx-double": (Format.ONNX, graph(double_input, logistic_answers)),
    "onnx-trees": (Format.ONNX, graph(stump, stump_answers)),
    "onnx-normalised": (Format.ONNX, graph(normalised, logistic_answers)),
    "onnx-names": (Format.ONNX, graph(hostile_names, logistic_answers)),
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    home = tmp_path_factory.mktemp("parity")
    for name, (form, make) in MODELS.items():
        content, answers = make()
        (home / name).mkdir()
        (home / name / MODEL_FILE).write_bytes(content)
        (home / name / REQUEST_FILE).write_bytes(request(form, answers).to_json())
    environment: dict[str, Any] = {**os.environ, "OMP_NUM_THREADS": "1"}
    folders = [str(folder) for folder in sorted(home.iterdir())]
    subprocess.run([sys.executable, "-m", forking.__name__, *folders], cwd=ROOT, env=environment, check=True)
    return {folder.name: folder for folder in home.iterdir()}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_answers_as_its_own_library(name: str, converted: Mapping[str, Path]) -> None:
    folder = converted[name]
    outcome = Outcome.model_validate_json((folder / OUTCOME_FILE).read_bytes())
    assert outcome.reasons == (), (folder / "errors").read_text()
    scorer = Scorer((folder / ONNX_FILE).read_bytes())
    _, answers = MODELS[name][1]()
    assert np.abs(scorer.score(rows()[: len(answers)]) - answers).max() <= 1e-5
    assert outcome.max_abs_difference <= 1e-6
    check_golden(scorer, outcome.examples.encode())
    compared = 1_000 if MODELS[name][0] is not Format.ONNX else 10
    assert outcome.rows_checked >= compared
    print(f"{name:16} max |dp| {outcome.max_abs_difference:.2g} on {outcome.rows_checked} rows")  # noqa: T201 - a figure


def test_equal_files_give_equal_graphs(converted: Mapping[str, Path]) -> None:
    pair = [(converted[f"xgboost-{form}-2"] / ONNX_FILE).read_bytes() for form in ("json", "ubj")]
    assert pair[0] == pair[1]
