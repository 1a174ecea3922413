"""`predict`, `batch` and `predictions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.cli.commands.predictions import CHUNK_SYMBOLS
from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]


def test_predict_shows_the_signal_and_warns(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("GET /predict", {**answer("predict"), "stale": True})
    result = mlengine("predict", "AAPL", "--model", "market-signal-v2")
    assert script.seen[0].query == {"symbol": "AAPL", "model": "market-signal-v2"}
    shown = lines(result.stdout)
    assert shown[0] == "AAPL ▲ up P(up) 53.2%"
    assert "as of 2013-03-01" in shown
    assert "didn't pass its gates" in result.stdout
    assert "last known candles" in result.stdout
    assert result.exit_code == 0


def test_predict_in_json_is_the_answer_itself(mlengine_json: Json, script: Script) -> None:
    script.answers("GET /predict", answer("predict"))
    assert mlengine_json("predict", "AAPL") == (0, answer("predict"))


def test_a_batch_shows_every_symbol_and_fails_if_one_did(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers("POST /predict/batch", answer("batch"))
    result = mlengine("batch", "AAPL", "MSFT", "IBM", "NOPE")
    assert script.seen[0].body == {"symbols": ["AAPL", "MSFT", "IBM", "NOPE"], "model": "market-signal"}
    shown = lines(result.stdout)
    assert "MSFT ▼ down 0.471 ▄▄▄▄▄▄▄▄▄│ 2013-03-01 market-signal-v2" in shown
    assert "From the last known candles: MSFT." in shown
    assert "✗ NOPE Unknown symbol: There is no symbol 'NOPE'. Near: AAPL, GOOG." in shown
    assert shown[-1] == "3 predicted, 1 failed."
    assert result.exit_code == 1


@pytest.mark.parametrize("source", ["-", "@"])
def test_symbols_come_from_standard_input_or_a_file(
    mlengine: Mlengine, script: Script, tmp_path: Path, source: str
) -> None:
    script.answers("POST /predict/batch", answer("batch"))
    text = "AAPL, MSFT\n\nIBM\tGOOG,\n"
    (tmp_path / "symbols").write_text(text)
    mlengine("batch", "FIRST", f"@{tmp_path / 'symbols'}" if source == "@" else "-", stdin=text)
    assert script.seen[0].body["symbols"] == ["FIRST", "AAPL", "MSFT", "IBM", "GOOG"]


def test_a_large_batch_goes_in_several_calls(mlengine_json: Json, script: Script) -> None:
    whole = {**answer("batch"), "failed": 0}
    script.answers("POST /predict/batch", whole)
    symbols = [f"S{number}" for number in range(CHUNK_SYMBOLS + 1)]
    code, document = mlengine_json("batch", *symbols)
    assert [seen.body["symbols"] for seen in script.seen] == [
        symbols[:CHUNK_SYMBOLS],
        symbols[CHUNK_SYMBOLS:],
    ]
    assert code == 0
    assert len(document["results"]) == 2 * len(whole["results"])


def test_an_empty_batch_is_wrong_usage(mlengine: Mlengine, script: Script) -> None:
    assert mlengine("batch", "-", stdin=" \n").exit_code == 2
    assert script.seen == []


def test_predictions_are_listed(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("GET /predictions/recent", answer("predictions"))
    result = mlengine("predictions", "--symbol", "AAPL", "--model", "m-v1", "--limit", "7", "--cursor", "c")
    assert script.seen[0].query == {"symbol": "AAPL", "model_id": "m-v1", "limit": "7", "cursor": "c"}
    assert any(line.startswith("2024-05-02 09:31 AAPL ▲ up 0.532") for line in lines(result.stdout))


def test_a_list_that_goes_on_says_how(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /predictions/recent", {**answer("predictions"), "cursor": "abc"})
    assert mlengine("predictions").stderr == "There is more: --cursor abc\n"


def test_no_predictions_is_said(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /predictions/recent", {"predictions": [], "cursor": None})
    assert mlengine("predictions").stdout == "No predictions yet.\n"


def test_where_a_filter_finds_nothing_its_words_are_said(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers("GET /predictions/recent", {"predictions": [], "cursor": None})
    assert lines(mlengine("predictions", "--symbol", "NOPE").stdout) == [
        "No predictions of symbol 'NOPE' yet."
    ]
    shown = lines(mlengine("predictions", "--symbol", "NOPE", "--model", "market-signal").stdout)
    assert shown == [
        "No predictions of symbol 'NOPE' and model 'market-signal' yet.",
        "--model takes a version's id, such as market-signal-v1.",
        "Next: mlengine models",
    ]


def test_a_prediction_is_shown_with_its_features_by_name(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers("GET /predictions/abc", answer("prediction"))
    script.answers("GET /models/market-signal-v2", answer("model"))
    shown = lines(mlengine("predictions", "show", "abc").stdout)
    assert "caller anonymous, by predict" in shown
    assert shown[-5:] == ["return_1 0.0123", "return_5 -0.002", "gap -", "macd 1.25", "rsi_14 47.3"]


def test_features_are_numbered_where_nobody_knows_their_names(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers("GET /predictions/abc", answer("prediction"))
    shown = lines(mlengine("predictions", "show", "abc").stdout)
    assert shown[-1] == "4 47.3"


def test_ids_are_sent_as_one_part_of_the_path(mlengine: Mlengine, script: Script) -> None:
    mlengine("predictions", "show", "../models?x")
    assert script.seen[0].path == "/predictions/..%2Fmodels%3Fx"


OF_ROW = {
    "prediction_id": "p7",
    "made_at": "2024-05-02T09:31:00+00:00",
    "kind": "tabular",
    "problem": "heart_disease",
    "model_id": "heart-disease-v2",
    "model_name": "heart-disease",
    "label": "present",
    "probability": 0.7064,
    "probabilities": [0.2936, 0.7064],
    "features": [63.0, None],
    "gates_passed": True,
    "package_hash": "a" * 64,
    "feature_set_hash": "b" * 64,
    "latency_ms": 1.25,
    "request_id": "r1",
    "caller": "admin",
    "function": "predict",
    "trace_id": "c" * 32,
}


def test_predictions_of_rows_are_listed_beside_those_of_symbols(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    both = answer("predictions")
    script.answers("GET /predictions/recent", {**both, "predictions": [OF_ROW, *both["predictions"]]})
    shown = lines(mlengine("predictions").stdout)
    assert any(line.startswith("2024-05-02 09:31 a row present 0.706") for line in shown)
    assert any(line.startswith("2024-05-02 09:31 AAPL ▲ up 0.532") for line in shown)


def test_a_prediction_of_a_row_is_shown(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("GET /predictions/p7", {"prediction": OF_ROW})
    shown = lines(mlengine("predictions", "show", "p7").stdout)
    assert shown[0] == "present P(present) 70.6%"
    assert "probabilities 0.294, 0.706" in shown
    assert shown[-2:] == ["0 63", "1 -"]


def test_a_prediction_of_an_uploaded_model_failed_no_gates(mlengine: Mlengine, script: Script) -> None:
    row = {**OF_ROW, "problem": "uploaded", "gates_passed": False}
    script.answers("GET /predictions/p7", {"prediction": row})
    shown = mlengine("predictions", "show", "p7").stdout
    assert "no gate has judged it" in shown
    assert "didn't pass" not in shown
