"""`cost` runs the model of the layer above and shows what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from shared.cli.commands.cost import cost
from shared.cli.problem import CliProblem
from shared.cli.session import Given, Session
from shared.cli.target import ROOT, Installation

Mlengine = Callable[..., Result]


def test_it_shows_items_totals_goals_and_choices(
    mlengine: Mlengine, lines: Callable[[str], Sequence[str]]
) -> None:
    result = mlengine("cost")
    assert result.exit_code == 0, result.stderr
    shown = "\n".join(lines(result.stdout))
    assert "1,000,000 predictions a month in europe-west1" in shown
    for part in ("Idle, a month", "A million such predictions", "Goals", "What choices change", "in all"):
        assert part in shown
    assert "audit in BigQuery only" in shown
    assert "Unconfirmed: " in shown
    assert "https://" not in shown


def test_details_add_prices_with_their_sources_and_what_is_assumed(mlengine: Mlengine) -> None:
    shown = mlengine("cost", "--details").stdout
    for part in (
        "Prices",
        "https://cloud.google.com",
        "Measured",
        "predict_cpu_ms",
        "Assumed",
        "Not included",
    ):
        assert part in shown


def test_as_json_it_is_the_model_s_document(mlengine_json: Callable[..., tuple[int, Any]]) -> None:
    code, document = mlengine_json("cost", "--predictions", "2000000", "--symbols", "50", "--hours", "150")
    model = [sys.executable, "-m", "infra.cost", "--json", "--predictions=2e6", "--symbols=50", "--hours=150"]
    printed = subprocess.run(model, cwd=ROOT, capture_output=True, text=True, check=True)
    assert code == 0
    assert document == json.loads(printed.stdout)
    assert document["traffic"]["symbols"] == 50


def test_a_region_without_prices_is_wrong_usage(mlengine_json: Callable[..., tuple[int, Any]]) -> None:
    code, problem = mlengine_json("cost", "--region", "asia-east1")
    assert code == 2
    assert "europe-west1, us-central1, not 'asia-east1'" in problem["detail"]


def test_a_model_that_fails_is_told_by_its_last_word(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "cost.py").write_text("raise OSError('the table is gone')")
    session = Session(Given(as_json=True))
    session.installation = Installation(os.environ, tmp_path)
    with pytest.raises(CliProblem) as failure:
        cost(session)
    assert failure.value.exit_code == 1
    assert failure.value.document["detail"] == "The costs can't be calculated: OSError: the table is gone."
