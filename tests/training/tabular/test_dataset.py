from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.config import Settings
from shared.errors import InvalidInput, NotFound
from shared.platform.connect import connect
from shared.platform.ports import Blobs
from shared.problems.spec import Target
from shared.tabular.table import encode_table
from shared.training.tabular.dataset import build_dataset
from shared.training.tabular.source import read_source
from tests.training.tabular.made import COLUMNS, changed, problem, table


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return connect(Settings(mlengine_home=tmp_path)).blobs


def test_rows_are_the_codes_that_are_served() -> None:
    rows = changed(table(60), "size", {4: "x"})
    dataset = build_dataset(problem(), rows)
    assert len(dataset) == 59
    np.testing.assert_array_equal(dataset.x, encode_table(COLUMNS, rows).x)
    answers = [int(value) for place, value in enumerate(rows["answer"].to_pylist()) if place != 4]
    assert dataset.y.tolist() == answers


def test_several_values_of_the_target_stand_for_one_class() -> None:
    target = Target("answer", {"low": (1, 0), "high": (3, 2)})
    dataset = build_dataset(problem(("low", "high"), target=target), table(80, 4))
    assert dataset.y.tolist() == [int(v) // 2 for v in table(80, 4)["answer"].to_pylist()]


def test_a_class_without_rows_is_refused_by_name() -> None:
    all_no = changed(table(60), "answer", dict.fromkeys(range(60), "0"))
    with pytest.raises(InvalidInput, match="class yes"):
        build_dataset(problem(), all_no)


def test_the_fingerprint_changes_with_any_value_and_with_the_columns() -> None:
    whole = build_dataset(problem(), table(60)).fingerprint
    assert build_dataset(problem(), changed(table(60), "size", {3: "0.25"})).fingerprint != whole
    assert build_dataset(problem(("n", "y")), table(60)).fingerprint != whole
    assert build_dataset(problem(), table(60)).fingerprint == whole


def test_data_are_read_from_the_package_and_from_blobs(blobs: Blobs) -> None:
    assert len(read_source("package:cleveland.csv", blobs)) == 303
    blobs.put("mine/rows.csv", b"a,b\n1,2\n")
    assert read_source("blobs:mine/rows.csv", blobs).to_pydict() == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("data", ["package:nope.csv", "package:../spec.csv", "blobs:nope.csv"])
def test_data_that_are_not_there_are_not_found(blobs: Blobs, data: str) -> None:
    with pytest.raises(NotFound):
        read_source(data, blobs)


def test_other_files_are_refused(blobs: Blobs) -> None:
    with pytest.raises(InvalidInput, match=r"\.csv or \.parquet"):
        read_source("blobs:rows.xlsx", blobs)
