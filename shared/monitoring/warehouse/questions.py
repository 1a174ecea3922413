"""The stored questions: BigQuery SQL in `questions/*.sql`, the first line a comment that says what is asked.

Each takes the parameter `@days`, and asks about the predictions of so many days up to now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from shared.errors import NotFound
from shared.monitoring.warehouse.table import HERE

_FOLDER: Final = HERE / "questions"


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    title: str
    sql: str


def questions() -> Sequence[Question]:
    """All of them, by name."""
    return [_read(file.stem) for file in sorted(_FOLDER.glob("*.sql"))]


def question(name: str) -> Question:
    """
    Raises:
        NotFound: naming those that there are.
    """
    names = [known.name for known in questions()]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise NotFound(f"There is no question {name[:80]!r}.{meant} There are {', '.join(names)}.")
    return _read(name)


def _read(name: str) -> Question:
    sql = (_FOLDER / f"{name}.sql").read_text()
    first, _, _ = sql.partition("\n")
    return Question(name, first.removeprefix("--").strip(), sql)
