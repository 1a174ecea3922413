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
START = "shared.serve"
"""What serves a function: reached from every one."""

CHOOSER = "shared.platform.connect"
LEFT_OUT: Mapping[str, str] = {
    "shared.platform.local": "a deployed function works on PLATFORM=gcp",
    "shared.platform.s3": "boto3 isn't in any function's lock",
}
"""Packages that only the chooser may import, and that aren't deployed."""


@dataclass(slots=True)
class Reach:
    """What a function reaches: modules by name with their files, files that these read, other packages.

    `needed` are packages that a reached module imports at once; `wanted` are those that it imports when
    one of its functions runs.
    """

    modules: dict[str, Path] = field(default_factory=dict)
    data: set[Path] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)


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
        self._module(START, "main")
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
            self._import(wanted, module, is_at_once=part.name is None)
        if module != "main":
            file = self._found.modules[module]
            if "__path__" in part.mentions:  # a package that looks for its modules has all of them
                for one in sorted(file.parent.glob("*.py")):
                    self._module(f"{module}.{one.stem}" if one.stem != "__init__" else module, module)
            if "__file__" in part.mentions:  # one that looks where it lies reads what lies beside it
                self._found.data |= _data_beside(file)

    def _import(self, wanted: Import, importer: str, *, is_at_once: bool) -> None:
        if wanted.module.partition(".")[0] != PACKAGE:
            (self._found.needed if is_at_once else self._found.wanted).add(_full(wanted))
            return
        self._module(wanted.module, importer)
        if wanted.name is not None and _file_of(f"{wanted.module}.{wanted.name}") is not None:
            self._module(f"{wanted.module}.{wanted.name}", importer)

    def _module(self, name: str, importer: str) -> None:
        """With the packages that it lies in: they are imported too."""
        if name in self._found.modules:
            return
        for package, why in LEFT_OUT.items():
            if name == package or name.startswith(f"{package}."):
                if importer == CHOOSER:
                    return
                raise OwnError(f"{importer} imports {name}, which isn't deployed: {why}.")
        file = _file_of(name)
        if file is None:
            raise OwnError(f"{importer} imports {name}, which isn't there.")
        if "." in name:
            self._module(name.rpartition(".")[0], importer)
        self._found.modules[name] = file
        self._wake(name, parts_of(file))


def _full(wanted: Import) -> str:
    """`google.cloud` isn't one package: what is taken from it counts."""
    return wanted.module if wanted.name is None else f"{wanted.module}.{wanted.name}"


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
