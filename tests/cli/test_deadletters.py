"""`deadletters list` and `deadletters replay`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared.cli.commands.deadletters import CHUNK_LETTERS
from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]

LIST, REPLAY = "GET /admin/deadletters", "POST /admin/deadletters/replay"
TRAINING, FETCH = (letter["id"] for letter in answer("deadletters")["dead_letters"])


def test_the_list_shows_when_who_and_why(
    mlengine: Mlengine, script: Script, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(LIST, answer("deadletters"))
    monkeypatch.setenv("COLUMNS", "160")
    result = mlengine("deadletters", "list", "--function", "training", "--limit", "7", "--cursor", "c")
    assert script.seen[0].query == {"state": "dead", "function": "training", "limit": "7", "cursor": "c"}
    shown = lines(result.stdout)
    assert (
        f"{TRAINING} 2024-05-02 09:31 dead training training.requested e1c0 5 422: /run_id: Field required"
        in shown
    )
    assert any(line.startswith(f"{FETCH} 2024-05-01 08:00 dead x2 fetch") for line in shown)
    assert shown[-1] == "Next: mlengine deadletters replay <letter>"
    assert result.exit_code == 0


def test_the_list_fits_a_narrow_terminal(
    mlengine: Mlengine, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers(LIST, answer("deadletters"))
    monkeypatch.setenv("COLUMNS", "100")
    shown = mlengine("deadletters", "list").stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert TRAINING in shown
    assert "training.requested" not in shown


def test_the_list_of_all_asks_for_the_replayed_too(mlengine: Mlengine, script: Script) -> None:
    letter = {**answer("deadletters")["dead_letters"][0], "state": "replayed", "topic": None}
    script.answers(LIST, {"dead_letters": [letter], "cursor": None})
    result = mlengine("deadletters", "list", "--all")
    assert script.seen[0].query == {"state": "all", "limit": "50"}
    assert "replayed" in result.stdout
    assert "Next" not in result.stdout


def test_nothing_given_up_is_said(mlengine: Mlengine, script: Script) -> None:
    script.answers(LIST, {"dead_letters": [], "cursor": None})
    assert mlengine("deadletters", "list").stdout == "No event was given up.\n"
    shown = mlengine("deadletters", "list", "--function", "drift").stdout
    assert shown == "No event of function 'drift' was given up.\n"


def test_a_list_that_goes_on_says_how(mlengine: Mlengine, script: Script) -> None:
    script.answers(LIST, {**answer("deadletters"), "cursor": "abc"})
    assert mlengine("deadletters", "list").stderr == "There is more: --cursor abc\n"


def test_each_letter_is_told_whether_it_was_replayed(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    script.answers(REPLAY, answer("deadletters_replayed"))
    result = mlengine("deadletters", "replay", TRAINING, FETCH)
    assert script.seen[0].body == {"ids": [TRAINING, FETCH]}
    shown = lines(result.stdout)
    assert f"✓ {TRAINING}" in shown
    assert any(line.startswith(f"✗ {FETCH} Conflict: The dead letter") for line in shown)
    assert "1 replayed, 1 failed." in shown
    assert shown[-1] == "Next: mlengine deadletters list --all"
    assert result.exit_code == 1


def test_all_are_replayed_page_by_page_in_chunks(mlengine_json: Json, script: Script) -> None:
    letter = answer("deadletters")["dead_letters"][0]
    ids = [f"{number:020x}" for number in range(CHUNK_LETTERS + 3)]
    letters = [{**letter, "id": id_} for id_ in ids]
    pages: list[dict[str, Any]] = [
        {"dead_letters": letters[:5], "cursor": "more"},
        {"dead_letters": letters[5:], "cursor": None},
    ]
    script.answers(LIST, *pages)
    good = {**answer("deadletters_replayed"), "succeeded": 2, "failed": 0}
    script.answers(REPLAY, good, {**good, "request_id": "the-last"})
    code, document = mlengine_json("deadletters", "replay", "--all", "--function", "training")
    asked = [seen.query for seen in script.requests(LIST)]
    assert asked == [
        {"state": "dead", "function": "training", "limit": "500"},
        {"state": "dead", "function": "training", "limit": "500", "cursor": "more"},
    ]
    assert [seen.body["ids"] for seen in script.requests(REPLAY)] == [
        ids[:CHUNK_LETTERS],
        ids[CHUNK_LETTERS:],
    ]
    assert code == 0
    assert document == {
        "results": good["results"] * 2,
        "succeeded": 4,
        "failed": 0,
        "request_ids": ["r7", "the-last"],
    }


def test_replaying_all_of_nothing_is_fine(mlengine: Mlengine, script: Script) -> None:
    script.answers(LIST, {"dead_letters": [], "cursor": None})
    result = mlengine("deadletters", "replay", "--all")
    assert (result.exit_code, result.stdout) == (0, "0 replayed, 0 failed.\n")
    assert script.requests(REPLAY) == []


@pytest.mark.parametrize(
    "arguments", [[], [TRAINING, "--all"], [TRAINING, "--function", "fetch"], ["--function", "fetch"]]
)
def test_what_to_replay_must_be_said_once(
    mlengine: Mlengine, script: Script, arguments: Sequence[str]
) -> None:
    assert mlengine("deadletters", "replay", *arguments).exit_code == 2
    assert script.seen == []


def test_a_refusal_names_the_next_command(mlengine: Mlengine, script: Script) -> None:
    script.answers(LIST, answer("unauthenticated"), status=401)
    result = mlengine("deadletters", "list")
    assert result.exit_code == 1
    assert "Next: export MLENGINE_API_KEY=<key>" in result.stderr
