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
    refuse_categories,
)

_LIGHTGBM_CATEGORICAL: Final = 1
_LIGHTGBM_DEFAULT_LEFT: Final = 2
_LIGHTGBM_MISSING_NONE, _LIGHTGBM_MISSING_ZERO = 0, 1
_LIGHTGBM_ZERO: Final = np.float32(1e-35)


def read_lightgbm(model: Any) -> TreeEnsemble:
    """An `LGBMClassifier`, from its text form: the one LightGBM itself loads, with all digits."""
    return lightgbm_ensemble(model.booster_.model_to_string())


def lightgbm_ensemble(text: str) -> TreeEnsemble:
    """A classifier from what LightGBM saves (`save_model`); the text alone, without the library.

    Raises:
        ExportRefused: no such text, an objective other than binary or multiclass, or an option (linear
            leaves, averaged trees, categorical splits, zero as missing) without an export.
    """
    try:
        head, *blocks = [_fields(block) for block in text.split("end of trees")[0].split("\n\n")]
        _check_head(text, head)
        features, outputs = int(head["max_feature_idx"]) + 1, int(head["num_tree_per_iteration"])
        described = [block for block in blocks if block]
        check_outputs(outputs, len(described))
        trees = [_lightgbm_tree(block, index % outputs) for index, block in enumerate(described)]
    except (KeyError, ValueError, IndexError) as error:
        raise ExportRefused(f"The text isn't a model that LightGBM saved: {error!r}.") from error
    found = TreeEnsemble(tuple(trees), np.zeros(outputs), Scale.LOGIT)
    found.check(features)
    return found


def _check_head(text: str, head: Mapping[str, str]) -> None:
    objective = head.get("objective", "its own objective")
    expect("LightGBM", objective, ("binary sigmoid:1", f"multiclass num_class:{head['num_class']}"))
    if "\naverage_output" in text or "\nis_linear=1" in text:
        raise ExportRefused("LightGBM can be exported when its trees are summed and its leaves are constant.")


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _lightgbm_tree(block: dict[str, str], output: int) -> Tree:
    """Inner nodes come first, then leaves; the model's text numbers leaf `i` as child `~i`."""

    def column(name: str, type: Any) -> NDArray[Any]:
        return np.array(block[name].split(), type)

    value = column("leaf_value", np.float64)
    leaves = len(value)
    inner = leaves - 1
    threshold, kinds = column("threshold", np.float64), column("decision_type", np.int64)
    left, right = column("left_child", np.int64), column("right_child", np.int64)
    return Tree(
        feature=_padded(column("split_feature", np.int64), leaves, 0),
        threshold=_padded(_lightgbm_float32(threshold), leaves, 0),
        left=_padded(np.where(left < 0, ~left + inner, left), leaves, -1),
        right=_padded(np.where(right < 0, ~right + inner, right), leaves, -1),
        missing_left=_padded(_lightgbm_missing_left(threshold, kinds), leaves, False),
        value=np.concatenate([np.zeros(inner), value])[:, None],
        first_output=output,
    )


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
    if (kinds & _LIGHTGBM_CATEGORICAL).any():
        raise refuse_categories("LightGBM")
    if (missing == _LIGHTGBM_MISSING_ZERO).any():
        raise ExportRefused("LightGBM with `zero_as_missing` can't be exported; train it without.")
    default_left = (kinds & _LIGHTGBM_DEFAULT_LEFT) > 0
    return np.where(missing == _LIGHTGBM_MISSING_NONE, threshold >= 0, default_left)
