from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from shared.errors import InvalidInput
from shared.problems.declared import Declaration
from shared.problems.declared.drafting import Draft, draft
from shared.problems.declared.tables import check_table
from shared.tabular.table import read_table

ROWS = 12


def drafted(columns: dict[str, list[Any]], target: str | None = None) -> Draft:
    """The draft of a file that has these columns, each of `ROWS` values."""
    return draft(pa.table(columns), name="it", data="it.csv", target=target)


def terms(found: Draft) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(found.text)
    return read


def cycle(*values: Any) -> list[Any]:
    return [values[place % len(values)] for place in range(ROWS)]


LABEL = {"label": cycle("a", "b", "b")}
NUMBERS = {"x": [str(place * place) for place in range(ROWS)]}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([f"C{place}" for place in range(ROWS)], "an id"),
        ([str(place) for place in range(7, 7 + ROWS)], "an id"),
        (cycle("same"), "one value, 'same'"),
        (cycle(None), "empty"),
        ([f"2024-01-{day:02}" for day in range(1, ROWS + 1)], "a time"),
        (cycle("p", "q", "q"), "tells the target"),
        (cycle("1", "2", "1e99"), "beyond all bounds"),
        ([f"{place},5" for place in range(ROWS)], "such as '0,5': write them as 1234.5"),
        ([f"{place},100,000.5" for place in range(1, 1 + ROWS)], "write them as 1234.5"),
        (cycle("$1", "$2", "3 %"), "aren't plain ones"),
        (cycle([1], [2], [3]), "it holds list"),
        (cycle(b"x", b"y", b"x"), "it holds binary"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_left_out_and_says_why(values: list[Any], why: str) -> None:
    found = drafted({**NUMBERS, "odd": values, **LABEL})
    assert why in found.left_out["odd"]
    assert f"# odd is left out: {found.left_out['odd']}" in found.text
    assert list(terms(found)["columns"]) == ["x"]


def test_a_column_whose_name_cant_be_is_left_out() -> None:
    found = drafted({**NUMBERS, " z ": cycle("c", "d", "d", "d"), **LABEL})
    assert "rename it" in found.left_out[" z "]
    assert list(Declaration.of({**terms(found), "data": None}).columns) == ["x"]
    many = {f"n{place}": ["1", "3", "2"] * 4 for place in range(2_001)}
    with pytest.raises(InvalidInput, match="2001 columns are left, and at most 2000"):
        drafted({**many, **LABEL}, "label")


def test_what_was_made_of_the_target_is_left_out_and_chance_isnt() -> None:
    rows = 120
    finer = [str(place % 6) for place in range(rows)]
    columns = {"x": [str(place % 7) for place in range(rows)], "finer": finer}
    label = ["low" if one < "3" else "high" for one in finer]
    assert (
        "tells the target"
        in draft(pa.table({**columns, "y": label}), name="it", data="it.csv").left_out["finer"]
    )
    few = {
        "x": NUMBERS["x"],
        "word": [f"w{place // 2}" for place in range(ROWS)],
        "y": cycle("a", "a", "b", "b"),
    }
    assert draft(pa.table(few), name="it", data="it.csv", target="y").left_out == {}


def test_numbers_with_a_few_words_say_which() -> None:
    values = [str(place / 7) for place in range(118)] + ["unknown", "-"]
    table = pa.table(
        {"odd": values, "n": [str(place % 7) for place in range(120)], "y": ["a", "b", "b"] * 40}
    )
    assert (
        "most of its values are numbers, and 2 aren't, such as '-'"
        in draft(table, name="it", data="it.csv").left_out["odd"]
    )


@pytest.mark.parametrize("odd", ["a\0b", "a\nb", "a\x85b", "a\u2028b", "\U0001f600 \x7f", "#: {a}"])
def test_what_doesnt_print_is_read_back_as_it_was(odd: str) -> None:
    found = drafted({**NUMBERS, "c": cycle("u", odd, odd), "y": cycle(odd, "b", odd, odd)}, "y")
    assert odd in terms(found)["columns"]["c"]["categories"]
    assert odd in terms(found)["target"]["classes"]


def test_words_with_many_values_are_no_categories() -> None:
    words = [f"word {place // 2}" for place in range(120)]
    table = pa.table(
        {"text": words, "n": [str(place % 7) for place in range(120)], "y": ["a", "b", "b"] * 40}
    )
    assert "60 different values" in draft(table, name="it", data="it.csv").left_out["text"]


@pytest.mark.parametrize(
    ("values", "column"),
    [
        (cycle("1", "2", "5"), {"type": "integer", "minimum": 0, "nullable": False}),
        (cycle("1", "-2", None), {"type": "integer"}),
        (cycle("1.5", "2", "3"), {"type": "number", "minimum": 0, "nullable": False}),
        (cycle("16777217", "3", "4"), {"type": "number", "minimum": 0, "nullable": False}),
        (cycle("true", "false", "true"), {"type": "boolean", "nullable": False}),
        (cycle("no", "on", None), {"type": "category", "categories": ["no", "on"]}),
        (cycle("1", "x", "x"), {"type": "category", "categories": ["1", "x"], "nullable": False}),
        (
            cycle('a"b', "c: d", "#e"),
            {"type": "category", "categories": ["#e", 'a"b', "c: d"], "nullable": False},
        ),
    ],
)
def test_a_column_is_what_its_values_are(values: list[Any], column: dict[str, Any]) -> None:
    label = cycle("a", "b", "b", "b", "a")
    assert terms(drafted({"it": values, "label": label}))["columns"]["it"] == column


@pytest.mark.parametrize(
    ("values", "classes", "positive"),
    [
        (cycle("no", "yes", "yes"), ["no", "yes"], "yes"),
        (cycle("0", "1", "1"), [0, 1], "1"),
        (cycle("1.0", "2.0", "2.0"), [1, 2], "1"),
        (cycle("often", "rarely", "often"), ["often", "rarely"], "rarely"),
        (cycle("a", "b", "c"), ["a", "b", "c"], None),
    ],
)
def test_the_target_has_its_classes_and_a_likely_positive_one(
    values: list[Any], classes: list[Any], positive: str | None
) -> None:
    found = drafted({**NUMBERS, "y": values}, "y")
    assert (terms(found)["target"]["classes"], terms(found)["target"].get("positive")) == (classes, positive)
    assert Declaration.of({**terms(found), "data": None}).target.column == "y"


def test_a_target_is_guessed_by_its_name_and_else_by_its_place() -> None:
    named = drafted({"outcome": cycle("a", "b", "b"), **NUMBERS, "z": cycle("c", "d", "d", "d")})
    assert (named.target, named.is_guess) == ("outcome", True)
    assert drafted({"p": cycle("a", "b", "b"), **NUMBERS, "z": cycle("c", "d", "d", "d")}).target == "z"
    with pytest.raises(InvalidInput, match="--target"):
        drafted(NUMBERS)


@pytest.mark.parametrize(
    ("columns", "target", "said"),
    [
        ({"x": [], "y": []}, None, "no rows"),
        ({**NUMBERS, **LABEL}, "lable", "is 'label' meant"),
        ({"x": [place / 7 for place in range(ROWS)], **LABEL}, "x", "fractions"),
        ({**NUMBERS, "y": cycle(True, False)}, "y", "true and false"),
        ({"i": [f"C{place}" for place in range(ROWS)], **LABEL}, None, "every other column was left out"),
    ],
)
def test_what_cant_be_drafted_is_refused(
    columns: dict[str, list[Any]], target: str | None, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        drafted(columns, target)


def test_a_parquet_file_is_drafted_by_its_types() -> None:
    written = io.BytesIO()
    columns = {
        "n": cycle(1.5, None, 2.0),
        "b": cycle(True, False),
        "c": cycle("u", "v", "v", "v"),
        "y": cycle(0, 1, 1),
    }
    parquet.write_table(pa.table(columns), written)
    found = draft(read_table(written.getvalue(), "parquet"), name="it", data="it.parquet", target="y")
    assert {name: one["type"] for name, one in terms(found)["columns"].items()} == {
        "n": "number",
        "b": "boolean",
        "c": "category",
    }


CELLS = st.one_of(
    st.none(),
    st.integers(-(10**9), 10**9).map(str),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.4f}"),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=6),
)


@given(st.lists(st.tuples(CELLS, st.sampled_from(["1", "2", "yes", None]), CELLS), min_size=12, max_size=40))
def test_a_draft_can_be_read_and_fits_the_rows_that_it_is_of(rows: list[tuple[Any, Any, Any]]) -> None:
    one, two, three = (list(values) for values in zip(*rows, strict=True))
    labels = [("p", "q")[place % 2] for place in range(len(rows))]
    table = pa.table(
        {
            "one": pa.array(one, pa.string()),
            "two": pa.array(two, pa.string()),
            "three": pa.array(three, pa.string()),
            "fixed": pa.array([str(place % 5) for place in range(len(rows))]),
            "label": pa.array(labels),
        }
    )
    found = draft(table, name="it", data="it.parquet", target="label")
    declaration = Declaration.of({**terms(found), "data": None})
    written = io.BytesIO()
    parquet.write_table(table, written)
    checked = check_table(declaration, written.getvalue(), "parquet")
    assert checked.bad == 0, (found.text, checked.errors)
