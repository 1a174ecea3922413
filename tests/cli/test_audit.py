"""`audit query` and `audit questions`, on real files."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Mlengine
from tests.warehouse import keep, made

Json = Callable[..., tuple[int, Any]]
COUNT = "SELECT symbol, COUNT(*) AS n, MAX(stale) AS x FROM predictions GROUP BY symbol ORDER BY symbol"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with 60 predictions, ten of them delivered twice."""
    home = tmp_path / "home"
    monkeypatch.setenv("MLENGINE_HOME", str(home))
    data = made(60)
    keep(home, data[:30], data[20:])
    return home


@pytest.mark.usefixtures("home")
def test_a_query_is_shown_as_a_table(mlengine: Mlengine) -> None:
    result = mlengine("audit", "query", "SELECT COUNT(*) AS predictions FROM predictions")
    assert result.exit_code == 0, result.stderr
    shown = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert (shown[0], shown[-1]) == (["predictions"], ["60"])


@pytest.mark.usefixtures("home")
def test_a_query_in_json_has_columns_rows_and_whether_there_is_more(mlengine_json: Json) -> None:
    code, document = mlengine_json("audit", "query", COUNT, "--limit", "2")
    assert (code, document["columns"], document["more"]) == (0, ["symbol", "n", "x"], True)
    assert [row["symbol"] for row in document["rows"]] == ["AAPL", "BRK.B"]


@pytest.mark.usefixtures("home")
def test_a_query_in_csv_is_one_line_per_row(mlengine: Mlengine) -> None:
    result = mlengine("audit", "query", COUNT, "--csv", "--limit", "3")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["symbol"] for row in rows] == ["AAPL", "BRK.B", "GOOG"]
    assert rows[0]["x"] in {"true", "false"}
    assert "first 3 rows" in result.stderr


@pytest.mark.usefixtures("home")
def test_a_stored_question_is_asked_by_its_name(mlengine_json: Json) -> None:
    code, document = mlengine_json("audit", "query", "--question", "duplicates", "--days", "9")
    assert code == 0
    assert sum(row["predictions"] for row in document["rows"]) == 60
    assert sum(row["extra_rows"] for row in document["rows"]) == 10


@pytest.mark.usefixtures("home")
def test_a_query_of_ones_own_may_use_the_days_too(mlengine_json: Json) -> None:
    sql = "SELECT DATE_SUB(DATE '2024-01-31', INTERVAL @days DAY) AS day"
    assert mlengine_json("audit", "query", sql, "--days", "7")[1]["rows"] == [{"day": "2024-01-24"}]


def test_the_questions_are_listed(mlengine: Mlengine, mlengine_json: Json) -> None:
    assert "latency" in mlengine("audit", "questions").stdout
    names = [entry["name"] for entry in mlengine_json("audit", "questions")[1]["questions"]]
    assert {"daily", "models", "symbols", "latency", "stale"} <= set(names)


@pytest.mark.usefixtures("home")
def test_a_statement_that_does_more_than_read_is_refused(mlengine: Mlengine, mlengine_json: Json) -> None:
    result = mlengine("audit", "query", "DROP TABLE predictions")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Only SELECT is answered, found DROP" in result.stderr
    code, document = mlengine_json("audit", "query", "SELECT * FROM `/etc/passwd`")
    assert (code, document["type"]) == (1, "urn:mlengine:problem:invalid-input")


@pytest.mark.usefixtures("home")
def test_an_unknown_question_names_those_that_there_are(mlengine: Mlengine) -> None:
    result = mlengine("audit", "query", "--question", "late")
    assert result.exit_code == 1
    assert "latency" in result.stderr


@pytest.mark.parametrize(
    "given",
    [(), ("SELECT 1", "--question", "daily"), ("SELECT 1", "--csv", "--json"), ("SELECT 1", "--days", "0")],
)
def test_wrong_usage_is_told(mlengine: Mlengine, given: tuple[str, ...]) -> None:
    assert mlengine("audit", "query", *given).exit_code == 2


def test_a_warehouse_without_rows_answers_none(
    mlengine: Mlengine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLENGINE_HOME", str(tmp_path / "fresh"))
    assert mlengine("audit", "query", "--question", "daily").stdout == "No rows.\n"
    assert not (tmp_path / "fresh").exists()


@pytest.mark.usefixtures("home")
def test_what_others_wrote_does_not_reach_the_terminal(mlengine: Mlengine) -> None:
    result = mlengine("audit", "query", "SELECT 'a\\u001b[31mb' AS x")
    assert "\x1b" not in result.stdout
    assert "a\N{REPLACEMENT CHARACTER}[31mb" in result.stdout


@pytest.mark.parametrize("is_by_url", [True, False])
def test_for_an_engine_in_the_cloud_the_line_for_bigquery_is_shown(
    mlengine: Mlengine, monkeypatch: pytest.MonkeyPatch, is_by_url: bool
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "europe-west1")
    if not is_by_url:
        monkeypatch.setenv("PLATFORM", "gcp")
    options = {"url": "https://engine.example"} if is_by_url else {}
    result = mlengine("audit", "query", COUNT, "--limit", "7", **options)
    assert result.exit_code == 0
    assert "BigQuery" in result.stderr
    words = shlex.split(result.stdout)
    assert words[:4] == ["bq", "--project_id=my-project", "--location=europe-west1", "--dataset_id=mlengine"]
    assert words[4:] == ["--format=pretty", "query", "--use_legacy_sql=false", "--max_rows=7", COUNT]


def test_a_stored_question_for_bigquery_carries_its_days(
    mlengine_json: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM", "gcp")
    code, document = mlengine_json("audit", "query", "--question", "daily", "--days", "3")
    assert code == 0
    assert "--parameter=days:INT64:3" in shlex.split(document["command"])
    assert shlex.split(document["command"])[-1] == document["sql"].strip()


def test_for_bigquery_too_only_reading_is_written_down(
    mlengine: Mlengine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM", "gcp")
    assert mlengine("audit", "query", "DROP TABLE predictions").exit_code == 1
