"""The rows of a tabular problem as a model takes them, with their classes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.problems.spec import TabularProblem
from shared.tabular import Columns
from shared.tabular.table import encode_table
from shared.training.tabular.validation import Validation, target_column, validate

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """`x` is (n, columns), encoded; `y` (n,) holds places in `classes`. The order is the file's.

    `fingerprint` is the sha256 of all that is learnt from: equal data have equal ones, also in another file.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int8]
    columns: Columns
    classes: tuple[str, ...]
    validation: Validation
    fingerprint: str

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of each class."""
        return np.bincount(self.y, minlength=len(self.classes)) / len(self)


def build_dataset(problem: TabularProblem, table: pa.Table) -> Dataset:
    """The usable rows of a table.

    Raises:
        InvalidInput: the table doesn't fit the problem, or a class has no row.
    """
    validation, good = validate(problem, table)
    taken = table.take(good)
    target = Columns((target_column(problem),))
    x, code = encode_table(problem.columns, taken).x, encode_table(target, taken).x[:, 0].astype(np.intp)
    of_code = np.repeat(
        np.arange(len(problem.classes)), [len(values) for values in problem.target.values.values()]
    )
    y = of_code[code].astype(np.int8)
    absent = [name for place, name in enumerate(problem.classes) if not (y == place).any()]
    if absent:
        raise InvalidInput(f"No usable row is of class {', '.join(absent)}: there is nothing to tell apart.")
    return Dataset(x, y, problem.columns, problem.classes, validation, _fingerprint(problem, x, y))


def _fingerprint(problem: TabularProblem, x: NDArray[np.float32], y: NDArray[np.int8]) -> str:
    digest = hashlib.sha256(repr((problem.columns.hash, problem.classes)).encode())
    for array in (x, y):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
