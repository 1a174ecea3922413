"""Walk-forward splits by time, purged of overlapping labels, with scikit-learn's splitter interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Split: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class PurgedWalkForward:
    """Consecutive test blocks of sessions, each predicted from what was known before it.

    A session is a distinct time stamp: all rows of one moment fall on the same side. The last
    `n_splits * test_size` sessions are tested, each once, in order; training grows from the first
    session. Before a test block `embargo` sessions are left out, and before those every row whose
    label is not yet known: `purge` sessions, or, where `groups` brings the labels' ends, exactly the
    rows whose label ends later (a symbol that missed sessions has longer labels).

    So no training label shares a candle with a test label. The test rows' feature windows do reach
    back over training candles: that is the past, which is known (López de Prado, Advances in
    Financial Machine Learning, ch. 7, purges for the case of training data after the test, which a
    walk-forward never has).
    """

    n_splits: int = 6
    test_size: int | None = None
    purge: int = 1
    embargo: int = 0

    def __post_init__(self) -> None:
        if self.n_splits < 1 or self.purge < 0 or self.embargo < 0:
            raise ValueError("n_splits must be at least 1, purge and embargo at least 0")
        if self.test_size is not None and self.test_size < 1:
            raise ValueError("test_size is a number of sessions, at least 1")

    # scikit-learn's interface names the arguments, and passes some that time alone doesn't need
    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803, ARG002
        return self.n_splits

    # the same
    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Split]:  # noqa: N803, ARG002
        """(training rows, test rows) of each fold, in time order.

        `groups` is (n,) time stamps, or (n, 2) with the time stamp at which each row's label ends.
        Rows may come in any order; indices are ascending.

        Raises:
            ValueError: no groups, or too few sessions for every fold to have a training part.
        """
        if groups is None:
            raise ValueError("groups must hold the rows' time stamps: rows are split by time")
        columns = np.asarray(groups, np.int64)
        stamp = columns if columns.ndim == 1 else columns[:, 0]
        ends = None if columns.ndim == 1 else columns[:, 1]
        sessions = np.unique(stamp)
        for begin, stop in self._test_blocks(len(sessions)):
            known_by = sessions[begin - self.embargo]
            train = stamp < sessions[begin - self.embargo - self.purge]
            if ends is not None:
                train &= ends < known_by
            test = (stamp >= sessions[begin]) & (stamp <= sessions[stop - 1])
            if not train.any():
                raise ValueError("a fold's training part is empty after the purge: more sessions are needed")
            yield np.flatnonzero(train), np.flatnonzero(test)

    def _test_blocks(self, sessions: int) -> list[tuple[int, int]]:
        size = self.test_size or sessions // (self.n_splits + 1)
        first = sessions - self.n_splits * size
        if size < 1 or first - self.embargo - self.purge < 1:
            raise ValueError(
                f"{sessions} sessions are too few for {self.n_splits} test blocks of {max(size, 1)}, "
                f"a purge of {self.purge} and an embargo of {self.embargo}"
            )
        return [(first + i * size, first + (i + 1) * size) for i in range(self.n_splits)]
