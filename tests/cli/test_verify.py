"""`predictions verify`, on real state folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from shared.cli.app import app
from shared.cli.views.verification import MOST_SHOWN
from shared.platform.ports import Put
from tests.packages import active, market_package, spoil
from tests.predicted import FIRST, Market

COUNT = 24


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """The state folder of an engine with 24 predictions of two days."""
    made = Market(tmp_path / "home", COUNT // 2, FIRST + 2)
    active(made.instance.registry)
    for row in (FIRST, FIRST + 1):
        made.instance.audit.store(made.predict(row))
    return made


def run(market: Market, *words: str) -> Result:
    return CliRunner().invoke(
        app, ["predictions", "verify", *words], env={"MLENGINE_HOME": str(market.home), "COLUMNS": "100"}
    )


def answered(market: Market, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(market, *words, "--json").stdout)
    return document


def alter(market: Market, prediction_id: str, **changes: Any) -> None:
    documents = market.instance.platform.documents
    found = documents.get("predictions", prediction_id)
    assert found is not None
    documents.commit([Put("predictions", prediction_id, {**found.data, **changes})])


def test_what_holds_is_told_in_one_line_and_succeeds(market: Market) -> None:
    result = run(market)
    assert result.exit_code == 0, result.output
    assert f"{COUNT} predictions replayed bit for bit." in result.output
    assert "market-signal-v1" in result.output


def test_what_differs_is_named_and_fails(market: Market) -> None:
    alter(market, "p00005", probability=0.5)
    result = run(market)
    assert result.exit_code == 1
    assert "p00005" in result.output
    assert f"1 of {COUNT} predictions differ." in result.output
    told = answered(market)
    assert [one["prediction_id"] for one in told["differences"]] == ["p00005"]
    assert (told["verified"], told["passed"]) == (COUNT - 1, False)


def test_a_long_list_of_differences_is_cut_for_people_only(market: Market) -> None:
    spoil(market.home, market_package(), "model.onnx")
    shown = run(market)
    assert shown.exit_code == 1
    assert f"and {COUNT - MOST_SHOWN} more" in shown.output
    assert len(answered(market)["differences"]) == COUNT


def test_the_choice_can_be_narrowed(market: Market) -> None:
    since = market.clock.time.date().isoformat()
    assert answered(market, "--since", since)["checked"] == COUNT // 2
    assert answered(market, "--since", f"{since}T23:00:00Z")["checked"] == 0
    assert answered(market, "--limit", "3")["checked"] == 3
    assert answered(market, "--limit", "3", "--all")["checked"] == COUNT
    assert answered(market, "--model", "market-signal-v2")["checked"] == 0
    assert "no such predictions" in run(market, "--model", "market-signal-v2").output


def test_wrong_usage_and_no_state_are_told_in_words(market: Market, tmp_path: Path) -> None:
    assert run(market, "--since", "yesterday").exit_code == 2
    market.home = tmp_path / "mistyped"
    refused = run(market)
    assert refused.exit_code == 1
    assert "MLENGINE_HOME" in refused.output
