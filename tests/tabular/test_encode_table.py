from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.tabular import Column, Columns
from shared.tabular.columns import MAX_NUMBER
from shared.tabular.rows import Encoded
from shared.tabular.table import encode_table, read_table

LARGE = 2**62
ARROW = {
    "number": [pa.float64(), pa.int64()],
    "integer": [pa.int64(), pa.float64()],
    "boolean": [pa.bool_()],
    "text": [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())],
    "code": [pa.int64(), pa.float64()],
}
TEXTS = ("a", "b", "", "ä", "1", " a")
CODES = (3, -1, 0, 2**24 + 1, 2**53 + 1, LARGE)


def floats() -> st.SearchStrategy[float]:
    edges = [0.0, -0.0, 1.5, 1e300, -1e300, MAX_NUMBER, math.nextafter(MAX_NUMBER, math.inf), 0.1, 2.0**53]
    return st.sampled_from(edges) | st.floats(-50, 50)


def integers() -> st.SearchStrategy[int]:
    return st.integers(-30, 30) | st.sampled_from([2**24, 2**24 + 1, 2**53, 2**53 + 1, LARGE, -LARGE])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Columns, pa.Table, list[dict[str, Any]]]:
    """Columns, and the same rows as a table of Arrow's types and as JSON values."""
    count, rows = draw(st.integers(1, 4)), draw(st.integers(0, 12))
    columns, arrays = [], []
    for place in range(count):
        kind = draw(st.sampled_from(sorted(ARROW)))
        arrow = draw(st.sampled_from(ARROW[kind]))
        columns.append(_column(draw, f"c{place}", kind))
        values = st.none() | _values(kind, arrow)
        arrays.append(pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), arrow))
    table = pa.table(arrays, names=[column.name for column in columns])
    return Columns(tuple(columns)), table, table.to_pylist()


def _column(draw: st.DrawFn, name: str, kind: str) -> Column:
    nullable = draw(st.booleans())
    if kind == "text":
        return Column(name=name, type="category", categories=TEXTS[:3], nullable=nullable)
    if kind == "code":
        return Column(name=name, type="category", categories=CODES, nullable=nullable)
    if kind == "boolean":
        return Column(name=name, type="boolean", nullable=nullable)
    low = draw(st.none() | st.sampled_from([-10.0, -0.5, 0.0, 2.0**53]))
    high = draw(st.none() | st.sampled_from([10.0, 2.5]) if low != 2.0**53 else st.just(2.0**53))
    return Column(name=name, type=kind, minimum=low, maximum=high, nullable=nullable)


def _values(kind: str, arrow: pa.DataType) -> st.SearchStrategy[Any]:
    if kind == "boolean":
        return st.booleans()
    if kind == "text":
        return st.sampled_from(TEXTS)
    known = st.sampled_from(CODES) if kind == "code" else st.nothing()
    if pa.types.is_integer(arrow):
        return integers() | known
    return floats() | known.map(float)


def same(found: Encoded, expected: Encoded) -> None:
    """Bit by bit, and the same rows are wrong in the same fields."""
    assert found.x.dtype == expected.x.dtype == np.float32
    assert found.x.shape == expected.x.shape
    missing = np.isnan(expected.x)
    np.testing.assert_array_equal(np.isnan(found.x), missing)
    assert found.x[~missing].tobytes() == expected.x[~missing].tobytes()
    assert found.rows.tolist() == expected.rows.tolist()
    assert places(found.errors) == places(expected.errors)


def places(errors: Mapping[int, Sequence[Any]]) -> dict[int, list[str]]:
    return {row: sorted(error.pointer for error in found) for row, found in errors.items()}


@settings(max_examples=400, deadline=None)
@given(cases())
def test_a_table_is_encoded_as_its_rows_are(case: tuple[Columns, pa.Table, list[dict[str, Any]]]) -> None:
    columns, table, rows = case
    same(encode_table(columns, table), columns.encode(rows, pointer=""))


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(1, 5))
def test_pieces_are_encoded_as_the_whole_is(
    case: tuple[Columns, pa.Table, list[dict[str, Any]]], size: int
) -> None:
    columns, table, _ = case
    whole = encode_table(columns, table)
    pieces = [pa.Table.from_batches([batch]) for batch in table.to_batches(max_chunksize=size)]
    again = encode_table(columns, pa.concat_tables(pieces)) if pieces else whole
    same(again, whole)
    found = [encode_table(columns, piece).x for piece in pieces]
    assert not found or np.concatenate(found).tobytes() == whole.x.tobytes()


NUMBERS = Columns((Column(name="n", type="number", minimum=-1e6, maximum=1e6),))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            ("63", 63.0),
            ("63.0", 63.0),
            (" 63 ", 63.0),
            ("+5", 5.0),
            (".5", 0.5),
            ("1.", 1.0),
            ("-1e3", -1e3),
        ),
        *(
            (text, None)
            for text in ("inf", "-inf", "NAN", "Infinity", "0x10", "1_0", "1,5", "1e400", "x", "1f")
        ),
        *((text, math.nan) for text in ("?", "NA", "nan", "")),
    ],
)
@pytest.mark.parametrize("beside", ["1", "oops"])
def test_text_is_a_number_whatever_is_beside_it(text: str, value: float | None, beside: str) -> None:
    table = read_table(
        f'n,m\n"{text}",x\n{beside},y\n'.replace('"', "" if value != value else '"').encode(), "csv"
    )
    encoded = encode_table(NUMBERS, table)
    assert (0 in encoded.errors) is (value is None)
    assert (1 in encoded.errors) is (beside == "oops")
    if value is not None:
        np.testing.assert_array_equal(encoded.x[0], [value])


def test_what_is_wrong_is_told_of_each_field() -> None:
    columns = Columns(
        (
            Column(name="a/b", type="integer", minimum=0, maximum=9),
            Column(name="c", type="category", categories=("x", "y"), nullable=False),
            Column(name="gone", type="number", nullable=True),
        )
    )
    table = pa.table({"a/b": [1, 12, None], "c": ["x", "z", None], "other": [1, 2, 3]})
    encoded = encode_table(columns, table, pointer="/rows")
    np.testing.assert_array_equal(encoded.x, [[1, 0, np.nan]])
    told = {row: [(e.pointer, e.detail) for e in errors] for row, errors in encoded.errors.items()}
    assert told == {
        1: [
            ("/rows/1/a~1b", "must be an integer from 0 to 9, found 12"),
            ("/rows/1/c", 'must be one of "x", "y", found \'z\''),
        ],
        2: [("/rows/2/c", 'must be one of "x", "y", found nothing')],
    }


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (pa.array([True, False, None]), [1, 0, np.nan]),
        (pa.array([1, 0, None]), [1, 0, np.nan]),
        (pa.array([1.0, 0.0, float("nan")]), [1, 0, np.nan]),
        (pa.array([" Yes", "no", None]), [1, 0, np.nan]),
        (pa.array(["TRUE", "false", None]).dictionary_encode(), [1, 0, np.nan]),
        (pa.nulls(3), [np.nan] * 3),
    ],
)
def test_files_may_spell_booleans_otherwise(values: pa.Array, codes: list[float]) -> None:
    columns = Columns((Column(name="b", type="boolean"),))
    np.testing.assert_array_equal(encode_table(columns, pa.table({"b": values})).x[:, 0], codes)


@pytest.mark.parametrize(
    "values", [pa.array([b"1"]), pa.array([[1]]), pa.array([{"a": 1}]), pa.array([True])]
)
@pytest.mark.parametrize("kind", ["number", "integer"])
def test_values_of_other_types_are_wrong(values: pa.Array, kind: Any) -> None:
    columns = Columns((Column(name="n", type=kind),))
    assert list(encode_table(columns, pa.table({"n": values})).errors) == [0]


def test_integers_are_compared_as_integers() -> None:
    columns = Columns((Column(name="n", type="number", minimum=0, maximum=2.0**53),))
    table = pa.table({"n": pa.array([2**53 - 1, 2**53, 2**53 + 1, -1, None], pa.int64())})
    assert list(encode_table(columns, table).errors) == [2, 3]
    same(encode_table(columns, table), columns.encode(table.to_pylist(), pointer=""))
