"""`score` and `scorings`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from shared.cli.app import app
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.platform.connect import connect
from tests.cli.conftest import Mlengine, Script, answer, serving
from tests.cli.test_terminal import terminal
from tests.conftest import ADMIN_KEY as KEY
from tests.jobs.scored_rows import as_csv, rows_table
from tests.tabular_packages import registered_tabular

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]

ID = "5b1c7a90d3e24f18b6a2c4d8e0f13579"
STATUS = f"GET /predict/jobs/{ID}"


@pytest.fixture
def scoring(script: Script) -> Callable[[str], None]:
    """A scoring that is queued, works, and ends in the given state."""

    def ends(state: str) -> None:
        script.answers("POST /predict/jobs", answer("scoring_queued"), status=202)
        script.answers(STATUS, answer("scoring_running"), answer(f"scoring_{state}"))

    return ends


def test_only_what_was_given_is_asked_for(mlengine: Mlengine, script: Script, tmp_path: Path) -> None:
    script.answers("POST /predict/jobs", answer("scoring_queued"), status=202)
    mlengine("score", "--no-follow")
    assert script.seen[-1].body == {"model": "market-signal", "tasks": 1}
    (tmp_path / "symbols").write_text("IBM, GE\n")
    mlengine(
        *("score", "AAPL", f"@{tmp_path}/symbols", "--no-follow", "--model", "market-signal-v2"),
        *("--start", "2024-01-01", "--end", "2024-02-01", "--tasks", "4"),
    )
    assert script.seen[-1].body == {
        "symbols": ["AAPL", "IBM", "GE"],
        "model": "market-signal-v2",
        "start": "2024-01-01",
        "end": "2024-02-01",
        "tasks": 4,
    }


def test_a_list_of_no_symbols_is_not_taken_for_all(mlengine: Mlengine, script: Script) -> None:
    assert mlengine("score", "-", stdin=" \n").exit_code == 2
    assert script.seen == []


def test_rows_of_the_engines_files_are_asked_for(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /predict/jobs", answer("scoring_queued"), status=202)
    mlengine(
        *("score", "--model", "heart-disease", "--input", "inputs/2024/", "--id", "patient", "--id", "day"),
        *("--tasks", "3", "--no-follow"),
    )
    assert script.seen[-1].body == {
        "model": "heart-disease",
        "input": "inputs/2024/",
        "id_columns": ["patient", "day"],
        "tasks": 3,
    }


def test_bad_rows_are_shown_with_their_reasons(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    done = answer("scoring_succeeded")
    done["unit"], done["request"] = (
        "rows",
        {"input": "inputs/a.csv", "id_columns": [], "model": "m-v1", "tasks": 2},
    )
    fault = {"pointer": "/age", "detail": "must be an integer, found 'x'"}
    done["tasks"][0]["errors"] = [{"file": "inputs/a.csv", "row": 7, "errors": [fault]}]
    script.answers(STATUS, done)
    result = mlengine("scorings", "show", ID)
    shown = " ".join(" ".join(lines(result.stdout)).split())
    assert "asked for the rows of inputs/a.csv" in shown
    assert "inputs/a.csv, row 7 Bad row: age must be an integer, found 'x'" in shown
    assert "8,316 scores of 99 rows, 1 row failed." in shown


@pytest.mark.parametrize(
    ("name", "told"), [("a.txt", "must end in .csv or .parquet"), ("b.csv", "has 30,000,001 bytes")]
)
def test_a_file_that_can_not_be_sent_is_told(
    mlengine: Mlengine, script: Script, tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / name).write_bytes(bytes(30_000_001))
    result = mlengine("score", "--model", "m", "--input", str(tmp_path / name))
    assert (result.exit_code, told in " ".join(result.stderr.split())) == (2, True)
    assert script.seen == []


@pytest.mark.parametrize("name", ["typo.csv", "."])
def test_a_file_that_is_not_there_is_told(mlengine: Mlengine, script: Script, name: str) -> None:
    result = mlengine("score", "--model", "m", "--input", name)
    assert result.exit_code == 2
    assert f"{name} isn't a file here, nor one of the engine's (inputs/...)." in " ".join(
        result.stderr.split()
    )
    assert script.seen == []


def test_a_scoring_that_is_not_followed_is_named(
    mlengine: Mlengine, mlengine_json: Json, script: Script
) -> None:
    script.answers("POST /predict/jobs", answer("scoring_queued"), status=202)
    result = mlengine("score", "--no-follow")
    assert f"Next: mlengine scorings show {ID} --follow" in result.stdout
    assert "by market-signal-v2 is queued" in result.stderr
    assert mlengine_json("score", "--no-follow") == (0, answer("scoring_queued"))


def test_a_scoring_is_followed_to_its_end(
    mlengine: Mlengine, scoring: Callable[[str], None], lines: Lines
) -> None:
    scoring("succeeded")
    result = mlengine("score", "--start", "2024-01-01", "--tasks", "2")
    shown = lines(result.stdout)
    assert shown[0] == f"{ID} succeeded"
    assert "asked for all stored symbols, from 2024-01-01" in shown
    assert "took 1 min 10 s" in shown
    assert f"files scores/{ID}/" in shown
    assert "0 succeeded 50 49 1 4,116 2 1 -" in shown
    assert "1 succeeded 50 50 0 4,200 2 2 -" in shown
    assert "✗ NEWCO Not enough candles: NEWCO has 60 stored 1d candles; 159 are needed." in shown
    assert shown[-1] == f"Next: mlengine scorings save {ID}"
    assert shown[-2] == "8,316 scores of 99 symbols, 1 symbol failed."
    assert "scored 75 of 100 symbols; 1 of 2 tasks ended, 1 symbol failed" in result.stderr
    assert result.exit_code == 1  # one symbol has no scores


def test_it_succeeds_where_every_symbol_was_scored(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /predict/jobs", answer("scoring_queued"), status=202)
    done = answer("scoring_succeeded")
    done["progress"]["failed"], done["tasks"][0]["errors"] = 0, []
    script.answers(STATUS, done)
    assert mlengine("score").exit_code == 0


@pytest.mark.parametrize(
    ("state", "last"),
    [
        ("failed", "Next: mlengine doctor"),
        ("cancelled", f"Next: mlengine scorings save {ID}"),
    ],
)
def test_a_scoring_that_did_not_succeed_fails_the_command(
    mlengine: Mlengine, scoring: Callable[[str], None], lines: Lines, state: str, last: str
) -> None:
    scoring(state)
    result = mlengine("score")
    assert result.exit_code == 1
    assert lines(result.stdout)[-1] == last


def test_about_a_file_of_the_users_the_doctor_is_not_asked(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /predict/jobs", answer("scoring_queued"), status=202)
    error = "1 of 1 tasks failed; task 0: inputs/a.csv lacks columns: age. It has sex."
    script.answers(STATUS, {**answer("scoring_failed"), "error": error})
    result = mlengine("score")
    assert (result.exit_code, "Next" in result.stdout) == (1, False)


def test_a_failed_scoring_says_why(mlengine: Mlengine, scoring: Callable[[str], None]) -> None:
    scoring("failed")
    stdout = mlengine("score").stdout
    assert "The scoring failed: 1 of 2 tasks failed; task 1: The blobs are away." in stdout


def test_failures_that_are_not_shown_are_counted(mlengine: Mlengine, script: Script) -> None:
    done = answer("scoring_succeeded")
    done["progress"]["failed"] = 31
    script.answers(STATUS, done)
    stdout = mlengine("scorings", "show", ID).stdout
    assert f"... and 30 more: see scores/{ID}/errors/task=0.json" in stdout


def test_in_json_the_end_of_the_scoring_is_the_document(
    mlengine_json: Json, scoring: Callable[[str], None]
) -> None:
    scoring("succeeded")
    assert mlengine_json("score") == (1, answer("scoring_succeeded"))


def test_scorings_are_listed(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    few = answer("scoring_queued")
    few["request"] = {**few["request"], "symbols": ["AAPL", "IBM"], "start": None}
    many = {
        **few,
        "request": {**few["request"], "symbols": ["A", "B", "C", "D"], "end": "2024-02-01T00:00:00Z"},
    }
    script.answers("GET /predict/jobs", {"scorings": [answer("scoring_queued"), few, many], "cursor": "next"})
    result = mlengine("scorings", "--limit", "3")
    assert script.seen[0].query == {"limit": "3"}
    shown = " ".join(lines(result.stdout))
    assert f"{ID} queued" in shown
    assert "AAPL, IBM, the newest" in shown
    assert "There is more: --cursor next" in result.stderr
    wide = mlengine("scorings", "--json")
    assert wide.exit_code == 0


def test_no_scorings_is_said(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /predict/jobs", {"scorings": [], "cursor": None})
    assert mlengine("scorings").stdout == "No scorings yet.\n"


def test_a_scoring_can_be_followed_later(mlengine: Mlengine, scoring: Callable[[str], None]) -> None:
    scoring("succeeded")
    assert "8,316 scores" in mlengine("scorings", "show", ID, "--follow").stdout


@pytest.mark.parametrize(
    ("state", "told"), [("running", "will stop soon"), ("succeeded", "has ended: succeeded")]
)
def test_cancelling_tells_what_became_of_it(
    mlengine: Mlengine, script: Script, state: str, told: str
) -> None:
    script.answers(f"POST /predict/jobs/{ID}/cancel", answer(f"scoring_{state}"))
    assert mlengine("scorings", "cancel", ID).stdout == f"Scoring {ID} {told}.\n"


def test_a_person_sees_a_bar_and_may_cancel(script: Script) -> None:
    script.answers("POST /predict/jobs", answer("scoring_queued"), status=202)
    script.answers(STATUS, answer("scoring_running"))
    script.answers(f"POST /predict/jobs/{ID}/cancel", answer("scoring_running"))
    with terminal("score", "--url", script.url) as shown:
        shown.wait_for("75/100")
        shown.type(b"\x03")
        shown.wait_for("(c)ancel the scoring")
        script.answers(STATUS, answer("scoring_cancelled"))
        shown.type(b"c\n")
        shown.wait_for("cancelled")
        assert shown.end() == 1
    assert len(script.requests(f"POST /predict/jobs/{ID}/cancel")) == 1


def test_a_file_of_this_machine_is_sent_once_and_scored(tmp_path: Path) -> None:
    """Against the function as it deploys."""
    settings = load_settings(mlengine_home=tmp_path / "home", admin_api_key=KEY)
    instance = Instance(settings, connect(settings))
    registered_tabular(instance.registry)
    use_instance(instance)
    (tmp_path / "pa tients.csv").write_bytes(as_csv(rows_table(5)))
    arguments = ["score", "--model", "heart-disease-v1", "--input", str(tmp_path / "pa tients.csv")]
    with serving(Gateway(read_catalogue())) as url:
        for _ in range(2):
            common = ["--id", "patient", "--no-follow", "--url", url, "--api-key", KEY]
            result = CliRunner().invoke(app, [*arguments, *common])
            assert result.exit_code == 0, result.output
            assert "heart-disease-v1 is queued" in result.stderr
    (file,) = instance.platform.blobs.list("inputs/")
    assert file.name.startswith("inputs/pa-tients-")
    assert instance.platform.blobs.get(file.name) == (tmp_path / "pa tients.csv").read_bytes()
    asked = {one.request.to_data()["input"] for one in instance.scorings.list(limit=9, cursor=None).scorings}
    assert asked == {file.name}
