from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from infra.local.warehouse import _write_file
from shared.errors import InvalidInput, NotFound, PlatformUnavailable
from shared.monitoring.warehouse import FOLDER, TABLE, Warehouse, bq_command, question, questions, row_of
from shared.monitoring.warehouse.rows import arrow_table
from tests.warehouse import Data, keep, made, made_of_rows

ROOT = Path(__file__).resolve().parents[2]
NAMES = [one.name for one in questions()]
DATA = [*made(300), *made_of_rows(60)]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """300 predictions of symbols and 60 of rows in the last five days, 40 of them delivered twice."""
    return keep(tmp_path_factory.mktemp("rows"), DATA[:170], DATA[130:])


def asked(warehouse: Warehouse, sql: str, **options: Any) -> list[list[Any]]:
    return [list(row) for row in warehouse.query(sql, **options).rows]


def day(data: Data) -> str:
    return f"{datetime.fromisoformat(data['made_at']).astimezone(UTC):%Y-%m-%d}"


def groups(key: Callable[[Data], Any], data: Iterable[Data] = DATA) -> Mapping[Any, list[Data]]:
    found: dict[Any, list[Data]] = defaultdict(list)
    for one in data:
        found[key(one)].append(one)
    return found


def of_symbols(data: Iterable[Data] = DATA) -> list[Data]:
    return [one for one in data if "symbol" in one]


def share(data: Sequence[Data], signal: str) -> float | None:
    """None where there are no signals."""
    signals = [one["signal"] for one in of_symbols(data)]
    return signals.count(signal) / len(signals) if signals else None


def times(data: Iterable[Data], name: str = "made_at") -> list[str]:
    return sorted(datetime.fromisoformat(one[name]).isoformat() for one in data)


def distinct(data: Iterable[Data], name: str) -> int:
    return len({one[name] for one in data if name in one})


def percentile(data: Sequence[Data], share: float) -> float:
    """By linear interpolation."""
    values = sorted(one["latency_ms"] for one in data)
    place = share * (len(values) - 1)
    below: float = values[int(place)]
    above: float = values[min(int(place) + 1, len(values) - 1)]
    return float(below + (above - below) * (place - int(place)))


def daily() -> list[list[Any]]:
    return [
        [*key, len(them), *(share(them, s) for s in ("up", "down", "hold")), mean(them)]
        for key, them in groups(lambda d: (day(d), d["model_id"])).items()
    ]


def mean(data: Sequence[Data]) -> float:
    return float(statistics.fmean(one["probability"] for one in data))


def models() -> list[list[Any]]:
    return [
        [
            key,
            all(d["gates_passed"] for d in them),
            len(them),
            distinct(them, "symbol"),
            1,
            times(them)[0],
            times(them)[-1],
        ]
        for key, them in groups(lambda d: d["model_id"]).items()
    ]


def symbols() -> list[list[Any]]:
    found = []
    for key, them in groups(lambda d: d["symbol"], of_symbols()).items():
        signals = Counter(d["signal"] for d in them)
        counts = [signals[s] for s in ("up", "down", "hold")]
        found.append([key, len(them), *counts, times(them, "as_of")[-1], times(them)[-1]])
    return found


def labels() -> list[list[Any]]:
    rows = [one for one in DATA if "label" in one]
    return [
        [*key, len(them), mean(them)]
        for key, them in groups(lambda d: (day(d), d["model_id"], d["label"]), rows).items()
    ]


def latency() -> list[list[Any]]:
    return [
        [
            *key,
            len(them),
            *(percentile(them, p) for p in (0.5, 0.95, 0.99)),
            max(d["latency_ms"] for d in them),
        ]
        for key, them in groups(lambda d: (day(d), d["function"])).items()
    ]


def stale() -> list[list[Any]]:
    found = []
    for key, them in groups(day, of_symbols()).items():
        old = [d for d in them if d["stale"]]
        found.append([key, len(them), len(old), len(old) / len(them), distinct(old, "symbol")])
    return found


def probabilities() -> list[list[Any]]:
    steps = groups(lambda d: (d["model_id"], min(19, int(d["probability"] * 20)) / 20))
    return [[*key, len(them)] for key, them in steps.items()]


def callers() -> list[list[Any]]:
    return [
        [*key, len(them), distinct(them, "request_id"), distinct(them, "symbol"), times(them)[-1]]
        for key, them in groups(lambda d: (d["caller"], d["function"])).items()
    ]


def duplicates() -> list[list[Any]]:
    again = groups(day, DATA[130:170])
    return [
        [key, len(them), len(again.get(key, ())), len(again.get(key, ()))]
        for key, them in groups(day).items()
    ]


def missing() -> list[list[Any]]:
    found = []
    for key, them in groups(lambda d: d["feature_set_hash"]).items():
        rows = [json.loads(d["features"]) for d in them]
        counts = [sum(row[place] is None for row in rows) for place in range(6)]
        found += [[key, place, len(them), count] for place, count in enumerate(counts) if count]
    return found


EXPECTED: Mapping[str, Callable[[], list[list[Any]]]] = {
    one.__name__: one
    for one in (callers, daily, duplicates, labels, latency, missing, models, probabilities, stale, symbols)
}


def test_every_question_is_checked() -> None:
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_question_is_answered_as_plain_python_does(warehouse: Warehouse, name: str) -> None:
    def key(row: Sequence[Any]) -> str:
        return json.dumps([value for value in row if not isinstance(value, float)])

    found = sorted(asked(warehouse, question(name).sql, parameters={"days": 30}), key=key)
    expected = sorted(EXPECTED[name](), key=key)
    if name == "probabilities":
        found, expected = sorted(found), sorted(expected)
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-12) if _is_numeric(other) else row == _about(other)


def _is_numeric(row: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) for value in row)


def _about(row: Sequence[Any]) -> list[Any]:
    return [pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for v in row]


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_question_looks_back_as_far_as_it_is_told(warehouse: Warehouse, name: str) -> None:
    place = warehouse.query(question(name).sql, {"days": 30}).columns.index
    counted = "predictions"
    few = sum(row[place(counted)] for row in asked(warehouse, question(name).sql, parameters={"days": 1}))
    many = sum(row[place(counted)] for row in asked(warehouse, question(name).sql, parameters={"days": 30}))
    assert 0 < few < many


@pytest.mark.parametrize("sql", [*(q.sql for q in questions()), TABLE.view_sql], ids=[*NAMES, "view"])
def test_the_statements_fit_the_table_by_the_rules_of_bigquery(sql: str) -> None:
    """By sqlglot's: BigQuery itself wasn't asked."""
    columns = {column.name: column.type for column in TABLE.columns}
    schema: dict[str, object] = {TABLE.name: columns, TABLE.view: columns}
    parsed = sqlglot.parse_one(sql, read="bigquery")
    typed = annotate_types(qualify(parsed, schema=schema, dialect="bigquery"), schema, dialect="bigquery")
    assert isinstance(typed, sqlglot.exp.Select)
    unknown = [e.alias for e in typed.selects if not e.type or e.type.this == sqlglot.exp.DType.UNKNOWN]
    assert unknown == []


def test_a_question_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NotFound, match=r"'dayly'.*mean daily\?.*callers, daily"):
        question("dayly")
    with pytest.raises(NotFound):
        question("../questions/daily")


def test_every_column_says_what_it_holds_and_what_partitions_exists() -> None:
    facts = json.loads((ROOT / "shared/monitoring/warehouse/predictions.table.json").read_text())
    columns = {column.name: column for column in TABLE.columns}
    assert len(columns) == len(TABLE.columns)
    assert all(column.description.endswith(".") for column in TABLE.columns)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,299}", name) for name in columns)
    assert columns[facts["partitioning"]["field"]].type == "TIMESTAMP"
    assert columns[facts["partitioning"]["field"]].is_required
    assert set(facts["clustering"]) <= set(columns)
    assert len(facts["clustering"]) <= 4


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.none()), st.just({"a": 1})
)


@given(st.fixed_dictionaries({column.name: VALUES for column in TABLE.columns}))
def test_whatever_is_told_is_a_row_or_is_refused_by_column(data: Data) -> None:
    try:
        row = row_of(data)
    except InvalidInput as error:
        wrong = {one.pointer.removeprefix("/") for one in error.errors}
    else:
        wrong = set()
        assert arrow_table([row]).num_rows == 1
    assert wrong <= set(data)
    required = {column.name for column in TABLE.columns if column.is_required}
    assert wrong >= {name for name, value in data.items() if value is None} & required


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("symbol", 1),
        ("model_id", None),
        ("probability", "0.5"),
        ("probability", True),
        ("horizon", 1.5),
        ("horizon", 2**63),
        ("stale", 0),
        ("stale", "true"),
        ("made_at", "2024-01-02T00:00:00"),
        ("made_at", 1_700_000_000),
        ("made_at", "yesterday"),
        ("features", [1.0, None]),
    ],
)
def test_a_value_that_its_column_does_not_take_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{name} must be") as refusal:
        row_of({**DATA[0], name: value})
    assert [error.pointer for error in refusal.value.errors] == [f"/{name}"]


def test_a_member_without_a_column_is_dropped() -> None:
    assert row_of({**DATA[0], "later": 1}) == row_of(DATA[0])


def test_nothing_that_writes_or_reads_elsewhere_is_let_through(warehouse: Warehouse, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nopen sesame\n")
    refused = [
        "SELECT * FROM read_csv('<file>')",
        "SELECT * FROM read_text('<file>')",
        "SELECT * FROM '<file>'",
        "SELECT * FROM `<file>`",
        "SELECT (SELECT word FROM read_csv('<file>'))",
        "WITH x AS (SELECT * FROM read_csv('<file>')) SELECT * FROM x",
        "SELECT 1 UNION ALL SELECT * FROM `<file>`",
        "SELECT * FROM glob('*')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('memory_limit')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM mlengine.INFORMATION_SCHEMA.TABLES",
        "SELECT * FROM sqlite_master",
        "WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
        "WITH x AS (SELECT * FROM sqlite_master), sqlite_master AS (SELECT 1) SELECT * FROM x",
        "SELECT * FROM (WITH sqlite_master AS (SELECT 1) SELECT 2) AS x CROSS JOIN sqlite_master AS y",
        "SELECT * FROM other.predictions",
        "SELECT * FROM EXTERNAL_QUERY('c', 'SELECT 1')",
        "SELECT * FROM ML.PREDICT(MODEL m, TABLE predictions)",
        "ATTACH '<file>' AS other",
        "COPY predictions TO '<folder>/out.csv'",
        "EXPORT DATA OPTIONS(uri='<folder>/out') AS SELECT 1",
        "INSERT INTO predictions_made SELECT * FROM predictions",
        "DELETE FROM predictions_made WHERE TRUE",
        "CREATE TABLE x AS SELECT 1",
        "DROP TABLE predictions_made",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET memory_limit = '1TB'",
        "CALL x()",
        "DECLARE x INT64; SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE predictions_made",
        "SELECT @@version",
        "SELECT @other",
        "SELECT SESSION_USER()",
        "",
        "SELECT",
        "no SQL at all",
        "(" * 5_000,
        "SELECT " + "1," * 50_000 + "1",
    ]
    before = sorted(tmp_path.iterdir())
    for sql in refused:
        with pytest.raises(InvalidInput):
            warehouse.query(sql.replace("<file>", str(secret)).replace("<folder>", str(tmp_path)))
    assert sorted(tmp_path.iterdir()) == before


def test_the_database_itself_reads_and_writes_nothing_else(warehouse: Warehouse, tmp_path: Path) -> None:
    """What would be left if the list let something through."""
    import duckdb

    (tmp_path / "a.csv").write_text("a\n1\n")
    with warehouse._connection(warehouse._files()) as connection:
        for sql in (
            "SELECT * FROM read_csv('<folder>/a.csv')",
            "COPY (SELECT 1) TO '<folder>/b.csv'",
            "ATTACH '<folder>/c.db'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
            "SET allowed_directories = ['/']",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql.replace("<folder>", str(tmp_path)))
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 7 / 2", 3.5),
        ("SELECT DIV(7, 2)", 3),
        ("SELECT SAFE_DIVIDE(1, 0)", None),
        (r"SELECT 'it\'s'", "it's"),
        (r"SELECT REGEXP_CONTAINS('a1', r'\d')", True),
        ("SELECT EXTRACT(HOUR FROM t) FROM (SELECT TIMESTAMP '2024-01-02 23:30:00+00' AS t)", 23),
        ("SELECT DATE(TIMESTAMP '2024-01-02 23:30:00+00')", "2024-01-02"),
        ("SELECT DATE(TIMESTAMP '2024-01-02 23:30:00+00', 'Europe/Berlin')", "2024-01-03"),
        ("SELECT TIMESTAMP_TRUNC(TIMESTAMP '2024-01-02 23:30:00+00', HOUR)", "2024-01-02T23:00:00+00:00"),
        ("SELECT DATE_TRUNC(DATE '2024-01-07', WEEK(MONDAY))", "2024-01-01"),
        ("SELECT DATE_SUB(DATE_TRUNC(DATE '2024-01-07', MONTH), INTERVAL 1 DAY)", "2023-12-31"),
        ("SELECT JSON_VALUE('[1.5, null]', '$[0]')", "1.5"),
        ("SELECT JSON_VALUE('[1.5, null]', '$[1]')", None),
        ("SELECT STRING_AGG(v, '') FROM UNNEST(['a', 'b']) AS v", "ab"),
        ("SELECT v FROM UNNEST(['a', 'b']) AS v WITH OFFSET AS o WHERE o = 0", "a"),
        ("SELECT SUM(o) FROM predictions CROSS JOIN UNNEST([7, 8, 9]) AS v WITH OFFSET AS o", 1_080),
        ("SELECT x FROM (SELECT 1 AS x UNION ALL SELECT NULL) ORDER BY x LIMIT 1", None),
        ("SELECT COUNT(*) FROM predictions WHERE made_at > '2024-01-01' -- */ DROP TABLE x", 360),
        ("SELECT CAST('x' AS STRING) || SUBSTR('abc', 2, 1)", "xb"),
    ],
)
def test_bigquery_sql_means_here_what_it_means_there(warehouse: Warehouse, sql: str, expected: Any) -> None:
    assert asked(warehouse, sql)[0][0] == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT EXTRACT(DAYOFWEEK FROM made_at) FROM predictions",
        "SELECT DATE_TRUNC(DATE(made_at), WEEK) FROM predictions",
        "SELECT DATE_TRUNC(made_at, MONTH) FROM predictions",
        "SELECT TIMESTAMP_DIFF(made_at, as_of, HOUR) FROM predictions",
        "SELECT ARRAY_AGG(symbol LIMIT 3) FROM predictions",
        "SELECT * FROM predictions TABLESAMPLE SYSTEM (10 PERCENT)",
        "SELECT symbol, symbol FROM predictions",
        "SELECT nothing_of_the_kind FROM predictions",
    ],
)
def test_what_would_be_answered_otherwise_is_refused(warehouse: Warehouse, sql: str) -> None:
    with pytest.raises(InvalidInput):
        warehouse.query(sql)


def test_an_answer_is_cut_at_its_limit_and_says_so(warehouse: Warehouse) -> None:
    cut = warehouse.query("SELECT symbol FROM predictions", limit=10)
    assert (len(cut.rows), cut.is_more) == (10, True)
    whole = warehouse.query("SELECT symbol FROM predictions", limit=360)
    assert (len(whole.rows), whole.is_more) == (360, False)


def test_a_question_that_takes_too_long_is_ended(warehouse: Warehouse) -> None:
    endless = "SELECT COUNT(*) FROM predictions a, predictions b, predictions c, predictions d, predictions e"
    with pytest.raises(InvalidInput, match=r"no answer within 0\.2 seconds"):
        warehouse.query(endless, timeout_seconds=0.2)


def test_a_warehouse_without_files_has_all_columns_and_no_rows(tmp_path: Path) -> None:
    answer = Warehouse(tmp_path / "none").query("SELECT * FROM predictions")
    assert list(answer.columns) == [column.name for column in TABLE.columns]
    assert answer.rows == []


def test_files_of_before_a_column_was_added_are_read_on(tmp_path: Path) -> None:
    keep(tmp_path, made(2, seed=8))
    old = arrow_table([row_of(one) for one in made(3, seed=9)]).drop_columns(["trace_id"])
    _write_file(tmp_path / FOLDER / TABLE.name / "date=2024-01-01", "old", old)
    rows = asked(Warehouse(tmp_path / FOLDER), "SELECT COUNT(*), COUNT(trace_id) FROM predictions")
    assert rows == [[5, 2]]


def test_a_folder_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    home = tmp_path / "it's [a] *home?"
    assert asked(keep(home, made(2)), "SELECT COUNT(*) FROM predictions") == [[2]]


def test_a_file_that_is_broken_is_told(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / TABLE.name / "date=2024-01-01"
    folder.mkdir(parents=True)
    (folder / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises((PlatformUnavailable, InvalidInput), match="broken"):
        Warehouse(tmp_path / FOLDER).query("SELECT * FROM predictions")


def test_the_line_for_bigquery_is_one_word_per_argument() -> None:
    line = bq_command(
        "SELECT 'a b' FROM predictions", {"days": 7}, project="p", location="eu", output_format="csv", limit=5
    )
    assert line == (
        "bq --project_id=p --location=eu --dataset_id=mlengine --format=csv query --use_legacy_sql=false "
        "--max_rows=5 --parameter=days:INT64:7 'SELECT '\"'\"'a b'\"'\"' FROM predictions'"
    )


_IMPORTS = (
    "import sys, shared.monitoring; print([m for m in ('duckdb','sqlglot','pyarrow') if m in sys.modules])"
)


def test_the_functions_that_watch_load_none_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORTS], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
