"""Reads the tree ensembles of XGBoost. Its splits are strict: `x < threshold`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.training.export.ensemble import (
    Scale,
    Tree,
    TreeEnsemble,
    check_outputs,
    expect,
)
from shared.training.export.memberships import INSIDE, Memberships


def read_xgboost(model: Any) -> TreeEnsemble:
    """An `XGBClassifier` of trees."""
    return read_booster(model.get_booster())


def read_booster(booster: Any) -> TreeEnsemble:
    """An `xgboost.Booster`, however it was loaded; up to its best iteration where it knows one."""
    best = booster.attr("best_iteration")
    if best is not None:
        booster = booster[: int(best) + 1]
    return xgboost_ensemble(json.loads(booster.save_raw("json")))


def xgboost_ensemble(document: Mapping[str, Any]) -> TreeEnsemble:
    """A classifier from what XGBoost saves as JSON, decoded; the document alone, without the library.

    All its iterations count: what early stopping thought best is for `read_booster`.

    Raises:
        ExportRefused: no such document, an objective other than binary:logistic or multi:softprob (or
            multi:softmax, whose scores are the same), or a booster or option without an export.
    """
    try:
        learner = document["learner"]
        objective, boosted = learner["objective"]["name"], learner["gradient_booster"]
        expect("XGBoost", objective, ("binary:logistic", "multi:softprob", "multi:softmax"))
        expect("XGBoost", boosted["name"], ("gbtree",))
        parameters, model = learner["learner_model_param"], boosted["model"]
        check_outputs(max(1, int(parameters["num_class"])), len(model["trees"]))
        base, features = _base(objective, parameters), int(parameters["num_feature"])
        pairs = zip(model["trees"], model["tree_info"], strict=True)
        memberships = Memberships(toward_zero=False)
        trees = tuple(_xgboost_tree(tree, int(output), memberships) for tree, output in pairs)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ExportRefused(f"The document isn't a model that XGBoost saved: {error!r}.") from error
    found = TreeEnsemble(trees, base, Scale.LOGIT, strict=True, memberships=memberships.found)
    found.check(features)
    return found


def _base(objective: str, parameters: Mapping[str, str]) -> NDArray[np.float64]:
    """The score before any tree, per output: a probability of two classes, margins of more.

    Older versions save one number, newer ones a list of them.
    """
    base = np.atleast_1d(np.array(json.loads(parameters["base_score"]), np.float64))
    if objective == "binary:logistic":
        return np.log(base / (1.0 - base))
    return np.broadcast_to(base, int(parameters["num_class"])).copy()


def _xgboost_tree(tree: dict[str, Any], output: int, memberships: Memberships) -> Tree:
    """A leaf keeps its value where an inner node keeps its threshold. What is in a set of categories goes
    right.
    """
    conditions = np.array(tree["split_conditions"], np.float32)
    members = _xgboost_members(tree)
    by_category = np.isin(np.arange(len(conditions)), list(members))
    return Tree(
        feature=memberships.asked(np.array(tree["split_indices"], np.int64), members),
        threshold=np.where(by_category, INSIDE, conditions),
        left=np.array(tree["left_children"], np.int64),
        right=np.array(tree["right_children"], np.int64),
        missing_left=np.array(tree["default_left"], np.bool_),
        value=conditions.astype(np.float64)[:, None],
        first_output=output,
    )


def _xgboost_members(tree: Mapping[str, Any]) -> dict[int, NDArray[np.int64]]:
    """The categories of each node that splits on some.

    Raises:
        ValueError: nodes and sets that don't belong together.
    """
    split_type = np.array(tree["split_type"], np.int64)
    if not split_type.any() and len(tree.get("categories_nodes", ())) == 0:
        return {}
    categories = np.array(tree["categories"], np.int64)
    starts, sizes = (np.array(tree[f"categories_{name}"], np.int64) for name in ("segments", "sizes"))
    nodes = np.array(tree["categories_nodes"], np.int64)
    ends = starts + sizes
    outside = (starts < 0) | (ends > len(categories))
    if not np.array_equal(np.sort(nodes), np.flatnonzero(split_type)) or outside.any():
        raise ValueError("sets of categories that aren't those of its splits")
    pairs = zip(nodes.tolist(), starts, ends, strict=True)
    return {node: categories[start:end] for node, start, end in pairs}
