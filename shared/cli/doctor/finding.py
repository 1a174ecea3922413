"""What a check sees and what it says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

from shared.cli.client import Client, Document
from shared.cli.problem import CliProblem
from shared.cli.target import Installation

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis. `mend` is a command, or a sentence where no command does it."""

    name: str
    status: Status
    found: str
    mend: str = ""

    def json(self) -> Document:
        return asdict(self)


def ok(name: str, found: str) -> Finding:
    return Finding(name, "ok", found)


def warn(name: str, found: str, mend: str = "") -> Finding:
    return Finding(name, "warn", found, mend)


def fail(name: str, found: str, mend: str = "") -> Finding:
    return Finding(name, "fail", found, mend)


@dataclass(frozen=True)
class Surroundings:
    """What the checks look at. The engine is asked for its health once."""

    installation: Installation
    client: Client

    @cached_property
    def refusal(self) -> CliProblem | None:
        """Why the engine doesn't answer; None if it does."""
        try:
            self.client.get("/health")
        except CliProblem as failure:
            return failure
        return None

    @property
    def is_answering(self) -> bool:
        return self.refusal is None
