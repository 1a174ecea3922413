"""Views of scorings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import facts, failures, heading, status
from shared.cli.views.text import NOTHING, counted, number, seconds_between, span, to_the_minute, when


def scorings(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """All scorings, the newest first."""
    if document["scorings"]:
        yield Listing(_COLUMNS, map(_row, document["scorings"]))
    else:
        yield Text("No scorings yet.")


_COLUMNS: Final = (
    Column("Scoring", style="bold"),
    Column("Status"),
    Column("Created", rank=1),
    Column("Took", rank=2),
    Column("Model", rank=1),
    Column("What", least=16),
)


def _row(scoring: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return (
        scoring["scoring_id"],
        status(scoring["status"]),
        to_the_minute(scoring["created_at"]),
        _took(scoring),
        scoring["model_id"],
        scoring["error"] or _asked(scoring["request"]),
    )


def _took(scoring: Mapping[str, Any]) -> str:
    return span(seconds_between(scoring["started_at"], scoring["finished_at"]))


def _asked(request: Mapping[str, Any]) -> str:
    """`all stored symbols, from 2020-01-31`, or `the rows of inputs/2024/`"""
    if "input" in request:
        return f"the rows of {request['input']}"
    symbols = request["symbols"]
    who = ", ".join(symbols) if len(symbols) <= 3 else f"{symbols[0]}, {symbols[1]}, ... ({len(symbols)})"
    window = [
        f"{word} {when(request[key])}" for word, key in (("from", "start"), ("to", "end")) if request[key]
    ]
    return ", ".join([who or "all stored symbols", " ".join(window) or "the newest candles"])


def scoring(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One scoring with its tasks, its files and what failed."""
    yield Text.assemble((document["scoring_id"], "bold"), "  ", status(document["status"]))
    yield _facts(document)
    if document["tasks"]:
        yield heading("Tasks")
        yield Listing(_TASK_COLUMNS, map(_task_row, document["tasks"]))
    yield from _failed(document)
    if document["error"]:
        yield Text.assemble(("The scoring failed: ", "bold red"), document["error"])
    yield _total(document)


def _facts(document: Mapping[str, Any]) -> RenderableType:
    return facts(
        (
            ("asked for", _asked(document["request"])),
            ("model", document["model_id"]),
            ("created", when(document["created_at"])),
            ("took", _took(document)),
            ("files", f"scores/{document['scoring_id']}/" if document["progress"]["rows"] else ""),
        )
    )


_TASK_COLUMNS: Final = (
    Column("Task", justify="right"),
    Column("Status"),
    Column("Of", justify="right"),
    Column("Scored", justify="right"),
    Column("Failed", justify="right"),
    Column("Rows", justify="right"),
    Column("Parts", rank=1, justify="right"),
    Column("Attempts", rank=2, justify="right"),
    Column("Error", least=8),
)


def _task_row(task: Mapping[str, Any]) -> tuple[str | Text, ...]:
    counts = (task[name] for name in ("items", "scored", "failed", "rows"))
    return (
        str(task["index"]),
        status(task["status"]),
        *map(number, counts),
        number(len(task["parts"])),
        number(task["attempts"]),
        task["error"] or NOTHING,
    )


def _failed(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    errors = [error for task in document["tasks"] for error in task["errors"]]
    yield from failures([_failure(error) for error in errors])
    more = document["progress"]["failed"] - len(errors)
    if more > 0:
        files = ", ".join(task["errors_file"] for task in document["tasks"] if task["errors_file"])
        yield Text(f"... and {more} more" + (f": see {files}" if files else ""), style="dim")


def _failure(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """A symbol with its error, or a row with its faults."""
    if "symbol" in error:
        return {"symbol": error["symbol"], "error": error}
    told = "; ".join(f"{fault['pointer'][1:]} {fault['detail']}".strip() for fault in error["errors"])
    return {"symbol": f"{error['file']}, row {error['row']}", "error": {"title": "Bad row", "detail": told}}


def _total(document: Mapping[str, Any]) -> Text:
    progress, unit = document["progress"], document["unit"]
    scores, scored = counted(progress["rows"], "scores"), counted(progress["scored"], unit)
    return Text(f"{scores} of {scored}, {counted(progress['failed'], unit)} failed.")


def cancelled(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """What became of the wish to stop a scoring."""
    is_stopping = not document["finished_at"]
    state = "will stop soon" if is_stopping else f"has ended: {document['status']}"
    yield Text(f"Scoring {document['scoring_id']} {state}.")
