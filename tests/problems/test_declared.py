from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Conflict, InvalidInput, NotFound
from shared.platform.local.documents import SqliteDocuments
from shared.problems import problem, problems
from shared.problems.declared import DataFile, Declaration, Problems
from shared.problems.declared.parameters import DEFAULTS, PARAMETERS, refusal
from shared.problems.spec import Algorithm, TabularProblem
from tests.problems.declarations import declaration

NOW = datetime(2031, 1, 2, tzinfo=UTC)
FILE = DataFile(
    blob="datasets/churn/x.csv",
    sha256="0" * 64,
    size_bytes=1,
    rows=60,
    classes={"stays": 30, "leaves": 30},
    uploaded_at=NOW.isoformat(),
    uploaded_by="ada",
)


@pytest.fixture
def kept(tmp_path: Path) -> Problems:
    return Problems(SqliteDocuments(tmp_path / "documents.sqlite3"))


def read(**changes: Any) -> Declaration:
    return Declaration.of(declaration(**changes))


def refused(**changes: Any) -> dict[str, str]:
    """What is wrong with a declaration, by pointer."""
    with pytest.raises(InvalidInput) as caught:
        read(**changes)
    return {error.pointer: error.detail for error in caught.value.errors}


def test_a_declaration_becomes_a_problem() -> None:
    made = read(gates={"f1.low": 0.7}, source="A study.", licence="CC0").problem("blobs:x.csv")
    assert (made.model_name, made.classes, made.data) == ("churn", ("stays", "leaves"), "blobs:x.csv")
    assert made.target.values == {"stays": ("no",), "leaves": ("yes", "gone")}
    assert [(gate.name, gate.quantity, gate.bound) for gate in made.gates] == [("f1_low", "f1.low", 0.7)]
    assert made.source == "A study. Licence: CC0"
    assert made.columns.names == ("months", "fee", "plan", "abroad")


def test_short_forms_mean_the_long_ones() -> None:
    short = read(
        columns={"fee": "number"}, candidates=["lightgbm"], target={"column": "y", "classes": [0, 1]}
    )
    long = read(
        columns={"fee": {"type": "number"}},
        candidates={"lightgbm": None},
        target={"column": "y", "classes": {"0": [0], "1": 1}},
    )
    assert short == long


def test_the_positive_class_comes_last() -> None:
    target = {"column": "y", "classes": ["a", "b"], "positive": "a"}
    assert read(target=target).problem("blobs:x").classes == ("b", "a")


def test_parameters_stand_over_what_is_usual_and_grids_replace_it() -> None:
    terms = {"lightgbm": {"parameters": {"reg_lambda": 1}, "grid": {"num_leaves": [7, 15]}}}
    variants = list(read(candidates=terms).problem("blobs:x").variants())
    assert [name for name, *_ in variants] == ["lightgbm[num_leaves=7]", "lightgbm[num_leaves=15]"]
    assert variants[0][2] == {"n_estimators": 150, "learning_rate": 0.05, "reg_lambda": 1, "num_leaves": 7}


def test_without_candidates_four_algorithms_compete() -> None:
    assert [algorithm for _, algorithm, _ in read().problem("blobs:x").variants()] == [
        "logistic_regression",
        "random_forest",
        "lightgbm",
        "xgboost",
    ]


def test_the_canonical_form_says_the_same_with_all_defaults_in_it() -> None:
    made = read(candidates=["xgboost"], schedule="0 3 * * 1")
    assert Declaration.of(made.canonical()).problem("blobs:x") == made.problem("blobs:x")
    assert made.canonical()["candidates"]["xgboost"]["parameters"] == dict(DEFAULTS[Algorithm.XGBOOST])


@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"name": "Churn"}, "/name", "must match"),
        ({"name": "churn_v2"}, "/name", "like a version"),
        ({"name": "uploads"}, "/name", "means something else in the routes of models"),
        ({"title": "x" * 201}, "/title", "must have at most 200 characters"),
        ({"name": "c" * 49}, "/name", "must match"),
        ({"tittle": 1}, "/tittle", "is 'title' meant?"),
        ({"columns": {}}, "/columns", "at least 1"),
        ({"columns": ["a"]}, "/columns", "names with values"),
        ({"columns": {"a": {"type": "category"}}}, "/columns/a", "needs them"),
        ({"columns": {"a": {"type": "number", "maximun": 1}}}, "/columns/a/maximun", "is 'maximum' meant?"),
        ({"columns": {"a": {"name": "b", "type": "number"}}}, "/columns/a/name", "left out"),
        ({"columns": {"left": "number"}}, "/columns/left", "is the target"),
        ({"target": {"column": "y", "classes": ["a"]}}, "/target/classes", "2 to 100"),
        ({"target": {"column": "y", "classes": {"a": [], "b": 1}}}, "/target/classes/a", "needs a value"),
        ({"target": {"column": "y", "classes": {"a": "x", "b": "x"}}}, "/target/classes", "twice"),
        ({"target": {"column": "y", "classes": {"a": "x", "b": 1}}}, "/target/classes", "integers alone"),
        ({"target": {"column": "y", "classes": {"a": True, "b": 1}}}, "/target/classes/a/0", "quotes"),
        (
            {"target": {"column": "y", "classes": ["a", "b"], "positive": "c"}},
            "/target/positive",
            "known are",
        ),
        (
            {"target": {"column": "y", "classes": ["a", "b", "c"], "positive": "c"}},
            "/target/positive",
            "two classes",
        ),
        ({"metric": "rank_ic"}, "/metric", "one of auc"),
        ({"metric": "AUC"}, "/metric", "'auc'"),
        ({"gates": {"log_loss.low": 1}}, "/gates/log_loss.low", "log_loss_gain"),
        ({"gates": {"auc.low": "high"}}, "/gates/auc.low", "number"),
        ({"candidates": ["svm"]}, "/candidates/svm", "no algorithm"),
        ({"candidates": []}, "/candidates", "at least 1"),
        ({"candidates": {"xgboost": {"grids": {}}}}, "/candidates/xgboost/grids", "is 'grid' meant?"),
        (
            {"candidates": {"xgboost": {"grid": {"max_depth": [3, 3]}}}},
            "/candidates/xgboost/grid/max_depth",
            "twice",
        ),
        (
            {"candidates": {"xgboost": {"parameters": {"gamma": 1}, "grid": {"gamma": [1, 2]}}}},
            "/candidates/xgboost/grid/gamma",
            "already",
        ),
        (
            {"candidates": {"xgboost": {"grid": {"max_depth": list(range(1, 32)), "gamma": [1, 2, 3, 4]}}}},
            "/candidates",
            "124",
        ),
        ({"folds": 1}, "/folds", "2"),
        ({"folds": "5"}, "/folds", "integer"),
        ({"leak_auc": 0.5}, "/leak_auc", "0.5"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(changes: dict[str, Any], pointer: str, said: str) -> None:
    found = refused(**changes)
    assert said in found[pointer]


def test_everything_wrong_is_said_at_once() -> None:
    assert set(refused(metric="x", folds=0, gatez={})) == {"/metric", "/folds", "/gatez"}


def test_parameters_that_name_files_or_machines_are_refused() -> None:
    for algorithm, name in itertools.product(
        Algorithm, ("machines", "forcedsplits_filename", "callbacks", "device", "n_jobs", "base_score")
    ):
        assert refusal(algorithm, name, "x") is not None


@given(
    algorithm=st.sampled_from(list(Algorithm)),
    value=st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()),
    data=st.data(),
)
def test_what_is_taken_is_within_its_bounds(algorithm: Algorithm, value: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PARAMETERS[algorithm])))
    parameter = PARAMETERS[algorithm][name]
    if refusal(algorithm, name, value) is None:
        assert value in parameter.words or parameter.low <= value <= parameter.high
        assert not isinstance(value, bool)


def test_defaults_may_be_declared() -> None:
    for algorithm, defaults in DEFAULTS.items():
        assert [refusal(algorithm, name, value) for name, value in defaults.items()] == [None] * len(defaults)


def test_built_in_and_declared_problems_are_found(kept: Problems) -> None:
    kept.declare(read(), FILE, by="ada", at=NOW)
    assert kept.get("market_signal") is problem("market_signal")
    churn = kept.get("churn")
    assert isinstance(churn, TabularProblem)
    assert churn.data == "blobs:datasets/churn/x.csv"
    assert kept.of_model("churn") == churn
    assert kept.of_model("market-signal") is problem("market_signal")
    assert list(kept.list()) == [*problems().values(), churn]


def test_a_model_of_no_problem_has_none(kept: Problems) -> None:
    kept.declare(read(name="a_b"), FILE, by="ada", at=NOW)
    assert kept.of_model("a-b") is not None
    assert kept.of_model("a_b") is None
    assert kept.of_model("nope") is None


@pytest.mark.parametrize("name", ["chrun", "market_signals", "a/b", "", "x" * 300])
def test_an_unknown_problem_names_near_ones(kept: Problems, name: str) -> None:
    kept.declare(read(), None, by="ada", at=NOW)
    with pytest.raises(NotFound, match=r"churn|market_signal"):
        kept.get(name)


def test_one_without_data_is_no_problem_to_train_yet(kept: Problems) -> None:
    kept.declare(read(), None, by="ada", at=NOW)
    with pytest.raises(Conflict, match="PUT /problems/churn/data"):
        kept.get("churn")
    assert kept.of_model("churn") is None
    assert list(kept.list()) == list(problems().values())
    assert kept.names() == sorted([*problems(), "churn"])


def test_versions_count_changes_alone(kept: Problems) -> None:
    assert kept.declare(read(), None, by="ada", at=NOW).version == 1
    same = kept.declare(read(), None, by="bob", at=NOW)
    assert (same.version, same.updated_by) == (1, "ada")
    assert kept.attach("churn", FILE, of=read(), at=NOW).version == 2
    changed = kept.declare(read(title="Other"), FILE, by="bob", at=NOW)
    assert (changed.version, changed.updated_by, changed.data) == (3, "bob", FILE)


def test_a_file_that_was_checked_against_other_columns_isnt_taken(kept: Problems) -> None:
    kept.declare(read(columns={"fee": "integer"}), None, by="ada", at=NOW)
    with pytest.raises(Conflict, match="changed while"):
        kept.attach("churn", FILE, of=read(), at=NOW)
    with pytest.raises(NotFound):
        kept.attach("other", FILE, of=read(), at=NOW)


@pytest.mark.parametrize("name", ["market_signal", "heart_disease"])
def test_built_in_names_are_taken(kept: Problems, name: str) -> None:
    with pytest.raises(Conflict, match="built in"):
        kept.declare(read(name=name), None, by="ada", at=NOW)


def test_the_order_of_columns_and_classes_is_kept(kept: Problems) -> None:
    columns = {f"c{place}": "number" for place in (3, 1, 2)}
    target = {"column": "y", "classes": {"z": 1, "a": 0, "m": 2}}
    kept.declare(read(columns=columns, target=target), FILE, by="ada", at=NOW)
    found = kept.get("churn")
    assert isinstance(found, TabularProblem)
    assert (found.columns.names, found.classes) == (("c3", "c1", "c2"), ("z", "a", "m"))
