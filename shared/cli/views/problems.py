"""Views of what there is to learn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import dim, facts, heading
from shared.cli.views.text import NOTHING, to_the_minute

Document = Mapping[str, Any]


def problems(document: Document) -> Iterable[RenderableType]:
    """All problems."""
    yield Listing(_COLUMNS, [_row(entry) for entry in document["problems"]])


_COLUMNS: Final = (
    Column("Problem", style="bold"),
    Column("Kind"),
    Column("Rows", justify="right"),
    Column("Classes", rank=1),
    Column("Metric", rank=1),
    Column("Schedule", rank=2),
    Column("Changed", rank=2),
    Column("Title", rank=1, least=20),
)


def _row(entry: Document) -> tuple[str | Text, ...]:
    data = entry["data"]
    return (
        entry["name"],
        f"{entry['kind']}, built in" if entry["built_in"] else entry["kind"],
        NOTHING if data is None else str(data["rows"]),
        ", ".join(entry["classes"]),
        entry["metric"],
        entry["schedule"] or NOTHING,
        NOTHING if entry["updated_at"] is None else to_the_minute(entry["updated_at"]),
        entry["title"],
    )


def shown(document: Document) -> Iterable[RenderableType]:
    """One problem with all of its terms."""
    yield from _head(document)
    if document["columns"]:
        yield heading(f"Columns, to predict {document['target']}")
        yield Listing(_TERMS, [_term(column) for column in document["columns"]])
    yield heading("Gates")
    for gate in document["gates"]:
        yield Text.assemble((f"{gate['quantity']} > {gate['bound']:g}", "bold"), f"  {gate['meaning']}")


_TERMS: Final = (
    Column("Column", style="bold"),
    Column("Type"),
    Column("Values", least=20),
    Column("Missing", rank=1),
    Column("Meaning", rank=2, least=20),
)


def _term(column: Document) -> tuple[str | Text, ...]:
    unit = column.get("unit", "")
    return (
        column["name"],
        column["type"],
        ", ".join(map(str, column.get("categories", ()))) or _range(column) or NOTHING,
        "may be" if column.get("nullable", True) else "never",
        " ".join(filter(None, [column.get("description", ""), f"[{unit}]" if unit else ""])),
    )


def _range(column: Document) -> str:
    low, high = column.get("minimum"), column.get("maximum")
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return "" if high is None else f"at most {high:g}"


def _head(document: Document) -> Iterable[RenderableType]:
    data = document["data"]
    yield Text(document["title"], style="bold")
    yield facts(
        [
            ("Problem", document["name"]),
            ("Kind", f"{document['kind']}{', built in' if document['built_in'] else ''}"),
            ("Models", document["model_name"]),
            ("Classes", ", ".join(document["classes"])),
            ("Metric", document["metric"]),
            ("Candidates", ", ".join(document["candidates"])),
            ("Schedule", document["schedule"]),
            ("Data", None if data is None else _data(data)),
            ("Source", document["source"]),
            ("Version", document["version"]),
            ("Changed", document["updated_at"] and _changed(document)),
        ]
    )


def _changed(document: Document) -> str:
    return f"{to_the_minute(document['updated_at'])} by {document['updated_by']}"


def _data(data: Document) -> str:
    classes = ", ".join(f"{name} {count}" for name, count in data["classes"].items())
    return f"{data['rows']} rows ({classes}), {data['blob']}"


def applied(document: Document) -> Iterable[RenderableType]:
    """A problem as it was just declared."""
    yield from _head(document)
    if document.get("bad_rows"):
        yield Text(f"{document['bad_rows']} rows that don't fit were left out.", style="yellow")
    if document["data"] is None:
        yield Text("It has no data yet: name a file under 'data' and apply it again.", style="yellow")


def drafted(document: Document) -> Iterable[RenderableType]:
    """A draft, and what its owner should look at."""
    yield Text.assemble("Drafted ", (document["name"], "bold"), f" in {document['file']}.")
    guess = ", a guess" if document["target_is_guess"] else ""
    yield Text.assemble("Target: ", (document["target"], "bold"), guess)
    if document["target_doubt"]:
        yield Text.assemble(("! ", "yellow"), document["target_doubt"])
    for column, why in document["left_out"].items():
        yield Text.assemble("Left out: ", (column, "bold"), f", {why}")
    yield dim("Look it through: what ranges are possible, which class is positive, what the licence is.")


def checked(document: Document) -> Iterable[RenderableType]:
    """What is wrong with a problem's rows, one line each."""
    yield Text.assemble(("✓ ", "green"), f"{document['file']} declares {document['name']} well.")
    if document["data"] is None:
        yield dim("It names no file of rows here, so none was looked at.")
        return
    mark = ("✗ ", "red") if document["bad"] else ("✓ ", "green")
    yield Text.assemble(mark, f"{document['good']} of {document['rows']} rows in {document['data']} fit.")
    yield facts((f"  {name}", f"{count} rows") for name, count in document["classes"].items())
    for name, count in document["too_few"].items():
        yield Text.assemble(
            ("✗ ", "red"),
            f"the class {name} has {count} rows, and each of {document['folds']} folds needs one: find more, "
            "have fewer folds, or let its values stand for another class.",
        )
    if document["absent"]:
        yield Text(f"Not in the file, so always missing: {', '.join(document['absent'])}.", style="yellow")
    if document["errors"]:
        yield Listing(_WRONG, [_wrong(error) for error in document["errors"]])
    if document["bad"] > len({error["pointer"].split("/")[1] for error in document["errors"]}):
        yield dim("There are more: these are the first.")
    if document["bad"]:
        yield dim("Correct the file or the columns; 'apply --leave-out-bad-rows' takes the rows that fit.")


_WRONG: Final = (Column("Row", justify="right"), Column("Column", style="bold"), Column("Wrong", least=30))


def _wrong(error: Document) -> tuple[str, ...]:
    """Rows count from 1 after the header, as people read a file."""
    _, row, column = error["pointer"].split("/", 2)
    return str(int(row) + 1), column.replace("~1", "/").replace("~0", "~"), error["detail"]


def deleted(document: Document) -> Iterable[RenderableType]:
    """A problem that is gone."""
    yield Text.assemble((document["name"], "bold"), " is gone. Its runs, models and files stay.")
