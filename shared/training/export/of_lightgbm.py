"""Reads the tree ensembles of LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.training.export.ensemble import (
    Scale,
    Tree,
    TreeEnsemble,
    check_outputs,
    expect,
    float32_at_most,
)
from shared.training.export.memberships import INSIDE, Memberships

_LIGHTGBM_CATEGORICAL: Final = 1
_LIGHTGBM_DEFAULT_LEFT: Final = 2
_LIGHTGBM_MISSING_NONE, _LIGHTGBM_MISSING_ZERO = 0, 1
_LIGHTGBM_ZERO: Final = np.float32(1e-35)


def read_lightgbm(model: Any) -> TreeEnsemble:
    """An `LGBMClassifier`, from its text form: the one LightGBM itself loads, with all digits."""
    return lightgbm_ensemble(model.booster_.model_to_string())


def lightgbm_ensemble(text: str) -> TreeEnsemble:
    """A classifier from what LightGBM saves (`save_model`); the text alone, without the library.

    A split on categories sends a missing one, and one that training hadn't seen, to the right.

    Raises:
        ExportRefused: no such text, an objective other than binary or multiclass, or an option (linear
            leaves, averaged trees, zero as missing) without an export.
    """
    try:
        head, *blocks = [_fields(block) for block in text.split("end of trees")[0].split("\n\n")]
        _check_head(text, head)
        features, outputs = int(head["max_feature_idx"]) + 1, int(head["num_tree_per_iteration"])
        described = [block for block in blocks if block]
        check_outputs(outputs, len(described))
        memberships = Memberships(toward_zero=True)
        trees = [_lightgbm_tree(block, index % outputs, memberships) for index, block in enumerate(described)]
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise ExportRefused(f"The text isn't a model that LightGBM saved: {error!r}.") from error
    found = TreeEnsemble(tuple(trees), np.zeros(outputs), Scale.LOGIT, memberships=memberships.found)
    found.check(features)
    return found


def _check_head(text: str, head: Mapping[str, str]) -> None:
    objective = head.get("objective", "its own objective")
    expect("LightGBM", objective, ("binary sigmoid:1", f"multiclass num_class:{head['num_class']}"))
    if "\naverage_output" in text or "\nis_linear=1" in text:
        raise ExportRefused("LightGBM can be exported when its trees are summed and its leaves are constant.")


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _lightgbm_tree(block: dict[str, str], output: int, memberships: Memberships) -> Tree:
    """Inner nodes come first, then leaves; the model's text numbers leaf `i` as child `~i`.

    What is in a set of categories goes left there. Here it goes right, a membership being 1 then.
    """
    value = _column(block, "leaf_value", np.float64)
    leaves = len(value)
    inner = leaves - 1
    threshold, kinds = _column(block, "threshold", np.float64), _column(block, "decision_type", np.int64)
    left, right = _column(block, "left_child", np.int64), _column(block, "right_child", np.int64)
    if any(len(found) != inner for found in (threshold, kinds, left, right)):
        raise ValueError(f"a tree of {leaves} leaves without {inner} splits")
    by_category = (kinds & _LIGHTGBM_CATEGORICAL) > 0
    members = _lightgbm_members(block, threshold, by_category)
    left, right = np.where(by_category, right, left), np.where(by_category, left, right)
    compared = np.where(by_category, INSIDE, _lightgbm_float32(threshold))
    missing_left = by_category | _lightgbm_missing_left(threshold, kinds)
    return Tree(
        feature=_padded(memberships.asked(_column(block, "split_feature", np.int64), members), leaves, 0),
        threshold=_padded(compared, leaves, 0),
        left=_padded(np.where(left < 0, ~left + inner, left), leaves, -1),
        right=_padded(np.where(right < 0, ~right + inner, right), leaves, -1),
        missing_left=_padded(missing_left, leaves, False),
        value=np.concatenate([np.zeros(inner), value])[:, None],
        first_output=output,
    )


def _column(block: Mapping[str, str], name: str, type: Any) -> NDArray[Any]:
    return np.array(block[name].split(), type)


def _lightgbm_members(
    block: Mapping[str, str], threshold: NDArray[np.float64], by_category: NDArray[np.bool_]
) -> dict[int, NDArray[np.int64]]:
    """The categories of each split on some. Its threshold is the number of a set; the sets are bits in words
    of 32, one after another.

    Raises:
        ValueError: sets that aren't where the text says.
    """
    if not by_category.any() and int(block.get("num_cat", 0)) == 0:
        return {}
    ends, words = _column(block, "cat_boundaries", np.int64), _column(block, "cat_threshold", np.uint32)
    if len(ends) != int(block["num_cat"]) + 1 or ends[0] != 0 or ends[-1] != len(words):
        raise ValueError("sets of categories that don't fill their words")
    if (np.diff(ends) < 0).any():
        raise ValueError("sets of categories that overlap")
    found = {}
    for node in np.flatnonzero(by_category).tolist():
        which = int(threshold[node])
        if which != threshold[node] or not 0 <= which < len(ends) - 1:
            raise ValueError(f"a split on set {threshold[node]} of {len(ends) - 1}")
        own = words[ends[which] : ends[which + 1]].astype("<u4")
        found[node] = np.flatnonzero(np.unpackbits(own.view(np.uint8), bitorder="little"))
    return found


def _padded(values: NDArray[Any], count: int, value: Any) -> NDArray[Any]:
    return np.concatenate([values, np.full(count, value, values.dtype)])


def _lightgbm_float32(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """LightGBM reads values within +-1e-35 as 0, so no threshold may part them."""
    rounded = float32_at_most(threshold)
    below_zero = np.nextafter(-_LIGHTGBM_ZERO, np.float32(-np.inf))
    nearest = np.where(threshold < 0, below_zero, _LIGHTGBM_ZERO)
    return np.where(np.abs(rounded) <= _LIGHTGBM_ZERO, nearest, rounded)


def _lightgbm_missing_left(threshold: NDArray[np.float64], kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where training saw no missing value in the feature, LightGBM takes a missing one for 0."""
    missing = kinds >> 2
    if (missing == _LIGHTGBM_MISSING_ZERO).any():
        raise ExportRefused("LightGBM with `zero_as_missing` can't be exported; train it without.")
    default_left = (kinds & _LIGHTGBM_DEFAULT_LEFT) > 0
    return np.where(missing == _LIGHTGBM_MISSING_NONE, threshold >= 0, default_left)
