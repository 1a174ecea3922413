"""`reports`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]

ID = "7c1e9d40b7a84d0ea6f5d1b2c3e4f506"
STATE = f"GET /reports/{ID}/state"
PAGE = b"<!doctype html><title>A report</title>"


@pytest.fixture
def making(script: Script) -> Callable[[str], None]:
    """A report that is queued, made, and ends in the given state."""

    def ends(state: str) -> None:
        script.answers("POST /admin/reports", answer("report_queued"), status=202)
        script.answers(STATE, answer("report_running"), answer(f"report_{state}"))

    return ends


def test_reports_are_listed_with_what_they_say(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("GET /reports", answer("reports"))
    result = mlengine("reports", "--kind", "drift", "--limit", "3")
    assert script.seen[-1].query == {"kind": "drift", "limit": "3"}
    shown = " ".join(lines(result.stdout))
    assert "weekly succeeded" in shown
    assert "There is no drift check 'drift-0042'." in shown
    assert "There is more: --cursor abc" in result.stderr


def test_no_reports_suggest_to_make_one(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /reports", {"reports": [], "cursor": None})
    assert "Next: mlengine reports make weekly" in mlengine("reports").stdout


def test_one_report_is_shown_with_its_files_and_notes(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers(STATE, answer("report_succeeded"))
    shown = " ".join(lines(mlengine("reports", "show", ID).stdout))
    for words in (
        "about market-signal-v3, 2026-02-09",
        "took 5.0 s",
        "report.html 463,645",
        "- Without Evidently",
    ):
        assert words in shown


def test_a_drift_report_is_of_the_newest_check_and_is_waited_for(
    mlengine: Mlengine, script: Script, making: Callable[[str], None], lines: Lines
) -> None:
    making("succeeded")
    script.answers("GET /monitoring/drift", {"check_id": "drift-0042"})
    result = mlengine("reports", "make", "drift", "--model", "market-signal-v3")
    assert script.requests("GET /monitoring/drift")[0].query == {"model": "market-signal-v3"}
    assert script.requests("POST /admin/reports")[0].body == {"kind": "drift", "check_id": "drift-0042"}
    assert f"{ID} succeeded" in lines(result.stdout)
    assert f"Next: mlengine reports open {ID}" in result.stdout
    assert "The report is running." in result.stderr
    assert result.exit_code == 0


def test_a_check_can_be_named(mlengine_json: Json, script: Script, making: Callable[[str], None]) -> None:
    making("succeeded")
    assert mlengine_json("reports", "make", "drift", "c7") == (0, answer("report_succeeded"))
    assert script.requests("POST /admin/reports")[0].body == {"kind": "drift", "check_id": "c7"}


def test_a_report_that_isnt_made_fails_the_command(mlengine: Mlengine, making: Callable[[str], None]) -> None:
    making("failed")
    result = mlengine("reports", "make", "drift", "drift-0042")
    assert "The report couldn't be made: There is no drift check 'drift-0042'." in result.stdout
    assert result.exit_code == 1


def test_a_week_is_asked_for_and_need_not_be_waited_for(
    mlengine: Mlengine, mlengine_json: Json, script: Script, making: Callable[[str], None]
) -> None:
    making("succeeded")
    result = mlengine("reports", "make", "weekly", "--period", "2026-W06", "--no-follow")
    assert script.seen[-1].body == {"kind": "weekly", "period": "2026-W06"}
    assert f"Next: mlengine reports show {ID} --follow" in result.stdout
    assert mlengine_json("reports", "make", "weekly", "--no-follow") == (0, answer("report_queued"))
    assert script.seen[-1].body == {"kind": "weekly"}


def test_a_report_is_saved(
    mlengine: Mlengine, mlengine_json: Json, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(f"GET /reports/{ID}", PAGE)
    script.answers(f"GET /reports/{ID}/files/report.pdf", b"%PDF")
    file = tmp_path / "mine.html"
    assert f"Saved {file}" in mlengine("reports", "save", ID, "-o", str(file)).stdout
    assert file.read_bytes() == PAGE
    monkeypatch.chdir(tmp_path)
    code, document = mlengine_json("reports", "save", ID, "--file", "report.pdf")
    assert (code, document) == (
        0,
        {"report_id": ID, "file": f"{ID}-report.pdf", "size_bytes": 4},
    )
    assert (tmp_path / f"{ID}-report.pdf").read_bytes() == b"%PDF"
    refused = mlengine("reports", "save", ID, "-o", str(tmp_path / "none" / "x.html"))
    assert (refused.exit_code, "Name another place with --output" in " ".join(refused.stderr.split())) == (
        1,
        True,
    )


def test_a_report_is_opened(mlengine: Mlengine, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.answers(f"GET /reports/{ID}", PAGE)
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", opened.append)
    assert mlengine("reports", "open", ID).exit_code == 0
    (file,) = opened
    assert Path(file).read_bytes() == PAGE


def test_what_others_wrote_cant_command_the_terminal(mlengine: Mlengine, script: Script) -> None:
    hostile = {**answer("report_succeeded"), "summary": "\x1b[2Jgone", "notes": ["\x1b]0;x\x07"]}
    script.answers(STATE, hostile)
    assert "\x1b" not in mlengine("reports", "show", ID).stdout


def test_where_there_are_none_it_says_of_what(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /reports", {"reports": [], "cursor": None})
    assert mlengine("reports").stdout == "No reports yet.\nNext: mlengine reports make weekly\n"
    shown = mlengine("reports", "--kind", "drift").stdout
    assert shown == "No reports of kind 'drift' yet.\nNext: mlengine reports make drift\n"
