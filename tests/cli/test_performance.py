"""`performance`, and `predictions show` of a settled prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]
ROUTE = "GET /monitoring/performance"


def test_the_metrics_stand_beside_naive_rules_and_the_validation(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers(ROUTE, answer("performance"))
    result = mlengine("performance", "--model", "market-signal-v1", "--window", "90d")
    assert script.seen[0].query == {"model": "market-signal-v1", "window": "90d"}
    shown = lines(result.stdout)
    found = answer("performance")
    auc, held = found["metrics"]["auc"], found["validation"]
    assert shown[0].startswith("market-signal-v1 ")
    assert "414 settled, 6 waiting" in " ".join(shown[1:3])
    (line,) = (one for one in shown if one.startswith("AUC "))
    assert f"{auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]" in line
    assert f"{held['value']:.3f} [{held['low']:.3f}, {held['high']:.3f}]" in line
    assert "Calibration" in shown
    assert sum("┊" in one for one in shown) == len(found["calibration"]["bins"])
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("verdict", "word"), [("ok", "✓ ok"), ("drift", "✗ drift"), ("insufficient_data", "insufficient data")]
)
def test_the_verdict_comes_first_with_its_reason(
    mlengine: Mlengine, script: Script, lines: Lines, verdict: str, word: str
) -> None:
    script.answers(ROUTE, {**answer("performance"), "verdict": verdict, "why": "the reason"})
    shown = lines(mlengine("performance").stdout)
    assert word in shown[0]
    assert "the reason." in " ".join(shown[:2])


def test_a_version_without_outcomes_shows_what_is_waited_for(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    nothing = {"rows": 0, "metrics": {}, "baselines": {}, "gains": {}, "calibration": None, "predictions": 0}
    script.answers(
        ROUTE, {**answer("performance"), **nothing, "first": None, "last": None, "unsettleable": 2}
    )
    shown = lines(mlengine("performance").stdout)
    assert shown[-1] == "Window 90d: 0 settled, 6 waiting, 2 unsettleable."


def test_one_row_is_one_and_without_a_metric_there_is_no_interval(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    found = answer("performance")
    undefined = {"value": None, "low": None, "high": None}
    few = {"rows": 1, "sessions": 1, "blocks": 1, "metrics": {"auc": undefined}, "gains": {}, "baselines": {}}
    script.answers(ROUTE, {**found, **few})
    shown = lines(mlengine("performance").stdout)
    assert "1 different row, 1 session, 1 block of time." in " ".join(shown)
    assert any(line.startswith("AUC - 0.520") for line in shown)


def test_performance_in_json_is_the_answer_itself(mlengine_json: Json, script: Script) -> None:
    script.answers(ROUTE, answer("performance"))
    assert mlengine_json("performance") == (0, answer("performance"))


def test_a_settled_prediction_is_shown_with_lineage_and_outcome(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    settled = answer("prediction_settled")
    script.answers("GET /predictions/p00003", settled)
    shown = lines(mlengine("predictions", "show", "p00003").stdout)
    assert f"return {settled['outcome']['forward_return']:+.2%}" in shown
    assert "settled by candles" in shown
    assert "trained by run run-1" in shown
    assert "trained on 2010-01-04 to 2019-12-31" in shown
    assert any(one.startswith("live then market-signal-v1, activated at") for one in shown)
    assert not any("{}" in one for one in shown)


def test_what_does_not_agree_is_shown(mlengine: Mlengine, script: Script) -> None:
    settled = answer("prediction_settled")
    empty = {**dict.fromkeys(settled["lineage"]), "record": {"sha256": None}, "notes": ["It isn't known."]}
    outcome = {**settled["outcome"], "label": None, "why": "the candles never came"}
    script.answers("GET /predictions/p", {**settled, "lineage": empty, "outcome": outcome})
    shown = mlengine("predictions", "show", "p").stdout
    assert "It isn't known." in shown
    assert "Unsettleable: the candles never came." in shown
    script.answers("GET /predictions/p", {**settled, "outcome": None})
    assert "Not settled" in mlengine("predictions", "show", "p").stdout
