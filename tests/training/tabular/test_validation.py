from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.tabular.table import encode_table
from shared.training.tabular.dataset import build_dataset
from shared.training.tabular.validation import validate
from tests.training.tabular.made import COLUMNS, changed, problem, table

PROBLEM = problem()


def test_rows_that_fit_are_all_good() -> None:
    found, good = validate(PROBLEM, table(100))
    assert (found.rows, found.dropped, found.findings, found.duplicates) == (100, 0, (), 0)
    assert good.tolist() == list(range(100))
    assert found.missing == {"size": 6, "colour": 5, "grade": 0, "new": 0}


def test_what_is_wrong_is_told_by_column_row_expectation_and_value() -> None:
    wrong = changed(table(100), "size", {3: "tall", 40: "-1", 41: "1001"})
    wrong = changed(wrong, "count", {7: None, 8: "1.5"})
    wrong = changed(wrong, "grade", {9: "5"})
    wrong = changed(wrong, "answer", {10: "2", 11: None})
    found, good = validate(PROBLEM, wrong)
    told = {one.column: (one.expected, one.count, one.rows, one.found) for one in found.findings}
    assert told == {
        "size": ("a number from 0 to 1000", 3, (3, 40, 41), ("'tall'", "'-1'", "'1001'")),
        "count": ("an integer of at least 0", 2, (7, 8), ("nothing", "'1.5'")),
        "grade": ("one of 3, 6, 7", 1, (9,), ("'5'",)),
        "answer": ("one of 0, 1", 2, (10, 11), ("'2'", "nothing")),
    }
    assert found.dropped == 8
    assert sorted(set(range(100)) - set(good.tolist())) == [3, 7, 8, 9, 10, 11, 40, 41]


def test_many_failures_are_shown_by_the_first() -> None:
    found, _ = validate(PROBLEM, changed(table(100), "size", dict.fromkeys(range(20, 31), "x")))
    (one,) = found.findings
    assert (one.count, one.rows, one.found) == (11, (20, 21, 22, 23, 24), ("'x'",))
    assert one.words() == "rows 20, 21, 22, 23, 24, ...: must be a number from 0 to 1000, found 'x'"


def test_too_many_bad_rows_refuse_the_data() -> None:
    fifth = changed(table(100), "size", dict.fromkeys(range(20), "x"))
    assert validate(PROBLEM, fifth)[0].dropped == 20
    with pytest.raises(InvalidInput, match="21 of 100 rows") as caught:
        validate(PROBLEM, changed(fifth, "size", {30: "x"}))
    assert [error.pointer for error in caught.value.errors] == ["/size"]


def test_a_row_that_comes_again_is_counted_and_stays() -> None:
    rows = table(60)
    twice = pa.concat_tables([rows, rows.slice(0, 4)])
    found, good = validate(PROBLEM, twice)
    assert found.duplicates == 4
    assert len(good) == 64


def test_columns_that_must_be_there_and_columns_that_nobody_knows() -> None:
    for name in ("count", "answer"):
        with pytest.raises(InvalidInput, match=name):
            validate(PROBLEM, table(60).drop_columns([name]))
    more = table(60).append_column("note", pa.array(["a"] * 60)).drop_columns(["colour"])
    found, _ = validate(PROBLEM, more)
    assert found.unknown == ("note",)
    assert np.isnan(build_dataset(PROBLEM, more).x[:, COLUMNS.names.index("colour")]).all()


def test_numbers_of_a_typed_file_are_read_as_those_of_text() -> None:
    texts = table(80)
    typed = pa.table(
        {
            "size": pa.array([None if v is None else float(v) for v in texts["size"].to_pylist()]),
            "count": pa.array([int(v) for v in texts["count"].to_pylist()]),
            "colour": texts["colour"].combine_chunks().dictionary_encode(),
            "grade": pa.array([int(float(v)) for v in texts["grade"].to_pylist()]),
            "new": pa.array([v == "yes" for v in texts["new"].to_pylist()]),
            "answer": pa.array([int(v) for v in texts["answer"].to_pylist()]),
        }
    )
    one, other = build_dataset(PROBLEM, texts), build_dataset(PROBLEM, typed)
    np.testing.assert_array_equal(one.x, other.x)
    assert one.fingerprint == other.fingerprint


CELLS = st.sampled_from(["1", "-3", "1e3", "1001", "x", "", "red", "Red", "6.0", "nan", "true", "no", None])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS), min_size=25, max_size=25))
def test_a_row_is_good_exactly_where_it_can_be_served(rows: list[tuple[str | None, ...]]) -> None:
    """The encoding decides; enough good rows around keep the table from being refused."""
    good = table(200).to_pydict()
    for place, cells in enumerate(rows):
        for name, cell in zip(COLUMNS.names, cells, strict=True):
            good[name][place] = cell
    mixed = pa.table({name: pa.array(values, pa.string()) for name, values in good.items()})
    _, found = validate(PROBLEM, mixed)
    np.testing.assert_array_equal(found, encode_table(COLUMNS, mixed).rows)
