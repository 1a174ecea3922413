from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from infra.bundle.archive import content
from shared.problems import problem, problem_of_model
from shared.problems.heart_disease import PROBLEM
from shared.tabular.table import encode_table, read_table

SITES = Path("../shared/data/heart")


def test_it_is_found_by_its_name_and_its_models() -> None:
    assert problem("heart_disease") is PROBLEM
    assert problem_of_model("heart-disease") is PROBLEM


def test_the_data_that_come_with_it_fit_its_columns() -> None:
    content = (resources.files("shared.problems") / "data" / "cleveland.csv").read_bytes()
    found = encode_table(PROBLEM.columns, read_table(content, "csv"))
    assert found.x.shape == (303, 13)
    assert not found.errors
    missing = dict(zip(PROBLEM.columns.names, np.isnan(found.x).sum(axis=0).tolist(), strict=True))
    assert {name: count for name, count in missing.items() if count} == {"ca": 4, "thal": 2}


def test_the_data_name_their_source_and_licence() -> None:
    words = (resources.files("shared.problems") / "data" / "ATTRIBUTION.md").read_text("utf-8")
    for needed in ("Janosi", "Steinbrunn", "Pfisterer", "Detrano", "CC BY 4.0", "UCI Machine Learning"):
        assert needed in words
        assert needed in PROBLEM.source or needed == "UCI Machine Learning"


@pytest.mark.parametrize("site", ["hungarian", "switzerland", "va"])
def test_other_sites_fit_but_for_zeros_that_stand_for_missing(site: str) -> None:
    file = SITES / f"{site}.csv"
    if not file.exists():
        pytest.skip("the data of the other sites (../shared/data/heart) aren't here")
    found = encode_table(PROBLEM.columns, read_table(file.read_bytes(), "csv"))
    columns = {error.pointer.rpartition("/")[2] for errors in found.errors.values() for error in errors}
    assert columns <= {"chol", "trestbps"}


def test_functions_that_do_not_train_do_not_carry_the_data() -> None:
    for function in ("predict", "training"):
        assert not [name for name in content(function) if "cleveland" in name]


def test_the_problem_imports_no_numpy() -> None:
    code = (
        "import sys, shared.problems.heart_disease; print('numpy' in sys.modules, 'pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
