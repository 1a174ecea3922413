"""`problem`: from a file of rows to a declared problem that can be trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from shared.cli.client import Document, path_part
from shared.cli.commands.training import PANEL
from shared.cli.declarations import DeclaredFile, arrow, check_rows, read_declaration, read_rows, refusals
from shared.cli.problem import problem, wrong_usage
from shared.cli.session import Session, command

if TYPE_CHECKING:
    from shared.problems.declared.desk import Format

MEDIA_TYPES: Final = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}

Name = Annotated[str, typer.Argument(help="A problem's name, as 'mlengine problem list' lists it.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The problem's YAML file.")]
LeaveOut = Annotated[
    bool, typer.Option("--leave-out-bad-rows", help="Take the file without the rows that don't fit.")
]


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(help="What there is to learn: init, check, apply, list, show, delete.")
    for name, handler in (
        ("init", init),
        ("check", check),
        ("apply", apply),
        ("list", list_problems),
        ("show", show),
        ("delete", delete),
    ):
        command(group_app, name)(handler)
    app.add_typer(group_app, name="problem", rich_help_panel=PANEL, no_args_is_help=True)


def init(
    session: Session,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A file of rows, .csv or .parquet.")],
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What is to be predicted. None: it is guessed.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The problem's name. None: the file's.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it. Else <name>.yaml beside the data."),
    ] = None,
) -> None:
    """Draft a problem from its file of rows: columns, ranges, categories, target."""
    rows = read_rows(data)
    chosen = name or _named_like(data)
    from shared.problems.declared.declaration import NAME

    if not re.fullmatch(NAME, chosen):
        raise wrong_usage(
            f"A problem's name is small letters, digits and '_', and begins with a letter; found {chosen!r}."
        )
    file = output or data.with_name(f"{chosen}.yaml")
    with refusals(), arrow():
        from shared.problems.declared.drafting import draft
        from shared.tabular.table import read_table

        drafted = draft(read_table(*rows), name=chosen, data=_seen_from(file, data), target=target)
    try:
        with file.open("x") as new:
            new.write(drafted.text)
    except FileExistsError as error:
        raise wrong_usage(f"{file} is there already: name another place with --output.") from error
    except OSError as error:
        raise problem("not-saved", "Not saved", f"{file} can't be written: {error}.") from error
    from shared.cli.views.problems import drafted as view

    document = {
        "name": chosen,
        "file": str(file),
        "target": drafted.target,
        "target_is_guess": drafted.is_guess,
        "target_doubt": drafted.doubt,
        "left_out": drafted.left_out,
    }
    session.output.show(document, view)
    session.output.suggest(f"mlengine problem check {file}")


def check(
    session: Session,
    file: File,
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Its file of rows. None: the one that it names.")
    ] = None,
) -> None:
    """Say what is wrong with a problem's file, or with its rows. Nothing is sent anywhere."""
    declared = read_declaration(file)
    rows = data or declared.data
    name = declared.declaration.name
    document: Document = {"name": name, "file": str(file), "data": None, "fits": True}
    if rows is not None:
        checked = check_rows(declared.declaration, *read_rows(rows))
        few = {name: n for name, n in checked.classes.items() if n < declared.declaration.folds}
        document |= {
            "data": str(rows),
            "rows": checked.rows,
            "good": checked.good,
            "bad": checked.bad,
            "classes": dict(checked.classes),
            "too_few": few,
            "folds": declared.declaration.folds,
            "absent": list(checked.absent),
            "errors": [{"pointer": error.pointer, "detail": error.detail} for error in checked.errors],
            "fits": not checked.bad and not few,
        }
    from shared.cli.views.problems import checked as view

    session.output.show(document, view)
    if document["fits"]:
        session.output.suggest(f"mlengine problem apply {file}")
    else:
        session.fail()


def apply(session: Session, file: File, leave_out_bad_rows: LeaveOut = False) -> None:
    """Declare a problem, or change it, and upload its rows where they are a file here."""
    declared = read_declaration(file)
    path = f"/problems/{declared.declaration.name}"
    rows = None if declared.data is None else read_rows(declared.data)
    if rows is not None:  # first: to declare it lets go of the data that it has, where they don't fit
        _require_fit(declared, *rows, leave_out_bad_rows=leave_out_bad_rows)
    document = session.client.put(path, declared.declaration.canonical())
    if rows is not None:
        content, kind = rows
        bad_rows = "leave_out" if leave_out_bad_rows else "refuse"
        taken = session.client.put_file(f"{path}/data", content, MEDIA_TYPES[kind], bad_rows=bad_rows)
        document = {**taken["problem"], "bad_rows": taken["bad"]}
    from shared.cli.views.problems import applied

    session.output.show(document, applied)
    if document["data"] is not None:
        session.output.suggest(f"mlengine train --problem {declared.declaration.name} --activate")


def list_problems(session: Session) -> None:
    """List what there is to learn."""
    document = session.client.get("/problems")
    from shared.cli.views.problems import problems as view

    session.output.show(document, view)


def show(session: Session, name: Name) -> None:
    """Show one problem: columns, candidates, gates, data."""
    document = session.client.get(f"/problems/{path_part(name)}")
    from shared.cli.views.problems import shown

    session.output.show(document, shown)


def delete(session: Session, name: Name) -> None:
    """Take a declared problem away, with its schedule. Its models and files stay."""
    document = session.client.delete(f"/problems/{path_part(name)}")
    from shared.cli.views.problems import deleted

    session.output.show(document, deleted)


def _require_fit(declared: DeclaredFile, content: bytes, format: Format, *, leave_out_bad_rows: bool) -> None:
    """
    Raises:
        CliProblem: what the server would refuse of these rows.
    """
    checked = check_rows(declared.declaration, content, format)
    with refusals():
        checked.require_enough(declared.declaration.folds)
    if checked.bad and not leave_out_bad_rows:
        raise problem(
            "invalid-input",
            "Invalid input",
            f"{checked.bad} of {checked.rows} rows in {declared.data} don't fit {declared.path}, so nothing "
            "was changed: correct the rows or the columns, or give --leave-out-bad-rows.",
            next_command=f"mlengine problem check {declared.path}",
        )


def _named_like(data: Path) -> str:
    """A problem's name from a file's."""
    name = re.sub(r"[^a-z0-9]+", "_", data.stem.lower()).strip("_")[:40]
    return name if re.match(r"[a-z]", name) else f"problem_{name}".rstrip("_")


def _seen_from(file: Path, data: Path) -> str:
    """The data's path as the declaration's folder sees it."""
    if data.resolve().parent == file.resolve().parent:
        return data.name
    return str(data.resolve())
