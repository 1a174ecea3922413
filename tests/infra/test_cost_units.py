"""The costs that the weekly summary estimates by are those of the cost model."""

from __future__ import annotations

from infra.cost.units import FILE, written


def test_the_file_of_costs_is_what_the_cost_model_says_now() -> None:
    assert FILE.read_text("utf-8") == written(), "run 'python -m infra.cost.units'"
