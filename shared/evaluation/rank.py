"""Rank statistics that split over blocks of time: concordant pairs for the AUC, Spearman within groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_GROUP_ROWS = 5


def concordance(
    score: NDArray[np.float64], y: NDArray[np.int8], block: NDArray[np.intp], blocks: int
) -> NDArray[np.float64]:
    """Pairs won, (blocks, blocks): entry (a, b) counts the pairs of an up row of block a and a down row
    of block b where the up row scores higher, ties as a half.

    Exact: with block weights w, the AUC of the weighted rows is w M w / (w . ups)(w . downs), so a
    resample costs a small matrix product and not another sort (Mann and Whitney 1947).
    """
    levels, code = np.unique(score, return_inverse=True)
    up = y == 1
    up_code, up_block = code[up], block[up]
    down_code, down_block = code[~up], block[~up]
    won = np.zeros((blocks, blocks))
    for b in range(blocks):
        downs = np.bincount(down_code[down_block == b], minlength=len(levels))
        beaten = np.cumsum(downs) - 0.5 * downs
        won[:, b] = np.bincount(up_block, beaten[up_code], minlength=blocks)
    return won


def pairs(
    score: NDArray[np.float64],
    y: NDArray[np.int8],
    block: NDArray[np.intp],
    blocks: int,
    model: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(pairs won, pairs there are), each (blocks, blocks): see `concordance`.

    With `model`, the number of the one that answered a row, only answers of one model are held against each
    other: of several models each has a scale of its own, and mixing them costs AUC that none of them lacks
    (Airola et al., A comparison of AUC estimators in small-sample studies, 2011).
    """
    if model is None:
        ups, downs = (np.bincount(block[y == side], minlength=blocks) for side in (1, 0))
        return concordance(score, y, block, blocks), np.outer(ups, downs).astype(np.float64)
    won, there = np.zeros((blocks, blocks)), np.zeros((blocks, blocks))
    for number in np.unique(model):
        mine = model == number
        own_won, own_there = pairs(score[mine], y[mine], block[mine], blocks)
        won += own_won
        there += own_there
    return won, there


def group_ranks(values: NDArray[np.float64], group: NDArray[np.intp]) -> NDArray[np.float64]:
    """Ranks within each group, centred on the group's mean rank; ties share their average."""
    order = np.lexsort((values, group))
    g, v = group[order], values[order]
    first = np.r_[True, (g[1:] != g[:-1]) | (v[1:] != v[:-1])]
    run = np.cumsum(first) - 1
    place = np.bincount(run, np.arange(len(v), dtype=np.float64)) / np.bincount(run)
    ranks = np.empty(len(v))
    ranks[order] = place[run]
    rows = np.maximum(np.bincount(group), 1)
    return np.asarray(ranks - (np.bincount(group, ranks) / rows)[group])


def group_spearman(
    a: NDArray[np.float64], b: NDArray[np.float64], group: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Rank correlation in each group, from centred ranks (`group_ranks`).

    NaN in groups of fewer than five rows, or where one side doesn't vary.
    """
    covariance, variance_a, variance_b = (np.bincount(group, product) for product in (a * b, a * a, b * b))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation: NDArray[Any] = covariance / np.sqrt(variance_a * variance_b)
    correlation[(np.bincount(group) < MIN_GROUP_ROWS) | (variance_a == 0) | (variance_b == 0)] = np.nan
    return correlation
