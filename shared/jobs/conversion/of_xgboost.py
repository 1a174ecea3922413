"""XGBoost's JSON and UBJ forms: read strictly, converted, and compared with XGBoost itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import xgboost
from numpy.typing import NDArray

from shared.jobs.conversion.categories import check_at_places
from shared.jobs.conversion.outcome import Converted, Refused, Rows
from shared.jobs.conversion.trees import check_depth
from shared.jobs.conversion.ubj import decode
from shared.training.export import TreeEnsemble, ensemble_points, export_ensemble, xgboost_ensemble
from shared.uploads.request import UploadRequest

_BOOSTERS: Final = (
    "Only boosters of plain trees can be converted: train with booster='gbtree', or bring the model as ONNX."
)


@dataclass(frozen=True, slots=True)
class _Xgboost:
    """A booster, as what an exported model must agree with."""

    booster: Any
    feature_names: tuple[str, ...]
    algorithm: str = "xgboost"

    def predict_proba(self, x: Rows) -> NDArray[np.float64]:
        found = self.booster.inplace_predict(x, missing=np.nan, validate_features=False)
        found = np.asarray(found, np.float64)
        return np.column_stack([1.0 - found, found]) if found.ndim == 1 else found


def from_json(content: bytes, request: UploadRequest) -> Converted:
    """
    Raises:
        Refused, ExportRefused: not such a model, or one that can't be converted; says why.
    """
    return _converted(content, json.loads, request)


def from_ubj(content: bytes, request: UploadRequest) -> Converted:
    """As `from_json`."""
    return _converted(content, decode, request)


def _converted(content: bytes, decode: Callable[[bytes], Any], request: UploadRequest) -> Converted:
    try:
        document = decode(content)
        _check_booster(document)
        ensemble = xgboost_ensemble(_without_deleted(document))
        categories = _categories(document)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise Refused(f"The document isn't a model that XGBoost saved: {repr(error)[:200]}") from error
    _check_features(document, request)
    check_at_places(request.columns, categories)
    check_depth(ensemble.trees)
    booster = _booster(content)
    ensemble = _up_to_the_best(ensemble, booster)
    check_depth(ensemble.trees)
    onnx = export_ensemble(ensemble, features=len(request.columns))
    original = _Xgboost(_sliced(booster), request.schema_of_rows.names)
    return Converted(onnx, "xgboost", {"trees": len(ensemble.trees)}, original, ensemble_points(ensemble))


def _check_booster(document: Mapping[str, Any]) -> None:
    learner = document["learner"]
    name = learner["gradient_booster"]["name"]
    if name != "gbtree":
        raise Refused(f"XGBoost's booster is {str(name)[:40]!r}. {_BOOSTERS}")
    parameters = learner["learner_model_param"]
    if int(parameters.get("num_target", "1")) > 1:
        raise Refused("The model has several targets; one of a few classes can be served.")
    for number, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        lengths = {len(tree[name]) for name in _ARRAYS}
        if len(lengths) != 1 or int(tree["tree_param"]["num_nodes"]) not in lengths:
            raise Refused(f"Tree {number} says that it has another number of nodes than it has.")


_ARRAYS: Final = ("left_children", "right_children", "split_indices", "split_conditions", "default_left")
_PER_NODE: Final = (*_ARRAYS, "split_type")


def _without_deleted(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without the nodes that pruning has left behind: no other node leads there."""
    learner = document["learner"]
    booster = learner["gradient_booster"]
    model = {**booster["model"], "trees": [_reached(tree) for tree in booster["model"]["trees"]]}
    return {**document, "learner": {**learner, "gradient_booster": {**booster, "model": model}}}


def _reached(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree's nodes that its root leads to, in their order. One that is no tree is left for the reader."""
    if str(tree["tree_param"].get("num_deleted", "0")) == "0":
        return tree
    left = np.asarray(tree["left_children"], np.int64)
    right = np.asarray(tree["right_children"], np.int64)
    reached = np.zeros(len(left), np.bool_)
    level = np.zeros(1, np.int64)
    while len(level):
        if (level < 0).any() or (level >= len(left)).any() or reached[level].any():
            return tree
        reached[level] = True
        parents = level[left[level] >= 0]
        level = np.unique(np.concatenate([left[parents], right[parents]]))
    place = np.cumsum(reached) - 1
    kept = {name: np.asarray(tree[name])[reached] for name in _PER_NODE}
    for name, child in (("left_children", left), ("right_children", right)):
        kept[name] = np.where(child[reached] < 0, -1, place[child[reached]])
    return {**tree, **kept}


def _categories(document: Mapping[str, Any]) -> dict[int, list[Any]]:
    """The categories that XGBoost has noted of a data frame's columns, by the place of the column."""
    noted = document["learner"]["gradient_booster"]["model"].get("cats", {}).get("enc", [])
    found = {}
    for place, column in enumerate(noted):
        values = column["values"]
        if "offsets" in column:  # texts one after another, as bytes
            ends, content = column["offsets"], bytes(values)
            values = [content[start:end].decode() for start, end in pairwise(ends)]
        if values:
            found[place] = values
    return found


def _check_features(document: Mapping[str, Any], request: UploadRequest) -> None:
    features = int(document["learner"]["learner_model_param"]["num_feature"])
    if features != len(request.columns):
        raise Refused(f"The model takes {features} inputs; 'columns' names {len(request.columns)}.")


def _booster(content: bytes) -> Any:
    try:
        booster = xgboost.Booster({"nthread": 1, "verbosity": 0})
        booster.load_model(bytearray(content))
    except xgboost.core.XGBoostError as error:
        raise Refused(f"XGBoost itself can't load the model: {str(error).splitlines()[0][:300]}") from error
    booster.feature_names = booster.feature_types = None
    return booster


def _sliced(booster: Any) -> Any:
    """As XGBoost's classifiers answer: by the best iteration and those before, where training noted it."""
    best = booster.attr("best_iteration")
    try:
        return booster if best is None else booster[: int(best) + 1]
    except (xgboost.core.XGBoostError, ValueError, IndexError) as error:
        raise Refused(f"The model's best iteration isn't one of its own: {best[:40]!r}.") from error


def _up_to_the_best(ensemble: TreeEnsemble, booster: Any) -> TreeEnsemble:
    if booster.attr("best_iteration") is None:
        return ensemble
    sliced = json.loads(_sliced(booster).save_raw("json"))
    return xgboost_ensemble(_without_deleted(sliced))
