"""Files and folders that are whole and durable, or not there."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that nobody reads yet. Fails if it is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def publish_folder(target: Path, files: Mapping[str, bytes], *, staging: Path) -> bool:
    """Make the folder `target`, with these files in it, in one durable step; False if it is there.

    `staging` is a folder of the same file system, for what isn't whole yet.
    """
    if target.exists():
        return False
    make_folders(staging)
    make_folders(target.parent)
    staged = Path(tempfile.mkdtemp(dir=staging))
    try:
        for name, content in files.items():
            write_durably(staged / name, content)
        sync_folder(staged)
        staged.rename(target)  # fails where there is a folder with something in it
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    sync_folder(target.parent)
    return True


def make_folders(folder: Path) -> None:
    """Like mkdir with parents, durably."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
