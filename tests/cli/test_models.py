"""`models`, `activate`, `rollback`, `promotions` and `reload`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]


def test_models_are_listed_with_the_live_one_marked(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("GET /models", answer("models"))
    shown = lines(mlengine("models", "--name", "market-signal", "--limit", "9").stdout)
    assert script.seen[0].query == {"name": "market-signal", "limit": "9"}
    assert "market-signal-v2 ● live ✗ lightgbm 2024-05-02 09:12 admin" in shown
    assert "market-signal-v1 archived ✓ leak? hist_gradient_boosting 2024-05-01 09:12 bootstrap" in shown


def test_where_there_are_no_models_it_says_how_to_train_one(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /models", {"models": [], "cursor": None})
    assert mlengine("models").stdout == "No models yet.\nNext: mlengine train --activate\n"


def test_of_an_unknown_name_there_are_no_models(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /models", {"models": [], "cursor": None})
    assert mlengine("models", "--name", "nope").stdout == "There is no model 'nope'.\nNext: mlengine models\n"


def test_what_no_gate_has_judged_has_not_failed(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    first, _ = answer("models")["models"]
    script.answers("GET /models", {"models": [{**first, "origin": "uploaded"}], "cursor": None})
    assert "market-signal-v2 ● live - lightgbm 2024-05-02 09:12 admin" in lines(mlengine("models").stdout)


def test_a_model_is_shown_with_metrics_beside_baselines_candidates_and_gates(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers("GET /models/market-signal-v2", answer("model"))
    shown = lines(mlengine("models", "show", "market-signal-v2").stdout)
    assert shown[0] == "market-signal-v2 ● live"
    assert "trained on 10,702 rows of 5 symbols" in shown
    assert "AUC 0.506 [0.485, 0.527] - - 0.489 0.511" in shown
    assert "Log-loss 0.6931 [0.6925, 0.6938] - 0.6929 - -" in shown
    candidates = [line.split()[1] for line in shown if line.startswith("→ ")]
    assert candidates == ["lightgbm"]
    assert any(line.startswith("✗ auc_above_chance Not shown") for line in shown)
    assert any(line.startswith("✓ enough_blocks Shown") for line in shown)


def test_a_model_tells_which_declaration_it_is_of(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    shown = answer("model")
    declared = {**shown["manifest"], "problem": "churn", "problem_version": 3}
    script.answers(f"GET /models/{shown['id']}", {**shown, "manifest": declared})
    told = lines(mlengine("models", "show", shown["id"]).stdout)
    assert "problem churn, version 3 of what was declared" in told


def test_undefined_metrics_are_shown_as_such(mlengine: Mlengine, script: Script) -> None:
    document = answer("model")
    undefined = {"value": None, "low": None, "high": None}
    metrics = document["manifest"]["metrics"]
    metrics["hold_out"]["model"]["rank_ic"] = undefined
    metrics["walk_forward"]["candidates"]["xgboost"]["auc"] = undefined
    script.answers("GET /models/a", document)
    result = mlengine("models", "show", "a")
    assert result.exit_code == 0
    assert re.search(r"Rank IC +- +-", result.stdout)
    assert "[-, -]" not in result.stdout


def test_a_report_is_saved(mlengine_json: Json, script: Script, tmp_path: Path) -> None:
    script.answers("GET /models/market-signal", answer("model"))
    script.answers("GET /models/market-signal-v2/report", b"<html>curves</html>")
    file = tmp_path / "report.html"
    code, document = mlengine_json("models", "report", "market-signal", "--output", str(file))
    assert (code, document) == (0, {"id": "market-signal-v2", "file": str(file), "size_bytes": 19})
    assert file.read_bytes() == b"<html>curves</html>"


def test_a_report_is_named_by_its_version(
    mlengine: Mlengine, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script.answers("GET /models/market-signal-v2", answer("model"))
    script.answers("GET /models/market-signal-v2/report", b"<html>")
    assert mlengine("models", "report", "market-signal-v2").exit_code == 0
    assert [file.name for file in tmp_path.glob("*.html")] == ["market-signal-v2-report.html"]


def test_a_report_that_cannot_be_saved_is_refused(mlengine: Mlengine, script: Script, tmp_path: Path) -> None:
    script.answers("GET /models/market-signal-v2", answer("model"))
    script.answers("GET /models/market-signal-v2/report", b"<html>")
    result = mlengine("models", "report", "market-signal-v2", "--output", str(tmp_path))
    assert result.exit_code == 1
    assert "Not saved: The report can't be saved" in result.stderr


@pytest.mark.parametrize(
    ("command", "route"),
    [
        (["activate", "market-signal-v2"], "POST /models/activate/market-signal-v2"),
        (["rollback", "market-signal"], "POST /models/market-signal/rollback"),
    ],
)
def test_a_change_of_what_is_live_is_told(
    mlengine: Mlengine, script: Script, command: Sequence[str], route: str
) -> None:
    script.answers(route, answer("promotion"))
    result = mlengine(*command, "--reason", "newer candles")
    assert script.requests(route)[0].body == {"reason": "newer candles"}
    shown = " ".join(result.stdout.split())
    assert shown == "● market-signal-v2 is live instead of market-signal-v1, since 2024-05-02 09:12:50."


def test_a_refused_activation_leads_to_the_report(mlengine: Mlengine, script: Script) -> None:
    route = "POST /models/activate/market-signal-v2"
    script.answers(route, answer("gates_not_passed"), status=409)
    result = mlengine("activate", "market-signal-v2")
    assert result.exit_code == 1
    assert "Next: mlengine models report market-signal-v2" in result.stderr


def test_promotions_tell_what_was_live_when(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("GET /models/market-signal/promotions", answer("promotions"))
    shown = lines(mlengine("promotions", "market-signal", "--at", "2024-05-02").stdout)
    assert script.seen[0].query == {"at": "2024-05-02T00:00:00+00:00", "limit": "50"}
    row = "2024-05-02 09:12 rolled back market-signal-v2 market-signal-v1 admin newer candles"
    assert row in shown


@pytest.mark.parametrize(("more", "until"), [([], ""), (["--at", "2024-05-02"], " until 2024-05-02")])
def test_of_a_name_without_promotions_nothing_is_said_to_have_been(
    mlengine: Mlengine, script: Script, more: list[str], until: str
) -> None:
    script.answers("GET /models/nope/promotions", {"promotions": [], "cursor": None})
    said = f"There is no promotion of 'nope'{until}.\nNext: mlengine models\n"
    assert mlengine("promotions", "nope", *more).stdout == said


def test_reload_tells_what_is_read_anew(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /admin/reload", answer("reload"))
    assert mlengine("reload").stdout == "Read anew within 5 s: market-signal-v2.\n"
