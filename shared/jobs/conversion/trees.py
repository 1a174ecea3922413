"""How deep trees may be: runtimes walk down them by recursion when they load them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from shared.jobs.conversion.outcome import Refused
from shared.training.export.ensemble import Tree

MAX_DEPTH: Final = 500
MAX_NODES: Final = 5_000_000


def check_depth(trees: Iterable[Tree]) -> None:
    """Of trees that were found to be such.

    Raises:
        Refused: one is deeper than 500 splits, or all have more than five million nodes.
    """
    nodes = 0
    for number, tree in enumerate(trees):
        nodes += len(tree.left)
        level, depth = np.zeros(1, np.int64), -1
        while len(level):
            depth += 1
            if depth > MAX_DEPTH:
                raise Refused(
                    f"Tree {number} is deeper than {MAX_DEPTH} splits; trees are trained less deep."
                )
            parents = level[tree.left[level] >= 0]
            level = np.concatenate([tree.left[parents], tree.right[parents]])
    if nodes > MAX_NODES:
        raise Refused(f"The model has {nodes} nodes; at most {MAX_NODES} are allowed.")
