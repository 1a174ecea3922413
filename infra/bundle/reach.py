"""Which modules of `shared` a function can reach, found by reading them, never by running them.

Imports that stand in a function's body count when anything that is reached mentions that function's
name: a name that two functions share counts for both, so that too much is found rather than too little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.bundle.code import Import, Part, parts_of
from infra.catalogue import ROOT
from shared.errors import OwnError

PACKAGE = "shared"

CHOOSER = "shared.platform.connect"
LEFT_OUT: Mapping[str, tuple[str, str]] = {
    "shared.platform.local": ("_local", "a deployed function works on PLATFORM=gcp"),
    "shared.platform.s3": ("connect", "boto3 isn't in any function's lock"),
}
"""Packages that aren't deployed: the one function of the chooser that may import them, and why."""


@dataclass(slots=True)
class Reach:
    """What a function reaches: modules by name with their files, and the files that these read."""

    modules: dict[str, Path] = field(default_factory=dict)
    data: set[Path] = field(default_factory=set)


def reach(source: Path) -> Reach:
    """What the function whose entry point is `source` reaches.

    Raises:
        OwnError: a module imports what is left out, or what isn't there.
    """
    return _Search().run(source)


class _Search:
    def __init__(self) -> None:
        self._found = Reach()
        self._mentioned: set[str] = set()
        self._asleep: list[tuple[str, Part]] = []
        self._waiting: list[tuple[str, Part]] = []

    def run(self, source: Path) -> Reach:
        self._wake("main", parts_of(source))
        while self._waiting:
            while self._waiting:
                self._read(*self._waiting.pop())
            asleep, self._asleep = self._asleep, []
            for module, part in asleep:
                self._take(module, part)
        return self._found

    def _wake(self, module: str, parts: Sequence[Part]) -> None:
        for part in parts:
            self._take(module, part)

    def _take(self, module: str, part: Part) -> None:
        runs = part.name is None or part.name in self._mentioned
        (self._waiting if runs else self._asleep).append((module, part))

    def _read(self, module: str, part: Part) -> None:
        self._mentioned |= part.mentions
        for wanted in part.imports:
            self._import(wanted, module, part)
        if module != "main":
            file = self._found.modules[module]
            if "__path__" in part.mentions:  # a package that looks for its modules has all of them
                for one in sorted(file.parent.glob("*.py")):
                    self._module(f"{module}.{one.stem}" if one.stem != "__init__" else module, module)
            if "__file__" in part.mentions:  # one that looks where it lies reads what lies beside it
                self._found.data |= _data_beside(file)

    def _import(self, wanted: Import, importer: str, part: Part) -> None:
        if wanted.module.partition(".")[0] != PACKAGE:
            return  # the function's lock has it, or the start in a clean environment fails
        for package, (chooser, why) in LEFT_OUT.items():
            if f"{wanted.module}.{wanted.name}.".startswith(f"{package}."):
                if (importer, part.name) == (CHOOSER, chooser):
                    return
                raise OwnError(f"{importer} imports {wanted.module}, which isn't deployed: {why}.")
        self._module(wanted.module, importer)
        if wanted.name is not None and _file_of(f"{wanted.module}.{wanted.name}") is not None:
            self._module(f"{wanted.module}.{wanted.name}", importer)

    def _module(self, name: str, importer: str) -> None:
        """With the packages that it lies in: they are imported too."""
        if name in self._found.modules:
            return
        file = _file_of(name)
        if file is None:
            raise OwnError(f"{importer} imports {name}, which isn't there.")
        if "." in name:
            self._module(name.rpartition(".")[0], importer)
        self._found.modules[name] = file
        self._wake(name, parts_of(file))


def _file_of(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    for file in (place / "__init__.py", place.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def _data_beside(module: Path) -> set[Path]:
    """The files that lie beside a module, and in folders there that aren't packages."""
    found = set()
    for one in module.parent.iterdir():
        if one.is_dir() and not (one / "__init__.py").exists() and one.name != "__pycache__":
            found |= {file for file in one.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
        elif one.is_file() and one.suffix != ".py":
            found.add(one)
    return found
