"""Progress bars."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text


def bars(console: Console, *, is_shown: bool) -> Progress:
    """Bars that vanish when done. Each task has a field `message`."""
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20),
        _Count(table_column=Column(no_wrap=True, justify="right")),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[message]}", markup=False, style="dim", table_column=rest),
        console=console,
        transient=True,
        expand=True,
        disable=not is_shown,
    )


class _Count(ProgressColumn):
    """`3/30`; nothing where there is nothing to count."""

    def render(self, task: Task) -> Text:
        is_counted = task.total is not None and task.total > 1
        return Text(f"{task.completed:.0f}/{task.total:.0f}" if is_counted else "", style="cyan")
