"""The command against the functions that deploy, behind the twin's gateway, on the sample candles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from infra.local.upstream import create_app
from shared.cli.app import app
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.platform.connect import connect
from tests.cli.conftest import serving

KEY = "an-admin-key-for-tests"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[str]:
    with serving(create_app()) as upstream:
        settings = load_settings(mlengine_home=tmp_path / "home", admin_api_key=KEY, market_data_url=upstream)
        use_instance(Instance(settings, connect(settings)))
        with serving(Gateway(read_catalogue())) as url:
            yield url


def test_every_kind_of_answer_is_understood(engine: str) -> None:
    def said(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--url", engine, "--api-key", KEY])

    def mlengine(*arguments: str, code: int = 0) -> Any:
        shown = said(*arguments)
        assert shown.exit_code == code, shown.output
        result = said(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    assert mlengine("ingest", "AAPL", "NOPE", code=1)["succeeded"] == 1
    assert mlengine("ingest", "AAPL")["results"][0]["rows"] == 3270
    assert len(mlengine("features", "AAPL", "--lookback", "3")["rows"]) == 3
    assert mlengine("predict", "AAPL", code=1)["type"].endswith("no-active-model")
    assert mlengine("batch", "AAPL", code=1)["type"].endswith("no-active-model")
    assert mlengine("models") == {"models": [], "cursor": None}
    assert mlengine("models", "show", "market-signal", code=1)["status"] in {404, 409}
    assert mlengine("activate", "market-signal-v1", code=1)["status"] == 404
    assert mlengine("promotions", "market-signal")["promotions"] == []
    assert mlengine("predictions") == {"predictions": [], "cursor": None}
    assert mlengine("reload")["reloaded"] == []
    assert mlengine("schedules")["schedules"] == []
    assert mlengine("schedules", "run", "retrain", code=1)["status"] == 404
    assert mlengine("deadletters", "list") == {"dead_letters": [], "cursor": None}
    assert mlengine("deadletters", "replay", "nope", code=1)["results"][0]["error"]["status"] == 404
    assert mlengine("deadletters", "replay", "--all")["results"] == []
    assert mlengine("alerts", "--state", "all") == {"alerts": [], "cursor": None}
    assert mlengine("alerts", "show", "nope", code=1)["status"] == 404
    assert mlengine("alerts", "acknowledge", "nope", code=1)["status"] == 404
    assert mlengine("alerts", "resolve", "nope", "--why", "over", code=1)["status"] == 404
    assert mlengine("alerts", "test", "--channel", "pigeon", code=1)["status"] == 422
    assert mlengine("train", "--cv-folds", "3", "--candidates", "nope", code=1)["status"] == 422
    run = mlengine("train", "--no-follow")
    assert mlengine("runs")["runs"][0]["run_id"] == run["run_id"]
    assert mlengine("runs", "show", run["run_id"])["status"] == "queued"
    assert mlengine("runs", "cancel", run["run_id"])["status"] == "cancelled"
    asked = ("score", "predict AAPL", "drift check")
    for words in (
        *(f"{words} --model nope" for words in asked),
        "rollback nope",
        "predict AAPL --model a-v9",
    ):
        assert "Next: mlengine models\n" in said(*words.split()).stderr
    for words in (*asked, "rollback market-signal"):
        assert "Next: mlengine train --activate\n" in said(*words.split()).stderr
    checks = mlengine("doctor", code=1)["checks"]
    assert [c["found"] for c in checks if c["name"] == "model"] == [
        "no model is live: nothing can be predicted"
    ]
