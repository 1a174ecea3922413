"""Where the rows of a tabular problem are read from."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from shared.errors import InvalidInput, NotFound
from shared.platform.ports import Blobs
from shared.tabular.table import Format, read_table

if TYPE_CHECKING:
    import pyarrow as pa

_SHIPPED: Final = "shared.problems"
_FORMATS: Final[dict[str, Format]] = {"csv": "csv", "parquet": "parquet"}


def read_source(data: str, blobs: Blobs) -> pa.Table:
    """The table that `package:<file>` or `blobs:<name>` names, as text where it is CSV.

    Raises:
        NotFound: no such file or blob.
        InvalidInput: neither CSV nor Parquet.
    """
    place, _, name = data.partition(":")
    ending = _FORMATS.get(name.rpartition(".")[2].lower())
    if ending is None:
        raise InvalidInput(f"The data {data!r} must be a file that ends in .csv or .parquet.")
    return read_table(_shipped(name) if place == "package" else blobs.get(name), ending)


def _shipped(name: str) -> bytes:
    """A file that comes with the engine."""
    folder = resources.files(_SHIPPED) / "data"
    known = sorted(one.name for one in folder.iterdir())
    if name not in known:  # a name, never a path
        raise NotFound(f"No data file {name!r} comes with the engine; there are {', '.join(known)}.")
    return (folder / name).read_bytes()
