"""`problem init`, `check`, `apply`, `list`, `show` and `delete`, against the functions that deploy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml
from typer.testing import CliRunner, Result

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from shared.cli.app import app
from shared.cli.target import ROOT
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.platform.connect import connect
from tests.cli.conftest import serving
from tests.problems.declarations import csv

KEY = "an-admin-key-for-tests"

Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in a folder of its own, where `churn.csv` lies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "churn.csv").write_bytes(csv(count=80))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--api-key", KEY], catch_exceptions=False)

    return run


@pytest.fixture
def there(run: Run, tmp_path: Path, clean_process: None) -> Iterator[Run]:
    """The command with an engine that it speaks to."""
    settings = load_settings(mlengine_home=tmp_path / "home", admin_api_key=KEY)
    use_instance(Instance(settings, connect(settings)))
    with serving(Gateway(read_catalogue())) as url:
        yield lambda *arguments: run(*arguments, "--url", url)


def drafted(run: Run, *options: str) -> dict[str, Any]:
    result = run("problem", "init", "churn.csv", *options)
    assert result.exit_code == 0, result.output
    read: dict[str, Any] = yaml.safe_load(Path("churn.yaml").read_text())
    return read


def change(**terms: Any) -> None:
    """Change terms of the drafted file."""
    read = yaml.safe_load(Path("churn.yaml").read_text())
    Path("churn.yaml").write_text(yaml.safe_dump({**read, **terms}, sort_keys=False))


def test_a_draft_says_what_the_columns_look_like(run: Run) -> None:
    terms = drafted(run)
    assert (terms["name"], terms["data"], terms["target"]["column"]) == ("churn", "churn.csv", "left")
    assert terms["columns"]["months"] == {"type": "integer", "minimum": 0, "nullable": False}
    assert terms["columns"]["plan"] == {"type": "category", "categories": ["basic", "plus"]}
    assert terms["columns"]["abroad"] == {"type": "boolean", "nullable": False}
    assert terms["target"]["classes"] == ["gone", "no", "yes"]
    assert "% missing" in Path("churn.yaml").read_text()


def test_a_draft_fits_its_own_data(run: Run) -> None:
    drafted(run)
    result = run("problem", "check", "churn.yaml")
    assert (result.exit_code, "80 of 80 rows" in result.stdout) == (0, True)
    assert "Next: mlengine problem apply churn.yaml" in result.stdout


def test_a_draft_overwrites_nothing(run: Run) -> None:
    drafted(run)
    result = run("problem", "init", "churn.csv")
    assert (result.exit_code, "there already" in result.stderr) == (1 + 1, True)
    assert run("problem", "init", "churn.csv", "-o", "other.yaml", "--name", "other").exit_code == 0
    assert yaml.safe_load(Path("other.yaml").read_text())["name"] == "other"


def test_another_target_may_be_named(run: Run) -> None:
    assert drafted(run, "--target", "plan")["target"]["column"] == "plan"
    result = run("problem", "init", "churn.csv", "-o", "x.yaml", "--target", "plann")
    assert (result.exit_code, "is 'plan' meant?" in result.stderr) == (1, True)
    result = run("problem", "init", "churn.csv", "-o", "x.yaml", "--target", "fee")
    assert "fractions" in result.stderr


def test_a_target_of_many_numbers_is_doubted(run: Run) -> None:
    Path("ages.csv").write_text("height,age\n" + "".join(f"{n % 7}.5,{n % 20}\n" for n in range(200)))
    result = run("problem", "init", "ages.csv", "--target", "age")
    assert result.exit_code == 0
    assert "20 different numbers: each becomes a class" in " ".join(result.stdout.split())
    assert "20 different numbers" in Path("ages.yaml").read_text()
    assert "different numbers" not in run("problem", "init", "churn.csv").stdout


@pytest.mark.parametrize("name", ["Bad Name", "7up", "a-b", "x" * 49])
def test_a_draft_has_a_name_that_can_be(run: Run, name: str) -> None:
    result = run("problem", "init", "churn.csv", "--name", name)
    assert (result.exit_code, "small letters" in " ".join(result.stderr.split())) == (2, True)
    assert not Path(f"{name}.yaml").exists()


def test_wrong_rows_are_shown_by_row_and_column(run: Run) -> None:
    drafted(run)
    with Path("churn.csv").open("a") as file:
        file.write("-1,x,basic,true,no\n")
    result = run("problem", "check", "churn.yaml")
    assert result.exit_code == 1
    assert "80 of 81 rows" in result.stdout
    shown = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "81 months must be an integer of at least 0, found '-1'" in shown
    assert "81 fee must be a number, found 'x'" in shown
    answer = json.loads(run("problem", "check", "churn.yaml", "--json").stdout)
    assert (answer["bad"], answer["fits"], answer["errors"][0]["pointer"]) == (1, False, "/80/months")


def test_other_rows_than_those_it_names_may_be_checked(run: Run) -> None:
    drafted(run)
    Path("new.csv").write_text("months,fee\n1,2\n")
    result = run("problem", "check", "churn.yaml", "new.csv")
    assert (result.exit_code, "lacks columns: abroad" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "isn't YAML"),
        ("- a", "must hold names with values"),
        ("name: a\nname: b", "'name' stands twice"),
        ("name: a\ncolumns:\n  x: number\n  x: number", "'x' stands twice in what begins at line 3"),
        ("!!python/object/apply:os.system [ls]", "isn't YAML"),
        ("name: a\ncolums: {}", "is 'columns' meant?"),
        ("target: {column: y, classes: [yes, no]}", "quotes"),
    ],
)
def test_a_wrong_file_is_refused_in_its_own_terms(run: Run, text: str, said: str) -> None:
    Path("wrong.yaml").write_text(text)
    result = run("problem", "check", "wrong.yaml")
    assert result.exit_code != 0
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("activate", "in the routes of models"),
        ("uploads", "in the routes of models"),
        ("heart_disease", "built in"),
    ],
)
@pytest.mark.parametrize("word", ["check", "apply"])
def test_a_name_that_cant_be_is_refused_before_anything_is_sent(
    run: Run, word: str, name: str, said: str
) -> None:
    drafted(run)
    change(name=name)
    result = run("problem", word, "churn.yaml", "--json")
    assert result.exit_code != 0
    assert said in result.output


def test_a_wrong_schedule_is_found_before_it_is_sent(run: Run) -> None:
    drafted(run)
    change(schedule="weekly")
    result = run("problem", "check", "churn.yaml")
    assert (result.exit_code, "/schedule" in result.stderr) == (1, True)


def test_a_problem_is_applied_listed_shown_and_deleted(there: Run) -> None:
    drafted(there)
    result = there("problem", "apply", "churn.yaml")
    assert result.exit_code == 0, result.output
    assert "80 rows" in result.stdout
    assert "Next: mlengine train --problem churn --activate" in result.stdout
    assert "churn" in there("problem", "list").stdout
    shown = there("problem", "show", "churn").stdout
    assert "Columns, to predict left" in shown
    assert "basic, plus" in shown
    assert "auc.low > 0.5" in shown
    answer = json.loads(there("problem", "apply", "churn.yaml", "--json").stdout)
    assert (answer["version"], answer["data"]["rows"]) == (2, 80)
    assert "is gone" in there("problem", "delete", "churn").stdout
    result = there("problem", "show", "churn")
    assert (result.exit_code, "mlengine problem list" in result.stderr) == (1, True)


def test_rows_that_dont_fit_are_left_out_on_demand(there: Run) -> None:
    drafted(there)
    with Path("churn.csv").open("a") as file:
        file.write("-1,x,basic,true,no\n")
    result = there("problem", "apply", "churn.yaml")
    assert (result.exit_code, "1 of 81 rows" in result.stderr) == (1, True)
    assert "--leave-out-bad-rows" in result.stderr
    result = there("problem", "apply", "churn.yaml", "--leave-out-bad-rows")
    assert (result.exit_code, "1 rows that don't fit were left out" in result.stdout) == (0, True)


def test_a_problem_that_works_keeps_its_data_where_new_terms_are_refused(there: Run) -> None:
    terms = drafted(there)
    assert there("problem", "apply", "churn.yaml").exit_code == 0
    before = there("problem", "show", "churn", "--json").stdout
    change(columns={**terms["columns"], "months": {"type": "integer", "minimum": 1_000}})
    assert there("problem", "apply", "churn.yaml").exit_code == 1
    change(columns=terms["columns"], folds=20)
    few = there("problem", "apply", "churn.yaml")
    assert (few.exit_code, "one per fold" in " ".join(few.stderr.split())) == (1, True)
    assert there("problem", "show", "churn", "--json").stdout == before


def test_without_arrow_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_bytes(csv())
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from shared.cli.app import app; app(['problem', 'init', 'churn.csv'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "pip install pyarrow" in " ".join(done.stderr.split())) == (1, True)
