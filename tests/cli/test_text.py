"""Numbers, times and small plots as text; lists that fit."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from shared.cli.views.listing import Column, Listing
from shared.cli.views.text import (
    counted,
    interval_plot,
    number,
    place_on,
    seconds_between,
    span,
    sparkline,
    when,
)

FINITE = st.floats(-1e12, 1e12)


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        (None, "-"),
        ("2013-03-01T00:00:00Z", "2013-03-01"),
        ("2013-03-01T14:30:00Z", "2013-03-01 14:30:00"),
        ("2013-03-01T01:30:00+02:00", "2013-02-28 23:30:00"),
    ],
)
def test_times_are_written_in_utc(stamp: str | None, text: str) -> None:
    assert when(stamp) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (2_000, "2,000 rows")])
def test_one_of_something_is_said_in_the_singular(count: int, text: str) -> None:
    assert counted(count, "rows") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.44, "0.4 s"),
        (59.9, "59.9 s"),
        (162, "2 min 42 s"),
        (7_260, "2 h 1 min"),
        (9e5, "10 days"),
    ],
)
def test_durations_have_one_or_two_units(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_there_is_no_duration_without_both_ends() -> None:
    assert seconds_between("2024-01-01T00:00:00Z", "2024-01-01T00:01:30.5Z") == 90.5
    assert seconds_between(None, "2024-01-01T00:00:00Z") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (3, "3"), (1234567.0, "1,234,567"), (0.012345, "0.01235"), (-8.4620e-05, "-8.462e-05")],
)
def test_numbers_keep_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@given(st.lists(st.none() | FINITE, max_size=40))
def test_a_sparkline_has_one_character_per_value(values: list[float | None]) -> None:
    assert len(sparkline(values)) == len(values)
    assert [c == " " for c in sparkline(values)] == [value is None for value in values]


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0.0, 7.0, None, 3.0]) == "▁█ ▄"
    assert len(set(sparkline([2.0, 2.0, 2.0]))) == 1


@given(FINITE, FINITE, FINITE, FINITE, FINITE)
def test_an_interval_plot_has_its_width_and_its_value(
    a: float, b: float, c: float, d: float, e: float
) -> None:
    low, value, high = sorted((a, b, c))
    plot = interval_plot(low, value, high, (min(d, e), max(d, e)), 25)
    assert len(plot) == 25
    assert plot.count("●") == 1


def test_an_interval_plot_shows_both_ends() -> None:
    assert interval_plot(0.25, 0.5, 0.75, (0.0, 1.0), 9) == "  ├─●─┤  "
    assert place_on(2.0, (0.0, 1.0), 9) == 8


CELLS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5), st.integers(30, 120))
def test_a_list_shows_what_matters_whole_and_the_rest_only_where_it_fits(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    columns = (Column("A"), Column("Less", rank=1), Column("Least", rank=2))
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(Listing(columns, rows))
    shown = out.getvalue()
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    assert all(row[0] in shown for row in rows)
    assert ("Less" in shown) or ("Least" not in shown)
