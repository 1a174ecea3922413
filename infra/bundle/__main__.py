"""`python -m infra.bundle [--out build/bundles] [--installed] [NAME ...]`: writes the functions' bundles."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from infra.bundle.archive import Bundle, build
from infra.catalogue import ROOT, read_catalogue, source_of
from infra.environments import environment
from shared.errors import EngineError

OUT: Final = ROOT / "build" / "bundles"
ENVIRONMENTS: Final = ROOT / "build" / "environments"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bundles and print what they weigh; gives the exit code."""
    console = Console()
    known = sorted(read_catalogue().functions)
    parser = argparse.ArgumentParser(prog="python -m infra.bundle", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a function; without one: all")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder that they go into")
    parser.add_argument("--installed", action="store_true", help="install each one's packages and weigh them")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(known))
    if unknown:
        parser.error(f"no function is named {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        bundles = build(chosen.names or known, chosen.out)
    except EngineError as error:
        console.print(f"[red]{error.title}:[/red] {error.detail}")
        return 1
    installed = {bundle.function: _installed(bundle.function) for bundle in bundles if chosen.installed}
    console.print(_table(bundles, installed))
    return 0


def _installed(function: str) -> int:
    """What a function's locked packages weigh, in bytes, without their compiled code."""
    lock = source_of(function).with_name("requirements.txt")
    return environment(ENVIRONMENTS, lock).size_bytes()


def _table(bundles: Sequence[Bundle], installed: Mapping[str, int]) -> Table:
    table = Table("function", "files", "zip, kB", "packages, MB", "sha256")
    for column in table.columns[1:4]:
        column.justify = "right"
    for one in bundles:
        weight = installed.get(one.function)
        packages = "" if weight is None else f"{weight / 1e6:.1f}"
        table.add_row(one.function, str(one.files), f"{one.size_bytes / 1e3:.0f}", packages, one.sha256[:16])
    return table


if __name__ == "__main__":
    sys.exit(main())
