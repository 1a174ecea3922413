"""Splits on categories. Trees in ONNX compare numbers only, so each set of categories that a model asks for
becomes a column of its own, which they compare with 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from shared.errors import ExportRefused

if TYPE_CHECKING:
    from shared.training.export.graph import Graph

MAX_CELLS: Final = 4_000_000
"""Of the tables that say which code is in which set: 16 MB."""

INSIDE: Final = np.float32(0.5)
"""The threshold that parts a membership's 0 and 1."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether the value of `feature` is one of `members`: 1 or 0, missing where the value is missing.

    Members are whole numbers from 0 on, in order. A value between two of them counts as the one below, or,
    below 0, as 0 where `toward_zero`; everything else is no member.
    """

    feature: int
    members: tuple[int, ...]
    toward_zero: bool


class Memberships:
    """Those that a model's trees ask for, each once."""

    def __init__(self, *, toward_zero: bool) -> None:
        self._toward_zero = toward_zero
        self._places: dict[Membership, int] = {}

    def asked(
        self, feature: NDArray[np.int64], members: Mapping[int, NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """What a tree's nodes split on: `feature`, and `~k` for membership k at each node that has members.

        Raises:
            ValueError: a set without members, or a member or a feature below 0.
            ExportRefused: codes that are too large for a table.
        """
        if (feature < 0).any():
            raise ValueError(f"a split on feature {feature.min()}")
        found = feature.copy()
        for node, codes in members.items():
            found[node] = ~self._place(int(feature[node]), codes)
        return found

    def _place(self, feature: int, codes: NDArray[np.int64]) -> int:
        if len(codes) == 0 or codes.min() < 0:
            raise ValueError(f"a split on the categories {codes[:5].tolist()}")
        if codes.max() >= MAX_CELLS:
            raise ExportRefused(f"A split is on category {codes.max()}: number the categories from 0 on.")
        wanted = Membership(feature, tuple(np.unique(codes).tolist()), self._toward_zero)
        return self._places.setdefault(wanted, len(self._places))

    @property
    def found(self) -> tuple[Membership, ...]:
        return tuple(self._places)


def add_memberships(graph: Graph, x: str, memberships: Sequence[Membership]) -> str:
    """`x` (rows, features) with a column in front for each, in the order of `places`.

    Raises:
        ExportRefused: they need too large a table.
    """
    if not memberships:
        return x
    grouped = [list(each) for _, each in groupby(sorted(memberships, key=_feature), key=_feature)]
    cells = sum(_rows(each) * len(each) for each in grouped)
    if cells > MAX_CELLS:
        raise ExportRefused(
            f"The splits on categories need a table of {cells} cells; at most {MAX_CELLS} are allowed: use "
            "fewer trees, or number the categories from 0 on."
        )
    return graph.add("Concat", *(_added(graph, x, each) for each in grouped), x, axis=1)


def places(memberships: Sequence[Membership]) -> NDArray[np.int64]:
    """Which column of `add_memberships` holds each."""
    order = sorted(range(len(memberships)), key=lambda k: memberships[k].feature)
    return np.argsort(np.array(order, np.int64))


def _feature(membership: Membership) -> int:
    return membership.feature


def _rows(group: Sequence[Membership]) -> int:
    """One for what is below all codes, one per code, one for what is above, and one for what is missing."""
    return max(one.members[-1] for one in group) + 4


def _added(graph: Graph, x: str, group: Sequence[Membership]) -> str:
    """The columns of memberships of one feature: rows of a table that its code is looked up in."""
    rows = _rows(group)
    value = graph.add("Gather", x, np.array(group[0].feature), axis=1)
    low, high = np.array(-1.0, np.float32), np.array(rows - 3, np.float32)
    clipped = graph.add("Clip", value, low, high)
    whole = clipped if group[0].toward_zero else graph.add("Floor", clipped)
    missing = graph.add("IsNaN", value)
    place = graph.add("Where", missing, np.array(rows - 2, np.float32), whole)
    index = graph.add("Add", graph.add("Cast", place, to=TensorProto.INT64), np.array(1))
    return graph.add("Gather", _table(group, rows), index, axis=0)


def _table(group: Sequence[Membership], rows: int) -> NDArray[Any]:
    table = np.zeros((rows, len(group)), np.float32)
    for column, one in enumerate(group):
        table[np.array(one.members) + 1, column] = 1.0
    table[-1] = np.nan
    return table
