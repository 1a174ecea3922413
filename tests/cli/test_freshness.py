"""`freshness`, `quality` and `watch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]

FRESHNESS, QUALITY, WATCH = "GET /monitoring/freshness", "GET /monitoring/quality", "POST /admin/watch"


def test_the_worst_come_first_with_bars_and_reasons(
    mlengine: Mlengine, script: Script, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(FRESHNESS, answer("freshness"))
    monkeypatch.setenv("COLUMNS", "200")
    result = mlengine("freshness", "--limit", "7", "--cursor", "c", "--all")
    assert script.seen[0].query == {"limit": "7", "cursor": "c", "all": "true"}
    shown = lines(result.stdout)
    assert shown[0] == "stale 1d candles of 24/7, as of 2024-05-02 09:31:00"
    rows = [line for line in shown if "candles stale" in line or "candles late" in line]
    assert [row.split()[0] for row in rows] == ["GOOG", "IBM", "MSFT"]
    assert [row.count("█") for row in rows] == [16, 5, 1]
    assert rows[0].endswith("30 candles missed, up to 2 are borne")
    assert any(line.startswith("market-signal drift check stale - -") for line in shown)
    assert shown[-1] == "Next: mlengine ingest"
    assert result.exit_code == 0


def test_freshness_fits_a_narrow_terminal(
    mlengine: Mlengine, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(FRESHNESS, answer("freshness"))
    monkeypatch.setenv("COLUMNS", "90")
    shown = mlengine("freshness").stdout
    assert max(map(len, shown.splitlines())) <= 90
    assert "GOOG" in shown


@pytest.mark.parametrize(
    ("verdict", "said", "following"),
    [
        ("fresh", "Nothing is overdue.", None),
        ("missing", "No candles are stored.", "Next: mlengine ingest"),
    ],
)
def test_nothing_overdue_is_told_from_nothing_stored(
    mlengine: Mlengine, script: Script, lines: Lines, verdict: str, said: str, following: str | None
) -> None:
    script.answers(FRESHNESS, {**answer("freshness"), "verdict": verdict, "subjects": []})
    shown = lines(mlengine("freshness").stdout)
    assert shown[1] == said
    assert shown[2:] == ([] if following is None else [following])


@pytest.mark.parametrize(
    ("kind", "following"), [("model", "mlengine train"), ("drift_check", "mlengine drift check")]
)
def test_what_to_do_depends_on_what_is_old(
    mlengine: Mlengine, script: Script, kind: str, following: str
) -> None:
    document = answer("freshness")
    document["subjects"] = [one for one in document["subjects"] if one["kind"] == kind]
    script.answers(FRESHNESS, document)
    assert mlengine("freshness").stdout.endswith(f"Next: {following}\n")


def test_findings_are_shown_by_kind_with_their_course(
    mlengine: Mlengine, script: Script, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(QUALITY, answer("quality"))
    monkeypatch.setenv("COLUMNS", "160")
    result = mlengine(
        "quality", "--symbol", "KO", "--kind", "gap", "--start", "2024-01-01", "--end", "2024-05-02"
    )
    expected = {"symbol": "KO", "kind": "gap", "start": "2024-01-01", "end": "2024-05-02"}
    assert script.seen[0].query == expected
    shown = lines(result.stdout)
    assert shown[0] == "rising 1d candles from 2024-02-02 to 2024-05-02"
    (row,) = [line for line in shown if line.startswith("missing_value rising 10 2 ")]
    assert row.endswith("█▃ 8 0.045 8 rejected")
    assert any(line.startswith("missing_value 8 in 5 sessions, 0.0 usual") for line in shown)
    assert any(line.startswith("KO 6 ███") for line in shown)
    assert "Next" not in result.stdout


def test_no_findings_is_said(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers(QUALITY, {**answer("quality"), "verdict": "ok", "kinds": [], "worst": [], "examples": []})
    assert lines(mlengine("quality").stdout)[1] == "Nothing was found about these candles."
    shown = lines(mlengine("quality", "--symbol", "NOPE", "--kind", "gap").stdout)
    assert shown[1] == "Nothing of symbol 'NOPE' and kind 'gap' was found about these candles."


def test_a_look_shows_each_monitor_and_what_is_wrong(
    mlengine: Mlengine, script: Script, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(WATCH, answer("watch"))
    monkeypatch.setenv("COLUMNS", "200")
    result = mlengine("watch")
    shown = lines(result.stdout)
    assert any(line.startswith("freshness over 3 stale_candles:1d") for line in shown)
    assert any(line.startswith("stale_candles:1d 2 symbols have missed more") for line in shown)
    assert shown[-1] == "Next: mlengine alerts"
    assert result.exit_code == 0


def test_a_monitor_that_fails_fails_the_command(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    document = answer("watch")
    document["monitors"][1]["error"] = "KeyError: 'x'"
    script.answers(WATCH, document)
    result = mlengine("watch")
    assert any(line.startswith("✗ latency KeyError") for line in lines(result.stdout))
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("name", "route"), [("freshness", FRESHNESS), ("quality", QUALITY), ("watch", WATCH)]
)
def test_json_is_the_answer_itself(mlengine_json: Json, script: Script, name: str, route: str) -> None:
    script.answers(route, answer(name))
    assert mlengine_json(name) == (0, answer(name))
