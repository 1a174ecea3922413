from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from shared.config import Settings
from shared.errors import InvalidInput
from shared.training.options import TrainingRequest


def _pointers(body: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        TrainingRequest.from_data(body)
    return [error.pointer for error in caught.value.errors]


def test_settings_and_problem_fill_in_what_is_not_given() -> None:
    settings = Settings(train_symbols=("A", "B"), train_cv_folds=4)
    options = TrainingRequest.from_data({}).options(settings)
    assert options.symbols == ("A", "B")
    assert options.cv_folds == 4
    assert options.horizon == 1


def test_what_is_given_wins() -> None:
    body = {"symbols": ["C"], "lookback": 0, "test_size": 0.3, "random_state": 1, "cv_folds": 3, "horizon": 5}
    options = TrainingRequest.from_data({**body, "candidates": ["lightgbm"]}).options(Settings())
    assert options.json() == {**body, "candidates": ["lightgbm"], "resamples": 1000}


def test_request_survives_its_record() -> None:
    request = TrainingRequest(activate=True, symbols=["A"], test_size=0.25)
    assert TrainingRequest.from_data(request.checked()) == request
    assert request.checked() == {
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
        ({"random_state": 1.5}, "/random_state"),
        ({"activate": "yes"}, "/activate"),
        ({"folds": 6}, "/folds"),
    ],
)
def test_wrong_field_is_named(body: dict[str, Any], pointer: str) -> None:
    assert _pointers(body) == [pointer]


def test_every_wrong_name_is_named_at_once() -> None:
    assert _pointers({"candidates": ["a", "b"], "symbols": ["A", "A"]}) == [
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
