from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.config import Settings
from shared.errors import InvalidInput
from shared.platform.connect import connect
from shared.problems.declared import Problems
from shared.problems.heart_disease import PROBLEM as HEART
from shared.problems.market_signal import PROBLEM as MARKET
from shared.training.options import TrainingRequest


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    return Problems(connect(Settings(mlengine_home=tmp_path)).documents)


def _pointers(body: dict[str, Any], problems: Problems) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        TrainingRequest.from_data(body, problems)
    return [error.pointer for error in caught.value.errors]


def test_settings_and_problem_fill_in_what_is_not_given(problems: Problems) -> None:
    settings = Settings(train_symbols=("A", "B"), train_cv_folds=4, train_random_state=7)
    options = TrainingRequest.from_data({}, problems).market_options(settings, MARKET)
    assert options.symbols == ("A", "B")
    assert options.cv_folds == 4
    assert options.horizon == 1
    tabular = TrainingRequest(problem="heart_disease").tabular_options(settings, HEART)
    assert tabular.json() == {
        "random_state": 7,
        "cv_folds": 5,
        "cv_repeats": 10,
        "candidates": [],
        "resamples": 1000,
    }


def test_what_is_given_wins(problems: Problems) -> None:
    body = {"symbols": ["C"], "lookback": 0, "test_size": 0.3, "random_state": 1, "cv_folds": 3, "horizon": 5}
    request = TrainingRequest.from_data({**body, "candidates": ["lightgbm"]}, problems)
    options = request.market_options(Settings(), MARKET)
    assert options.json() == {**body, "candidates": ["lightgbm"], "resamples": 1000}
    body = {"problem": "heart_disease", "random_state": 1, "cv_folds": 3, "cv_repeats": 2}
    tabular = TrainingRequest.from_data(body, problems).tabular_options(Settings(), HEART)
    assert (tabular.random_state, tabular.cv_folds, tabular.cv_repeats) == (1, 3, 2)


@pytest.mark.parametrize(
    ("problem", "field", "value"),
    [
        ("heart_disease", "symbols", ["A"]),
        ("heart_disease", "lookback", 5),
        ("heart_disease", "test_size", 0.2),
        ("heart_disease", "horizon", 1),
        ("market_signal", "cv_repeats", 2),
    ],
)
def test_what_does_not_fit_the_kind_of_problem_is_refused(
    problems: Problems, problem: str, field: str, value: object
) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainingRequest.from_data({"problem": problem, field: value}, problems)
    (error,) = caught.value.errors
    assert error.pointer == f"/{field}"
    assert f"{problem} is {problems.get(problem).kind}: leave it out" in error.detail


def test_an_unknown_problem_is_told_which_there_are(problems: Problems) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainingRequest.from_data({"problem": "heart_diseases"}, problems)
    assert "heart_disease, market_signal" in caught.value.errors[0].detail


def test_request_survives_its_record(problems: Problems) -> None:
    request = TrainingRequest(activate=True, symbols=["A"], test_size=0.25)
    assert TrainingRequest.from_data(request.checked(problems), problems) == request
    assert request.checked(problems) == {
        "problem": "market_signal",
        "activate": True,
        "symbols": ["A"],
        "test_size": 0.25,
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"problem": "nope"}, "/problem"),
        ({"candidates": ["lightgbm", "magic"]}, "/candidates/1"),
        ({"candidates": []}, "/candidates"),
        ({"symbols": ["A", "B", "A"]}, "/symbols/2"),
        ({"symbols": [""]}, "/symbols/0"),
        ({"symbols": "A"}, "/symbols"),
        ({"lookback": -1}, "/lookback"),
        ({"test_size": 0.9}, "/test_size"),
        ({"test_size": 0}, "/test_size"),
        ({"cv_folds": 1}, "/cv_folds"),
        ({"cv_folds": True}, "/cv_folds"),
        ({"horizon": 0}, "/horizon"),
        ({"problem": "heart_disease", "cv_repeats": 0}, "/cv_repeats"),
        ({"random_state": 1.5}, "/random_state"),
        ({"activate": "yes"}, "/activate"),
        ({"folds": 6}, "/folds"),
    ],
)
def test_wrong_field_is_named(problems: Problems, body: dict[str, Any], pointer: str) -> None:
    assert _pointers(body, problems) == [pointer]


def test_every_wrong_name_is_named_at_once(problems: Problems) -> None:
    assert _pointers({"candidates": ["a", "b"], "symbols": ["A", "A"]}, problems) == [
        "/symbols/1",
        "/candidates/0",
        "/candidates/1",
    ]


def test_what_starts_runs_imports_no_training_library() -> None:
    code = (
        "import sys, shared.training.options, shared.training.runs, shared.training.desk;"
        "print([m for m in ('numpy', 'sklearn', 'pandas', 'lightgbm', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
