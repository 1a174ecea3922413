"""What the command writes: one JSON document, or something for people to read. Progress goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias

from shared.cli.problem import CliProblem

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

View: TypeAlias = "Callable[[Any], Iterable[RenderableType]]"
"""Makes what people read out of an answer."""

WIDTH_OF_PIPES: Final = 160


class Output:
    """Standard output and standard error, as JSON or for people."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def out(self) -> Console:
        return _console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        return _console(sys.stderr)

    def show(self, document: Any, view: View) -> None:
        """Write the answer of a command."""
        if self.as_json:
            self._write_json(document)
            return
        for part in view(printable(document)):
            self.out.print(part)

    def show_line(self, document: Any, line: str) -> None:
        """Write the answer of a command; for people as a line to be copied, not folded at the edge."""
        if self.as_json:
            self._write_json(document)
        else:
            self.out.print(printable(line), soft_wrap=True)

    def show_page(self, document: dict[str, Any], view: View) -> None:
        """Write part of a list, and tell people how to go on."""
        self.show(document, view)
        if document["cursor"]:
            self.note(f"There is more: --cursor {printable(document['cursor'])}")

    def note(self, text: str) -> None:
        """Tell people something on the side."""
        if not self.as_json:
            self.err.print(text)

    def progress(self) -> Progress:
        """Bars on standard error, where a person is watching; they vanish when done."""
        from shared.cli.views.bars import bars

        return bars(self.err, is_shown=self.is_watched)

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees standard error as it is written."""
        return not self.as_json and self.err.is_terminal

    def suggest(self, command: str) -> None:
        """Tell people what to type next, where there is something."""
        if command and not self.as_json:
            self.out.print(_next(command), soft_wrap=True)

    def refuse(self, failure: CliProblem) -> None:
        """Write why a command couldn't be done."""
        if self.as_json:
            self._write_json(failure.document)
        else:
            _print_problem(self.err, printable(failure.document), failure.next_command)

    @staticmethod
    def _write_json(document: Any) -> None:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        sys.stdout.flush()


def printable(value: Any) -> Any:
    """The document with every control character replaced: others wrote these texts, a terminal obeys them."""
    if isinstance(value, str):
        return "".join(c if c == "\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [printable(item) for item in value]
    return value


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    width = None if stream.isatty() else _width_of_pipes()
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def _width_of_pipes() -> int:
    import os

    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() else WIDTH_OF_PIPES


def _next(command: str) -> RenderableType:
    from rich.text import Text

    return Text.assemble(("Next: ", "dim"), (command, "bold cyan"))


def _print_problem(console: Console, document: dict[str, Any], next_command: str) -> None:
    from rich.text import Text

    title, detail = document.get("title", "Failed"), document.get("detail", "")
    console.print(Text.assemble((f"{title}: ", "bold red"), detail))
    fields = [field for field in document.get("errors") or () if field.get("detail") not in detail]
    for field in fields:
        console.print(Text.assemble("  ", (field.get("pointer", ""), "yellow"), "  ", field["detail"]))
    if document.get("request_id"):
        console.print(Text(f"Request {document['request_id']}", style="dim"))
    if next_command:
        console.print(_next(next_command), soft_wrap=True)
