"""Statements in BigQuery's SQL: what is let through, and the same in DuckDB's.

A statement is let through by a list of what it may consist of, not by a list of what is forbidden. Left out
are what writes, what reads anything but the two names of the table, and what the two places don't answer
alike: weeks that begin on a Sunday, differences of times in units that are cut off, samples.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from shared.errors import InvalidInput
from shared.monitoring.warehouse.table import TABLE, Table

if TYPE_CHECKING:
    from sqlglot import exp

MAX_LENGTH: Final = 20_000

_CLAUSES: Final = """
    Add Alias All And Any Array Between Boolean Bracket CTE Case Cast Column ColumnDef DPipe DataType
    Distinct Div Dot EQ Except Exists From GT GTE Group Having Identifier If IgnoreNulls In Intersect
    Interval Is Join LT LTE Like Limit Literal Mod Mul NEQ Neg Not Null NullSafeEQ NullSafeNEQ Offset Or
    Order Ordered Parameter Paren PropertyEQ Qualify RawString Rollup Select Star Struct Sub Subquery
    Table TableAlias TryCast Tuple Union Unnest Var WeekStart Where Window WindowSpec With
"""
_FUNCTIONS: Final = """
    Abs AnyValue ApproxDistinct ApproxQuantiles ArrayAgg ArrayConcat ArraySize ArrayToString Avg Ceil
    Coalesce Concat Corr Count CountIf CovarPop CovarSamp CumeDist CurrentDate CurrentTimestamp Date
    DateAdd DateDiff DateSub DateTrunc DenseRank EndsWith Exp Extract FirstValue Floor GenerateSeries
    Greatest GroupConcat IntDiv IsInf IsNan JSONExtract JSONExtractArray JSONExtractScalar JSONPath
    JSONPathKey JSONPathRoot JSONPathSubscript JSONValueArray Lag LastValue Lead Least Length Ln Log
    LogicalAnd LogicalOr Lower Max Min NthValue Ntile Nullif PercentRank PercentileCont Pow Rank
    RegexpExtract RegexpLike Replace Round RowNumber SafeDivide Sign Split Sqrt StartsWith Stddev
    StddevPop StddevSamp StrPosition Substring Sum TimeToStr Timestamp TimestampAdd TimestampSub
    TimestampTrunc Trim TsOrDsToDate TsOrDsToTimestamp UnixMillis Upper Variance VariancePop
"""
_WORDS: Final = "YEAR QUARTER MONTH DAY HOUR MINUTE SECOND MILLISECOND MICROSECOND DATE DAYOFYEAR MONDAY"
_ALLOWED: Final = frozenset(_CLAUSES.split()) | frozenset(_FUNCTIONS.split())
_UNITS: Final = frozenset(_WORDS.split())


def duckdb_sql(sql: str, parameters: Iterable[str] = (), table: Table = TABLE) -> str:
    """A statement in BigQuery's SQL as DuckDB's, after checking that it only reads the table.

    `parameters` are the names that it may use as `@name`; they are `$name` in the outcome.

    Raises:
        InvalidInput: not one SELECT, or something in it that isn't let through; it says what.
    """
    import sqlglot
    from sqlglot.errors import UnsupportedError

    statement = _parsed(sql)
    _check(statement, frozenset(parameters), table)
    try:
        return _with_dates(_with_offsets_from_zero(statement), table).sql(
            "duckdb", identify=True, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    except (UnsupportedError, RecursionError) as error:
        raise InvalidInput(f"Only BigQuery itself can answer this: {_first_line(error)}") from error


def _parsed(sql: str) -> exp.Expr:
    """One SELECT, whatever it reads."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_LENGTH:
        raise InvalidInput(f"A statement has at most {MAX_LENGTH:,} characters, found {len(sql):,}.")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what is refused below
    try:
        found = [statement for statement in sqlglot.parse(sql, read="bigquery") if statement is not None]
    except (SqlglotError, RecursionError) as error:
        raise InvalidInput(f"This isn't a statement in BigQuery's SQL: {_first_line(error)}") from error
    if len(found) != 1:
        raise InvalidInput(f"Expected one statement, found {len(found)}.")
    if not isinstance(found[0], exp.Query):
        raise InvalidInput(f"Only SELECT is answered, found {_name(found[0])}.")
    return found[0]


def bq_command(
    sql: str,
    parameters: Mapping[str, int],
    *,
    project: str,
    location: str,
    output_format: str,
    limit: int,
    table: Table = TABLE,
) -> str:
    """The line that asks BigQuery the same, for a shell.

    Raises:
        InvalidInput: it isn't one SELECT. BigQuery may answer more than is answered here.
    """
    _parsed(sql)
    facts = {
        "project_id": project,
        "location": location,
        "dataset_id": table.dataset,
        "format": output_format,
    }
    words = ["bq", *(f"--{name}={value}" for name, value in facts.items() if value)]
    words += ["query", "--use_legacy_sql=false", f"--max_rows={limit}"]
    words += [f"--parameter={name}:INT64:{value}" for name, value in parameters.items()]
    return shlex.join([*words, sql.strip()])


def _check(statement: exp.Expr, parameters: frozenset[str], table: Table) -> None:
    from sqlglot import exp

    for node in statement.walk():
        if isinstance(node, exp.Anonymous):
            raise InvalidInput(f"The function {node.name} isn't answered here.")
        if type(node).__name__ not in _ALLOWED:
            raise InvalidInput(f"{_name(node)} isn't answered here.")
        if isinstance(node, exp.Table):
            _check_table(node, table)
        elif isinstance(node, exp.Parameter):
            if node.name not in parameters:
                raise InvalidInput(f"The parameter @{node.name} isn't given.")
        elif isinstance(node, exp.Var) and not isinstance(node.parent, exp.Parameter):
            _check_word(node)


def _check_table(node: exp.Table, table: Table) -> None:
    from sqlglot import exp

    ours = {table.name, table.view} | _named_by_with(node)
    if not isinstance(node.this, exp.Identifier) or node.db or node.catalog or node.name not in ours:
        raise InvalidInput(
            f"There is no table {node.sql('bigquery')[:80]} here: there are {table.view} and {table.name}."
        )


def _named_by_with(node: exp.Expr) -> set[str]:
    """The names that WITH gives where the node stands: elsewhere DuckDB may have a table of that name."""
    from sqlglot import exp

    names: set[str] = set()
    while (parent := node.parent) is not None:
        if isinstance(parent, exp.With):
            before = None if parent.args.get("recursive") else node.index
            names |= {one.alias for one in parent.expressions[:before]}
        elif isinstance(parent, exp.Query) and not isinstance(node, exp.With):
            names |= {one.alias for one in parent.ctes}
        node = parent
    return names


def _check_word(node: exp.Var) -> None:
    if node.name.upper() not in _UNITS:
        raise InvalidInput(
            f"{node.name.upper()[:40]} isn't answered here; of units there are {_listed(_UNITS)}."
        )


def _with_offsets_from_zero(statement: exp.Expr) -> exp.Expr:
    """`UNNEST(a) AS v WITH OFFSET AS o` with its offset counted from 0; DuckDB's own counts from 1."""
    from sqlglot import exp

    for number, unnest in enumerate(list(statement.find_all(exp.Unnest))):
        offset = unnest.args.get("offset")
        if not offset:
            continue
        join = unnest.parent if isinstance(unnest.parent, exp.Join) else None
        if join is not None and join.side:
            raise InvalidInput("WITH OFFSET is answered in a CROSS JOIN only.")
        named = unnest.args["alias"].columns if unnest.args.get("alias") else []
        [array] = unnest.expressions
        places = exp.func("RANGE", exp.func("LEN", array.copy()))
        row = exp.select(
            exp.alias_(exp.Explode(this=array.copy()), named[0] if named else "value"),
            exp.alias_(exp.Explode(this=places), offset if isinstance(offset, exp.Identifier) else "offset"),
        ).subquery()
        alias = exp.TableAlias(this=exp.to_identifier(f"unnested_{number}"))
        if join is not None:
            unnest.replace(exp.Lateral(this=row, alias=alias))
        else:
            row.set("alias", alias)
            unnest.replace(row)
    return statement


def _with_dates(statement: exp.Expr, table: Table) -> exp.Expr:
    """What is reckoned with dates is a date; DuckDB would make a time of it."""
    from sqlglot import exp

    times = {column.name for column in table.columns if column.type == "TIMESTAMP"}
    for reckoned in list(statement.find_all(exp.DateAdd, exp.DateSub, exp.DateTrunc)):
        if isinstance(reckoned.this, exp.Column) and reckoned.this.name in times:
            raise InvalidInput(f"{_name(reckoned)} takes a date here: DATE({reckoned.this.name}).")
        reckoned.replace(exp.cast(reckoned.copy(), exp.DataType.Type.DATE))
    return statement


def _name(node: exp.Expr) -> str:
    """What people call it."""
    from sqlglot import exp

    if isinstance(node, exp.Func):
        return f"The function {node.sql_name()}"
    return type(node).__name__.upper()


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _first_line(error: BaseException) -> str:
    import re

    text = str(error).partition("\n")[0] or type(error).__name__
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
