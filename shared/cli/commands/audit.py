"""`audit query` and `audit questions`: the warehouse of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from shared.cli.problem import problem, wrong_usage
from shared.cli.session import Session, command
from shared.errors import EngineError

if TYPE_CHECKING:
    from shared.monitoring.warehouse import Answer

PANEL: Final = "Predictions"


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(
        help="The warehouse: every prediction as a row, for questions in SQL.", no_args_is_help=True
    )
    command(group_app, "query")(query)
    command(group_app, "questions")(list_questions)
    app.add_typer(group_app, name="audit", rich_help_panel=PANEL)


def query(
    session: Session,
    sql: Annotated[
        str | None,
        typer.Argument(metavar="[SQL]", help="One SELECT in BigQuery's SQL, from the table predictions."),
    ] = None,
    question: Annotated[
        str | None, typer.Option(metavar="NAME", help="A stored question: 'mlengine audit questions'.")
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=3650, help="How far back it looks; in SQL of one's own, @days.")
    ] = 30,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many rows.")] = 100,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Ask the predictions a question in SQL.

    For an engine in the cloud, print the line that asks BigQuery.
    """
    if (sql is None) == (question is None):
        raise wrong_usage("Give either one SELECT, or --question with the name of a stored one.")
    if as_csv and session.output.as_json:
        raise wrong_usage("Give either --csv or --json.")
    with _problems():
        asked = sql if sql is not None else _stored(question or "")
        if _is_in_the_cloud(session):
            _show_command(session, asked, days, limit, as_csv=as_csv)
            return
        answer = _answer(session, asked, days, limit)
    _show(session, answer, as_csv=as_csv)


def _is_in_the_cloud(session: Session) -> bool:
    """Whether the engine that is spoken to keeps its rows in BigQuery, not on this machine."""
    return session.installation.setting("PLATFORM") == "gcp" or not session.client.target.is_here


def _stored(name: str) -> str:
    from shared.monitoring.warehouse import question

    return question(name).sql


def _answer(session: Session, sql: str, days: int, limit: int) -> Answer:
    from shared.monitoring.warehouse import FOLDER, Warehouse
    from shared.platform.emulated import FOLDER as EMULATORS
    from shared.platform.emulated import running_emulators

    home = session.installation.home
    below = home / EMULATORS if running_emulators(home) else home
    return Warehouse(below / FOLDER).query(sql, {"days": days}, limit=limit)


def _show(session: Session, answer: Answer, *, as_csv: bool) -> None:
    if as_csv:
        _write_csv(answer)
    else:
        from shared.cli.views.audit import rows

        document = {
            "columns": list(answer.columns),
            "rows": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows],
            "more": answer.is_more,
        }
        session.output.show(document, rows)
    if answer.is_more:
        session.output.note(f"There is more: these are the first {len(answer.rows):,} rows (--limit).")


def _write_csv(answer: Answer) -> None:
    import csv
    import json
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([json.dumps(v) if isinstance(v, (bool, list, dict)) else v for v in row])


def _show_command(session: Session, sql: str, days: int, limit: int, *, as_csv: bool) -> None:
    from shared.monitoring.warehouse import bq_command

    kinds = {"csv": as_csv, "json": session.output.as_json}
    line = bq_command(
        sql,
        {"days": days} if "@days" in sql else {},
        project=session.installation.setting("GOOGLE_CLOUD_PROJECT") or "",
        location=session.installation.setting("GOOGLE_CLOUD_REGION") or "",
        output_format=next((kind for kind, is_asked in kinds.items() if is_asked), "pretty"),
        limit=limit,
    )
    session.output.show_line({"command": line, "sql": sql}, line)
    session.output.note("That engine's predictions are in BigQuery: this line asks them.")


@contextmanager
def _problems() -> Iterator[None]:
    """What the warehouse refuses, in the shape of the server's problems."""
    try:
        yield
    except EngineError as error:
        raise problem(error.slug, error.title, error.detail) from error
    except ModuleNotFoundError as error:
        raise problem(
            "not-installed",
            "A package is missing",
            f"The package {error.name} isn't installed: questions are answered where the twin is.",
            next_command="make up",
        ) from error


def list_questions(session: Session) -> None:
    """List the stored questions."""
    from shared.cli.views.audit import questions as view
    from shared.monitoring.warehouse import questions

    document = {"questions": [{"name": q.name, "title": q.title, "sql": q.sql} for q in questions()]}
    session.output.show(document, view)
    session.output.suggest("mlengine audit query --question <name>")
