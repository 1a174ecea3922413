"""What is found of the defects that the development data is known for; `bench_quality` prints it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.market.defects import Measured, on_hours, on_splits_and_crashes, on_the_panel


@pytest.fixture(scope="module")
def measured(data: Path) -> dict[str, Measured]:
    rows = [*on_the_panel(data), *on_splits_and_crashes(data), *on_hours(data)]
    return {row.defect: row for row in rows}


@pytest.mark.parametrize(
    "defect",
    [
        "missing values",
        "open, high, low, close out of order",
        "missing sessions",
        "splits of twelve large stocks",
        "splits of the sample",
        "copied hours, five later",
        "hours without volume",
    ],
)
def test_all_of_them_are_found_and_nothing_else_is_called_so(
    measured: dict[str, Measured], defect: str
) -> None:
    assert (measured[defect].recall, measured[defect].precision) == (1, 1)


@pytest.mark.parametrize(
    "defect",
    [
        "zero volume (all beside missing values)",
        "level errors, at all",
        "falls of 15 % in a day, not called splits",
        "hours of EURUSD, no gap called (XNYS)",
    ],
)
def test_all_of_them_are_found(measured: dict[str, Measured], defect: str) -> None:
    assert measured[defect].recall == 1


def test_the_known_amounts_are_those_of_the_list(measured: dict[str, Measured]) -> None:
    assert measured["open, high, low, close out of order"].known == 207
    assert measured["missing sessions"].known == 47 + 12, "the listed ones, and candles that were rejected"
    assert measured["splits of twelve large stocks"].known == 12
    assert measured["falls of 15 % in a day, not called splits"].known == 18


def test_level_errors_break_the_series_but_for_one_that_is_near_no_ratio(
    measured: dict[str, Measured],
) -> None:
    row = measured["level errors, as breaks"]
    assert (row.found, row.known, row.precision) == (5, 6, 1)


def test_bad_prints_are_found_where_they_are_known_to_cluster(measured: dict[str, Measured]) -> None:
    row = measured["large moves taken back, on the five dates"]
    assert (row.found, row.known) == (29, 30)
    assert (row.right, row.flagged) == (44, 59), "the other dates aren't listed, and needn't be wrong"
