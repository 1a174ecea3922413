"""`alerts`: list, show, acknowledge, resolve, test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]

ALERT, TEST = answer("alert")["id"], answer("alert_test")["id"]
LIST, SHOW = "GET /alerts", f"GET /alerts/{ALERT}"


def test_the_list_shows_what_is_open(
    mlengine: Mlengine, script: Script, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(LIST, answer("alerts"))
    monkeypatch.setenv("COLUMNS", "180")
    result = mlengine("alerts", "--severity", "error", "--type", "drift", "--limit", "7", "--cursor", "c")
    assert script.seen[0].query == {
        "state": "open",
        "severity": "error",
        "type": "drift",
        "limit": "7",
        "cursor": "c",
    }
    shown = lines(result.stdout)
    assert (
        f"{ALERT} error active 2024-05-02 09:30 2024-05-02 11:30 3 drift "
        "market-signal meets other data than it was trained on"
    ) in shown
    assert any("critical acknowledged 2024-05-01 08:00" in line for line in shown)
    assert shown[-1] == f"Next: mlengine alerts show {ALERT}"


def test_the_list_fits_a_narrow_terminal(
    mlengine: Mlengine, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(LIST, answer("alerts"))
    monkeypatch.setenv("COLUMNS", "100")
    shown = mlengine("alerts").stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert ALERT in shown


def test_all_of_them_are_asked_for_without_a_state(mlengine: Mlengine, script: Script) -> None:
    script.answers(LIST, {"alerts": [], "cursor": None})
    assert mlengine("alerts", "--state", "all").stdout == "There is no alert.\n"
    assert script.seen[0].query == {"limit": "50"}
    assert mlengine("alerts", "--state", "lost").exit_code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "No alert is open."),
        (
            ["--severity", "error", "--type", "drift"],
            "No alert of severity 'error' and type 'drift' is open.",
        ),
        (["--state", "resolved"], "No alert is resolved."),
        (["--state", "all", "--type", "drift"], "There is no alert of type 'drift'."),
    ],
)
def test_where_there_are_none_it_says_of_what(
    mlengine: Mlengine, script: Script, options: list[str], said: str
) -> None:
    script.answers(LIST, {"alerts": [], "cursor": None})
    assert mlengine("alerts", *options).stdout == f"{said}\n"


def test_a_list_that_goes_on_says_how(mlengine: Mlengine, script: Script) -> None:
    script.answers(LIST, {**answer("alerts"), "cursor": "abc"})
    assert mlengine("alerts").stderr == "There is more: --cursor abc\n"


def test_one_alert_says_what_to_do_and_who_was_told(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers(SHOW, answer("alert"))
    shown = lines(mlengine("alerts", "show", ALERT).stdout)
    assert shown[0] == "error market-signal meets other data than it was trained on"
    assert any(line.startswith("What to do: Look at 'mlengine drift'") for line in shown)
    assert "seen 3 times, from 2024-05-02 09:30:12 to 2024-05-02 11:30:12" in shown
    assert "lengths 5" in shown
    assert any(line.startswith("✓ slack new, sent 2024-05-02 09:30:14") for line in shown)
    assert any("✗ pagerduty new, failing" in line for line in shown)
    assert shown[-1] == f"Next: mlengine alerts acknowledge {ALERT}"


def test_facts_are_lines_to_read(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    subject = {"subject": "AAPL", "kind": "candles", "missed_sessions": 9, "why": "9 sessions are missing"}
    windows = [{"length": 5, "verdict": "drift", "rows": None}, {"length": 20, "verdict": "ok", "rows": 40}]
    facts = {"worst": [subject, {**subject, "subject": "IBM"}], "windows": windows, "moved": ["gap", "macd"]}
    script.answers(SHOW, {**answer("alert"), "count": 1, "facts": facts})
    shown = lines(mlengine("alerts", "show", ALERT).stdout)
    assert any(line.startswith("seen 1 time, from") for line in shown)
    start = shown.index("worst AAPL: 9 sessions are missing")
    assert shown[start + 1 : start + 5] == [
        "IBM: 9 sessions are missing",
        "windows length 5, verdict drift",
        "length 20, verdict ok, rows 40",
        "moved gap, macd",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alert_acknowledged", "ann@example.com looks after it since 2024-05-01 08:10:00: on it"),
        ("alert_resolved", "over since 2024-05-02 12:00:00 by admin: trained anew"),
    ],
)
def test_one_alert_says_who_does_what(mlengine: Mlengine, script: Script, name: str, words: str) -> None:
    document = {**answer("alert"), **answer(name)}
    script.answers(f"GET /alerts/{document['id']}", document)
    result = mlengine("alerts", "show", document["id"])
    assert words in " ".join(result.stdout.split())
    assert "Next" not in result.stdout


def test_control_characters_of_others_are_not_obeyed(mlengine: Mlengine, script: Script) -> None:
    script.answers(SHOW, {**answer("alert"), "title": "\x1b[2Jcleared", "facts": {"\x1b[1m": "\x07"}})
    assert "\x1b" not in mlengine("alerts", "show", ALERT).stdout


def test_looking_after_an_alert(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    route = f"POST /alerts/{ALERT}/acknowledge"
    script.answers(route, answer("alert_acknowledged"))
    shown = lines(mlengine("alerts", "acknowledge", ALERT, "--note", "on it").stdout)
    assert script.requests(route)[0].body == {"note": "on it"}
    assert "is looked after by ann@example.com." in shown[0]
    mlengine("alerts", "acknowledge", ALERT)
    assert script.requests(route)[1].body == {}


def test_resolving_needs_a_reason(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    route = f"POST /alerts/{ALERT}/resolve"
    script.answers(route, answer("alert_resolved"))
    assert mlengine("alerts", "resolve", ALERT).exit_code == 2
    assert script.seen == []
    shown = lines(mlengine("alerts", "resolve", ALERT, "--why", "trained anew").stdout)
    assert script.requests(route)[0].body == {"why": "trained anew"}
    assert shown == [f"{ALERT} is over: trained anew"]


def test_a_refusal_names_the_next_command(mlengine: Mlengine, script: Script) -> None:
    problem = {"type": "urn:mlengine:problem:not-found", "title": "Not found", "detail": "No alert."}
    script.answers(SHOW, {**problem, "instance": f"/alerts/{ALERT}"}, status=404)
    result = mlengine("alerts", "show", ALERT)
    assert (result.exit_code, "Next: mlengine alerts\n" in result.stderr) == (1, True)


def told_so_far(*told: tuple[str, str], state: str = "active") -> dict[str, Any]:
    """The test's alert as it is shown once these channels have said something."""
    said = answer("alert")["told"]
    kept = [{**said[0], "channel": channel, "state": one, "error": None} for channel, one in told]
    return {**answer("alert"), **answer("alert_test"), "told": kept, "state": state}


def test_a_test_waits_until_it_was_told_and_is_resolved(
    mlengine_json: Json, mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    def prepare() -> None:
        script.answers("POST /alerts/test", answer("alert_test"), status=202)
        script.answers(f"GET /alerts/{TEST}", told_so_far(), told_so_far(("slack", "sent")))
        script.answers(f"POST /alerts/{TEST}/resolve", answer("alert_resolved"))

    prepare()
    code, document = mlengine_json("alerts", "test", "--channel", "slack")
    assert (code, [told["state"] for told in document["told"]]) == (0, ["sent"])
    assert script.requests("POST /alerts/test")[0].body == {"channel": "slack"}
    assert len(script.requests(f"GET /alerts/{TEST}")) == 2
    assert len(script.requests(f"POST /alerts/{TEST}/resolve")) == 1
    prepare()
    assert any(line.startswith("✓ slack new, sent") for line in lines(mlengine("alerts", "test").stdout))


def test_a_test_that_fails_says_so(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers("POST /alerts/test", answer("alert_test"), status=202)
    script.answers(f"GET /alerts/{TEST}", told_so_far(("slack", "failing")))
    script.answers(f"POST /alerts/{TEST}/resolve", answer("alert_resolved"))
    result = mlengine("alerts", "test")
    assert result.exit_code == 1
    assert lines(result.stdout)[-1] == "Next: mlengine doctor"


def test_a_test_that_goes_nowhere_says_so(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /alerts/test", {**answer("alert_test"), "channels": []}, status=202)
    script.answers(f"GET /alerts/{TEST}", {**told_so_far(), "channels": []})
    script.answers(f"POST /alerts/{TEST}/resolve", answer("alert_resolved"))
    result = mlengine("alerts", "test")
    assert (result.exit_code, "ALERT_ROUTES sends" in result.stdout) == (0, True)
