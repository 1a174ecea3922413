"""What all commands share: options before and after, JSON, refusals, exit codes, a quick start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from shared.cli.app import app
from shared.cli.output import printable
from shared.cli.target import ROOT
from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]


def test_common_options_work_before_and_after_the_command(script: Script) -> None:
    script.answers("GET /predict", answer("predict"))
    script.answers("GET /models/a", answer("model"))
    for arguments in (
        ["--json", "--url", script.url, "--api-key", "k", "predict", "AAPL"],
        ["predict", "AAPL", "--json", "--url", script.url, "--api-key", "k"],
        ["models", "--json", "--url", script.url, "show", "a", "--api-key", "k"],
        ["--url", "http://wrong", "models", "--api-key", "k", "show", "a", "--url", script.url, "--json"],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)
        assert script.seen[-1].headers["x-api-key"] == "k"


def test_no_key_is_sent_where_there_is_none(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /predict", answer("predict"))
    assert mlengine("predict", "AAPL").exit_code == 0
    assert "x-api-key" not in script.seen[0].headers


@pytest.mark.parametrize("command", [["predict", "AAPL"], ["models"], ["runs"], ["ingest"], ["train"]])
def test_where_nobody_answers_it_says_how_to_start_the_twin(
    mlengine: Mlengine, free_url: str, command: Sequence[str]
) -> None:
    result = mlengine(*command, url=free_url)
    assert result.exit_code == 3
    assert f"The twin isn't running at {free_url}: start it with 'make up'." in " ".join(
        result.stderr.split()
    )
    assert result.stdout == ""


def test_where_nobody_answers_json_says_so_too(mlengine_json: Json, free_url: str) -> None:
    code, document = mlengine_json("models", url=free_url)
    assert code == 3
    assert document["type"] == "urn:mlengine:problem:unreachable"
    assert document["retryable"] is True


def test_a_refusal_tells_title_detail_fields_and_what_to_type(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /admin/train", answer("invalid_input"), status=422)
    script.answers("GET /predict", answer("no_active_model"), status=409)
    refused = mlengine("train")
    assert refused.exit_code == 1
    assert "Invalid input: The training request is not valid." in refused.stderr
    assert "/cv_folds  must be a whole number from 2 to 50, found 1" in refused.stderr
    assert "Next: mlengine train --activate" in mlengine("predict", "AAPL").stderr


def test_a_refusal_in_json_is_the_problem_document(mlengine_json: Json, script: Script) -> None:
    script.answers("GET /predict", answer("no_active_model"), status=409)
    assert mlengine_json("predict", "AAPL") == (1, answer("no_active_model"))


@pytest.mark.parametrize(
    ("recorded", "path", "expected"),
    [
        ("unauthenticated", "/fetch", "export MLENGINE_API_KEY=<key>"),
        ("gates_not_passed", "/models/activate/x-v2", "mlengine models report x-v2"),
    ],
)
def test_the_next_command_fits_the_refusal(
    mlengine: Mlengine, script: Script, recorded: str, path: str, expected: str
) -> None:
    script.answers("GET /predict", {**answer(recorded), "instance": path}, status=409)
    assert f"Next: {expected}" in mlengine("predict", "AAPL").stderr


@pytest.mark.parametrize(
    ("slug", "detail", "path", "expected"),
    [
        (
            "no-active-model",
            "No model is active for 'market-signal'.",
            "/predict",
            "mlengine train --activate",
        ),
        ("no-active-model", "No model is active for 'typo'.", "/predict/jobs", "mlengine models"),
        ("no-active-model", "No version of 'typo' is active.", "/models/typo/rollback", "mlengine models"),
        ("not-found", "There is no version 'typo-v1'.", "/predict", "mlengine models"),
        (
            "forbidden",
            "GET /auth/users needs role admin.",
            "/auth/users",
            "export MLENGINE_API_KEY=<a key of",
        ),
    ],
)
def test_the_next_command_fits_the_words_of_the_refusal(
    mlengine: Mlengine, script: Script, slug: str, detail: str, path: str, expected: str
) -> None:
    told = {"type": f"urn:mlengine:problem:{slug}", "detail": detail, "instance": path}
    script.answers("GET /predict", {**answer("no_active_model"), **told}, status=409)
    assert f"Next: {expected}" in mlengine("predict", "AAPL").stderr


@pytest.mark.parametrize(
    ("arguments", "route", "name"),
    [
        (["runs"], "GET /admin/train/status", "runs"),
        (["scorings"], "GET /predict/jobs", "scorings"),
        (["models"], "GET /models", "models"),
        (["models", "uploads"], "GET /models/uploads", "uploads"),
        (["predictions"], "GET /predictions/recent", "predictions"),
        (["reports"], "GET /reports", "reports"),
        (["alerts"], "GET /alerts", "alerts"),
        (["keys"], "GET /auth/keys", "keys"),
        (["users"], "GET /auth/users", "users"),
    ],
)
def test_a_group_that_lists_has_the_word_for_it_too(
    mlengine: Mlengine, mlengine_json: Json, script: Script, arguments: list[str], route: str, name: str
) -> None:
    nothing: dict[str, Any] = {name: [], "cursor": None}
    script.answers(route, nothing)
    assert mlengine_json(*arguments, "list", "--limit", "7") == (0, nothing)
    assert script.seen[-1].query["limit"] == "7"
    assert mlengine(*arguments, "list").stdout == mlengine(*arguments).stdout


def test_schedules_are_listed_by_that_word_too(mlengine_json: Json, script: Script) -> None:
    script.answers("GET /admin/schedules", answer("schedules"))
    assert mlengine_json("schedules", "list") == (0, answer("schedules"))


def test_a_group_that_does_not_list_has_no_such_word(mlengine: Mlengine) -> None:
    assert mlengine("drift", "list").exit_code == 2


@pytest.mark.parametrize(
    ("body", "status"), [(b"<html>hello</html>", 200), (b"<html>busy</html>", 503), (b"[1]", 200), (b"", 302)]
)
def test_something_else_on_that_port_is_named_for_what_it_is(
    mlengine: Mlengine, script: Script, body: bytes, status: int
) -> None:
    script.answers("GET /models", body, status=status)
    result = mlengine("models")
    assert result.exit_code == 1
    assert "That isn't ML Engine" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["predict"],
        ["predict", "AAPL", "--no-such-option"],
        ["features", "AAPL", "--lookback", "0"],
        ["features", "AAPL", "--lookback", "many"],
        ["promotions", "market-signal", "--at", "yesterday"],
        ["batch", "@/no/such/file"],
        ["models", "--url", "nonsense"],
        ["up"],
    ],
)
def test_wrong_usage_is_one_json_document_and_code_2(arguments: Sequence[str]) -> None:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["type"] == "urn:mlengine:problem:usage"


def test_wrong_usage_is_told_to_people_with_code_2() -> None:
    result = CliRunner().invoke(app, ["predict"])
    assert result.exit_code == 2
    assert "SYMBOL" in result.stderr.upper()


@pytest.mark.parametrize("as_json", [True, False])
def test_an_answer_of_a_wrong_shape_is_told_without_a_traceback(
    mlengine: Mlengine, script: Script, as_json: bool
) -> None:
    script.answers("POST /predict/batch", {"something": "else"})
    result = mlengine("batch", "AAPL", *(["--json"] if as_json else []))
    assert result.exit_code == 1
    assert "Internal error" in result.output
    assert "Traceback" not in result.output
    assert not as_json or json.loads(result.stdout)


def test_what_others_wrote_cannot_command_the_terminal(mlengine: Mlengine, script: Script) -> None:
    evil = {**answer("promotion"), "reason": "\x1b]0;gotcha\x07[red]\x9b31m"}
    script.answers("GET /models/a/promotions", {"promotions": [evil], "cursor": None})
    shown = mlengine("promotions", "a").stdout
    assert "[red]" in shown
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert printable({"a\x1b": ["b\nc\x00", 1, None]}) == {"a\ufffd": ["b\nc\ufffd", 1, None]}


HEAVY = ("numpy", "pyarrow", "sklearn", "pandas", "pydantic", "httpx", "shared.config", "infra", "rich.table")

_PROBE = f"import sys, shared.cli.app; print([name for name in {HEAVY!r} if name in sys.modules])"


def test_starting_loads_nothing_that_a_command_may_not_need() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert loaded.stdout == "[]\n"


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "shared.cli", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "Usage: mlengine" in shown.stdout


def test_a_terminal_that_knows_only_ascii_does_not_end_the_command(script: Script) -> None:
    script.answers("GET /predict", answer("predict"))
    command = [sys.executable, "-m", "shared.cli", "predict", "AAPL", "--url", script.url]
    shown = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=True, env={"PYTHONIOENCODING": "ascii"}
    )
    assert "up  P(up) 53.2%" in shown.stdout
