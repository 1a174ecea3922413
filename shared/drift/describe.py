"""What a column looks like now beside the reference, in the measures that other tools use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.drift.columns import CategoricalColumn, Column, NumericColumn
from shared.drift.result import FeatureDrift
from shared.drift.statistics import (
    jensen_shannon,
    kolmogorov_smirnov,
    shares,
    stability_index,
    wasserstein,
)


def describe(column: Column, values: NDArray[np.floating]) -> FeatureDrift:
    """The measures of one column; what the rule finds is added by the check."""
    n = max(len(values), 1)
    finite = np.sort(values[np.isfinite(values)].astype(np.float32))
    missing = int(np.isnan(values).sum())
    found = _undescribed(
        column.name,
        column.kind,
        missing_share=missing / n,
        reference_missing_share=column.missing_share,
        infinite_share=(len(values) - missing - len(finite)) / n,
        reference_infinite_share=column.infinite_share,
    )
    if isinstance(column, CategoricalColumn):
        return _with_counts(found, column.all_counts, column.counts_of(finite), column.other == 0)
    return _with_numbers(found, column, finite)


def class_drift(reference: Mapping[str, float], y: NDArray[np.integer]) -> FeatureDrift:
    """The shares of the classes; `y` are positions in `reference`."""
    found = _undescribed("classes", "categorical")
    shares_then = np.array(list(reference.values()))
    return _with_counts(found, shares_then, np.bincount(y, minlength=len(shares_then)), all_known=False)


def _with_numbers(found: FeatureDrift, column: NumericColumn, ordered: NDArray[np.float32]) -> FeatureDrift:
    found = replace(
        found,
        mean=float(ordered.mean(dtype=np.float64)) if len(ordered) else None,
        reference_mean=column.mean,
        sd=float(ordered.std(dtype=np.float64)) if len(ordered) else None,
        reference_sd=column.sd,
    )
    if not len(ordered) or not column.knots:
        return found
    exact = ordered.astype(np.float64)
    then, now = shares(column.at, column.finite, ordered)
    return replace(
        found,
        ks=kolmogorov_smirnov(column.grid, exact),
        wasserstein=wasserstein(column.even, exact) / column.unit,
        psi=stability_index(then, now),
        jensen_shannon=jensen_shannon(then, now),
    )


def _with_counts(
    found: FeatureDrift, reference: NDArray[Any], counts: NDArray[np.intp], all_known: bool
) -> FeatureDrift:
    """The last count is of values that the reference's categories don't name."""
    if not counts.sum() or not reference.sum():
        return found
    then, now = reference / reference.sum(), counts / counts.sum()
    return replace(
        found,
        psi=stability_index(then, now),
        jensen_shannon=jensen_shannon(then, now),
        unseen_share=float(now[-1]) if all_known else 0.0,
    )


def _undescribed(
    name: str,
    kind: str,
    *,
    missing_share: float = 0.0,
    reference_missing_share: float = 0.0,
    infinite_share: float = 0.0,
    reference_infinite_share: float = 0.0,
) -> FeatureDrift:
    return FeatureDrift(
        name=name,
        kind=kind,
        ks=None,
        wasserstein=None,
        psi=None,
        jensen_shannon=None,
        mean=None,
        reference_mean=None,
        sd=None,
        reference_sd=None,
        missing_share=missing_share,
        reference_missing_share=reference_missing_share,
        infinite_share=infinite_share,
        reference_infinite_share=reference_infinite_share,
        unseen_share=0.0,
        family=None,
        excess=None,
        effect=None,
        drifted=False,
    )
