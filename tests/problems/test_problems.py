from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from shared.errors import NotFound
from shared.problems import problem, problem_of_model, problems
from shared.problems.spec import Algorithm, Candidate


def test_market_signal_is_found_by_its_file() -> None:
    assert problems()["market_signal"].model_name == "market-signal"


def test_unknown_problem_names_near_ones() -> None:
    with pytest.raises(NotFound, match="market_signal"):
        problem("market_signals")


def test_problem_is_found_by_the_name_of_its_models() -> None:
    assert problem_of_model("market-signal") is problem("market_signal")
    assert problem_of_model("unknown") is None


def test_grid_gives_a_variant_per_combination() -> None:
    candidate = Candidate(Algorithm.LIGHTGBM, {"n_estimators": 5}, {"num_leaves": (7, 15), "max_bin": (63,)})
    assert list(candidate.variants()) == [
        ("lightgbm[num_leaves=7,max_bin=63]", {"n_estimators": 5, "num_leaves": 7, "max_bin": 63}),
        ("lightgbm[num_leaves=15,max_bin=63]", {"n_estimators": 5, "num_leaves": 15, "max_bin": 63}),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("horizon", 0), ("embargo", -1), ("threshold", 1.0), ("candidates", ()), ("leak_auc", 0.5)],
)
def test_problem_refuses_what_makes_no_sense(field: str, value: object) -> None:
    changes: dict[str, object] = {field: value}
    with pytest.raises(ValueError, match=field):
        replace(problem("market_signal"), **changes)  # type: ignore[arg-type]  # wrong on purpose


def test_problems_import_no_numpy_and_no_training_library() -> None:
    code = (
        "import sys, shared.problems as p; p.problems();"
        "print([m for m in ('numpy', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
