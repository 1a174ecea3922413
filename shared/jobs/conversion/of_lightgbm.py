"""LightGBM's text form: read strictly, converted, and compared with LightGBM itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from shared.jobs.conversion.categories import check_in_order
from shared.jobs.conversion.outcome import Converted, Refused, Rows
from shared.jobs.conversion.trees import check_depth
from shared.training.export import ensemble_points, export_ensemble, lightgbm_ensemble
from shared.uploads.request import UploadRequest

_BLOCK: Final = re.compile(r"^Tree=\d+$", re.MULTILINE)
_PANDAS: Final = re.compile(r"^pandas_categorical:(.*)$", re.MULTILINE)
_SIZES: Final = re.compile(r"^tree_sizes=.*\n", re.MULTILINE)
"""Where each tree ends in the text. LightGBM reads without it as well; where it is wrong, it aborts."""


@dataclass(frozen=True, slots=True)
class _Lightgbm:
    """A booster, as what an exported model must agree with."""

    booster: Any
    feature_names: tuple[str, ...]
    algorithm: str = "lightgbm"

    def predict_proba(self, x: Rows) -> NDArray[np.float64]:
        found = np.asarray(self.booster.predict(x.astype(np.float64), num_threads=1), np.float64)
        return np.column_stack([1.0 - found, found]) if found.ndim == 1 else found


def from_lightgbm(content: bytes, request: UploadRequest) -> Converted:
    """
    Raises:
        Refused, ExportRefused: not such a model, or one that can't be converted; says why.
    """
    text = content.decode().replace("\r\n", "\n")
    _check_counts(text)
    ensemble = lightgbm_ensemble(text)
    check_depth(ensemble.trees)
    _check_features(text, request)
    _check_categories(text, request)
    onnx = export_ensemble(ensemble, features=len(request.columns))
    try:
        booster = lightgbm.Booster(model_str=_SIZES.sub("", text), params={"verbosity": -1})
    except lightgbm.basic.LightGBMError as error:
        raise Refused(f"LightGBM itself can't load the model: {error}") from error
    names = request.schema_of_rows.names
    parameters = {"trees": len(ensemble.trees)}
    return Converted(onnx, "lightgbm", parameters, _Lightgbm(booster, names), ensemble_points(ensemble))


def _check_counts(text: str) -> None:
    """LightGBM makes room for as many leaves as a tree says it has, before it reads them."""
    for number, block in enumerate(_BLOCK.split(text.split("end of trees")[0])[1:]):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        said, found = fields.get("num_leaves", ""), len(fields.get("leaf_value", "").split())
        if said != str(found):
            raise Refused(f"Tree {number} says that it has {said[:40]!r} leaves, and has {found}.")


def _check_categories(text: str, request: UploadRequest) -> None:
    found = _PANDAS.search(text)
    try:
        trained = json.loads(found[1]) if found else None
    except ValueError as error:
        raise Refused(f"What the model says of pandas' categories isn't JSON: {error}.") from error
    if not isinstance(trained, list | None) or not all(isinstance(each, list) for each in trained or ()):
        raise Refused("What the model says of pandas' categories isn't a list for each column.")
    if trained:
        check_in_order(request.columns, trained)


def _check_features(text: str, request: UploadRequest) -> None:
    found = re.search(r"^max_feature_idx=(\d+)$", text, re.MULTILINE)
    features = int(found[1]) + 1 if found else 0
    if features != len(request.columns):
        raise Refused(f"The model takes {features} inputs; 'columns' names {len(request.columns)}.")
