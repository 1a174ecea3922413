from __future__ import annotations

import math

import pytest

from shared.errors import ConfigurationError
from shared.problems import problem
from shared.problems.spec import Gate
from shared.training.gates import judge_gates

AUC = Gate("auc_above_chance", "auc.low", 0.5, "it ranks")


@pytest.mark.parametrize(("value", "passed"), [(0.51, True), (0.5, False), (0.49, False), (math.nan, False)])
def test_gate_passes_only_above_its_bound(value: float, passed: bool) -> None:
    (result,) = judge_gates([AUC], {"auc.low": value})
    assert result.passed is passed


def test_gate_says_why_in_words() -> None:
    (result,) = judge_gates([AUC], {"auc.low": 0.4912})
    assert result.why == (
        "Not shown that it ranks: auc (lower end of its interval) is 0.4912, it must be above 0.5."
    )


def test_undefined_value_is_null_in_json() -> None:
    (result,) = judge_gates([AUC], {"auc.low": math.nan})
    assert result.json()["value"] is None
    assert "undefined" in result.why


def test_gate_on_an_unknown_quantity_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigurationError, match=r"'auc.low'; known: brier"):
        judge_gates([AUC], {"brier": 0.2})


def test_market_gates_name_quantities_that_exist() -> None:
    quantities = {"auc.low": 0.6, "log_loss_gain.low": 0.1, "blocks": 30.0}
    assert all(result.passed for result in judge_gates(problem("market_signal").gates, quantities))
