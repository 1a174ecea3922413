"""`ingest` and `features`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shared.cli.commands.data import CHUNK_SYMBOLS
from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]


def test_ingest_shows_what_came_in_and_what_failed(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("POST /fetch", answer("fetch"))
    result = mlengine("ingest", "AAPL", "IBM", "NOPE", "--start", "2000-01-01", "--end", "2014-01-01")
    body = {"symbols": ["AAPL", "IBM", "NOPE"], "start": "2000-01-01", "end": "2014-01-01"}
    assert script.requests("POST /fetch")[0].body == body
    shown = lines(result.stdout)
    assert any(line.startswith("AAPL 3,270 3,270 2000-03-01 2013-03-01 suspected_split 2") for line in shown)
    assert "IBM 0 3,270 2000-03-01 2013-03-01 history replaced" in shown
    assert "✗ NOPE Unknown symbol: There is no symbol 'NOPE'. Near: AAPL." in shown
    assert shown[-1] == "2 ingested (3,270 new candles), 1 failed."
    assert result.exit_code == 1


def test_ingest_without_symbols_takes_all_in_chunks(mlengine_json: Json, script: Script) -> None:
    symbols = [f"S{number}" for number in range(CHUNK_SYMBOLS + 3)]
    script.answers("GET /symbols", {"symbols": symbols})
    good = {**answer("fetch"), "failed": 0, "results": answer("fetch")["results"][:1], "succeeded": 1}
    script.answers("POST /fetch", good, {**good, "request_id": "the-last"})
    code, document = mlengine_json("ingest")
    asked = [seen.body for seen in script.requests("POST /fetch")]
    assert asked == [{"symbols": symbols[:CHUNK_SYMBOLS]}, {"symbols": symbols[CHUNK_SYMBOLS:]}]
    assert code == 0
    assert document == {
        "results": good["results"] * 2,
        "succeeded": 2,
        "failed": 0,
        "request_ids": [good["request_id"], "the-last"],
    }


def test_ingest_of_nothing_says_so(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /symbols", {"symbols": []})
    result = mlengine("ingest")
    assert result.exit_code == 0
    assert result.stdout.strip() == "0 ingested (0 new candles), 0 failed."


def test_features_show_the_newest_candles_that_fit(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("GET /features", answer("features"))
    result = mlengine("features", "AAPL", "--lookback", "24", "--set", "technical")
    assert script.seen[0].query == {"symbol": "AAPL", "lookback": "24", "feature_set": "technical"}
    shown = lines(result.stdout)
    assert shown[0] == "AAPL technical: 10 features of 1d candles"
    assert shown[1] == "Feature Last 24 2013-02-22 2013-02-23 2013-02-24"
    assert any(line.startswith("rsi_14 ▅▆▆▇▇█████▇▇▆▆▅▄▄▃▂▂▁▁▁▁") for line in shown)
    assert result.exit_code == 0


def test_features_of_one_intraday_row_tell_the_hour(mlengine: Mlengine, script: Script) -> None:
    recorded = answer("features")
    row = {**recorded["rows"][0], "timestamp": "2024-05-02T14:30:00Z"}
    script.answers("GET /features", {**recorded, "timeframe": "15m", "stale": True, "rows": [row]})
    shown = mlengine("features", "AAPL", "--lookback", "1").stdout
    assert "05-02 14:30" in shown
    assert "last known candles" in shown


def test_features_in_json_are_the_answer_itself(mlengine_json: Json, script: Script) -> None:
    script.answers("GET /features", answer("features"))
    assert mlengine_json("features", "AAPL") == (0, answer("features"))
