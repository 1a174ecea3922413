"""`drift`, `drift check` and `drift history`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]

SHOW, CHECK, HISTORY = "GET /monitoring/drift", "POST /admin/drift", "GET /monitoring/history"


def refusal(slug: str, title: str, detail: str, path: str) -> dict[str, Any]:
    return {**answer("no_active_model"), "type": f"urn:mlengine:problem:{slug}", "title": title} | {
        "detail": detail,
        "error": detail,
        "instance": path,
    }


def test_the_newest_check_shows_windows_families_and_what_moved(
    mlengine: Mlengine, script: Script, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = answer("drift")
    script.answers(SHOW, found)
    monkeypatch.setenv("COLUMNS", "160")
    result = mlengine("drift")
    assert script.seen[0].query == {"model": "market-signal"}
    shown = lines(result.stdout)
    assert shown[0] == "market-signal-v1 drift"
    assert any(line.startswith("60 sessions drift ") for line in shown)
    assert any(line.startswith("report /reports/r1") for line in shown)
    assert "Over 60 sessions" in shown
    for family in found["families"]:
        assert any(line.startswith(f"{family['name']} ") for line in shown)
    moved = [line for line in shown if line.startswith(f"{found['features'][0]['name']} █")]
    assert len(moved) == 1
    assert f"{found['features'][0]['excess']:.2f}x" in moved[0]
    assert shown[-1] == "Next: mlengine train"
    assert result.exit_code == 0


def test_one_window_and_another_model_can_be_asked_for(mlengine: Mlengine, script: Script) -> None:
    script.answers(SHOW, answer("drift_ok"))
    result = mlengine("drift", "--model", "other-v3", "--window", "20")
    assert script.seen[0].query == {"model": "other-v3", "window": "20"}
    assert "Next" not in result.stdout


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_it_fits_the_terminal(
    mlengine: Mlengine, script: Script, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    script.answers(SHOW, answer("drift"))
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, mlengine("drift").stdout.splitlines())) <= width


def test_a_check_is_run_and_shown(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers(CHECK, answer("drift_ok"))
    result = mlengine("drift", "check", "--model", "market-signal-v1")
    assert script.seen[0].body == {"model": "market-signal-v1"}
    assert lines(result.stdout)[0] == "market-signal-v1 ok"
    assert result.exit_code == 0


def test_insufficient_data_says_why(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    found = answer("drift_ok")
    why = "5 sessions since it was trained are needed; there are 0."
    empty = {"verdict": "insufficient_data", "why": why, "excess": None, "rows": 0}
    windows = [{**one, **empty} for one in found["windows"]]
    nothing: dict[str, Any] = {"overall": "insufficient_data", "families": [], "features": [], "score": None}
    problems = [{"source": "GONE", "detail": "No 1d candles of GONE are stored."}]
    about = {"without_rows": 1, "problems": problems, "trained_until": None, "is_live": False}
    script.answers(CHECK, {**found, **empty, **nothing, **about, "windows": windows})
    shown = lines(mlengine("drift", "check").stdout)
    assert shown[0] == "market-signal-v1 insufficient data"
    assert f"why {why}" in shown
    assert "live no: it raises no alert" in shown
    assert "no rows GONE No 1d candles of GONE are stored." in shown


def test_the_history_is_a_plot_and_a_line_per_check(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers(HISTORY, answer("drift_history"))
    result = mlengine("drift", "history", "--start", "2011-01-01", "--limit", "9")
    assert script.seen[0].query == {
        "model": "market-signal",
        "kind": "drift",
        "start": "2011-01-01",
        "limit": "9",
    }
    shown = lines(result.stdout)
    assert any(line.startswith("60 sessions ▁▁█") for line in shown)
    assert any(line.startswith("2011-04-12 23:00 market-signal-v1 drift") for line in shown)
    assert any(line.startswith("2011-04-08 23:00 market-signal-v1 ok") for line in shown)


def test_a_history_that_goes_on_says_how(mlengine: Mlengine, script: Script) -> None:
    script.answers(HISTORY, {**answer("drift_history"), "cursor": "abc"})
    assert mlengine("drift", "history").stderr == "There is more: --cursor abc\n"


def test_an_empty_history_names_the_next_command(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers(HISTORY, {"points": [], "cursor": None})
    shown = lines(mlengine("drift", "history").stdout)
    assert shown == ["No drift was looked for in that time.", "Next: mlengine drift check"]


def test_where_nothing_was_looked_for_the_next_command_is_named(mlengine: Mlengine, script: Script) -> None:
    found = refusal("not-found", "Not found", "No drift was looked for yet.", "/monitoring/drift")
    script.answers(SHOW, found, status=404)
    result = mlengine("drift")
    assert result.exit_code == 1
    assert "Next: mlengine drift check" in result.stderr


def test_an_unknown_model_names_the_next_command(mlengine: Mlengine, script: Script) -> None:
    script.answers(
        CHECK, refusal("not-found", "Not found", "There is no version.", "/admin/drift"), status=404
    )
    assert "Next: mlengine models" in mlengine("drift", "check", "--model", "x-v9").stderr


@pytest.mark.parametrize(
    ("route", "name", "arguments"),
    [
        (SHOW, "drift", ["drift"]),
        (CHECK, "drift_ok", ["drift", "check"]),
        (HISTORY, "drift_history", ["drift", "history"]),
    ],
)
def test_as_json_it_is_the_answer(
    mlengine_json: Json, script: Script, route: str, name: str, arguments: Sequence[str]
) -> None:
    script.answers(route, answer(name))
    assert mlengine_json(*arguments) == (0, answer(name))
