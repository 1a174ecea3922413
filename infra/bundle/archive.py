"""Writes bundles: zips whose bytes depend on what is in them and on nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from infra.bundle.reach import reach
from infra.catalogue import ROOT, source_of

MANIFEST: Final = "manifest.json"
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o100644  # a plain file that everybody may read
_UNIX: Final = 3


@dataclass(frozen=True, slots=True)
class Bundle:
    """A written bundle. `content_bytes` is what it holds, `size_bytes` what the zip takes."""

    function: str
    file: str
    sha256: str
    size_bytes: int
    content_bytes: int
    files: int


def content(function: str) -> dict[str, bytes]:
    """The files of a function's bundle, by their place in it."""
    source = source_of(function)
    found = reach(source)
    files = {
        "main.py": source.read_bytes(),
        "requirements.txt": source.with_name("requirements.txt").read_bytes(),
    }
    for file in (*found.modules.values(), *found.data):
        files[file.relative_to(ROOT).as_posix()] = file.read_bytes()
    return files


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files.

    They are stored as they are: compressed bytes differ between the zlibs of two machines, and the
    deployment goes by the zip's hash.
    """
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name])
    return packed.getvalue()


def build(functions: Iterable[str], folder: Path) -> list[Bundle]:
    """Write the bundles of these functions into `folder`, and a manifest of them.

    Raises:
        OwnError: a function imports what isn't deployed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bundles = [_write(function, folder) for function in sorted(functions)]
    manifest = {bundle.function: asdict(bundle) for bundle in bundles}
    _replace(folder / MANIFEST, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
    return bundles


def _write(function: str, folder: Path) -> Bundle:
    files = content(function)
    packed = pack(files)
    file = folder / f"{function}.zip"
    _replace(file, packed)
    size = sum(map(len, files.values()))
    return Bundle(function, file.name, hashlib.sha256(packed).hexdigest(), len(packed), size, len(files))


def _replace(file: Path, content: bytes) -> None:
    """Whoever reads it meanwhile sees the old bytes or the new ones, all of them."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(file)
