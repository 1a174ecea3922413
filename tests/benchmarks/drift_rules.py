"""The rules that are common elsewhere, on raw rows: each says whether a window alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from shared.drift.significance import adjusted
from shared.drift.statistics import stability_index

Rows = NDArray[np.floating]

ANY_KS, BH_KS, ANY_PSI = "KS p < 0.05 on any", "KS + Benjamini-Hochberg", "PSI > 0.2 on any"
RULES = (ANY_KS, BH_KS, ANY_PSI)


def alarms(reference: Rows, window: Rows) -> Mapping[str, bool]:
    """By rule, as it is usually applied: column by column, rows taken for independent."""
    from scipy.stats import ks_2samp

    p = [float(ks_2samp(a, b, method="asymp").pvalue) for a, b in zip(reference.T, window.T, strict=True)]
    psi = [_psi(a, b) for a, b in zip(reference.T, window.T, strict=True)]
    return MappingProxyType({ANY_KS: min(p) < 0.05, BH_KS: min(adjusted(p)) < 0.05, ANY_PSI: max(psi) > 0.2})


def _psi(reference: NDArray[np.floating], window: NDArray[np.floating]) -> float:
    """Ten bins of equal reference share."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, 11)[1:-1]))
    return stability_index(_shares(reference, edges), _shares(window, edges))


def _shares(values: NDArray[np.floating], edges: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) / len(values)


def rates(found: Sequence[Mapping[str, bool]]) -> dict[str, float]:
    """Share of windows that alarm, by rule."""
    return {rule: float(np.mean([one[rule] for one in found])) for rule in found[0]}
