"""scikit-learn models as skops saves them: of a fixed list of types, checked before skops sees them.

skops loads what it trusts, and its trust has been deceived before (CVE-2024-37065 and others). So the schema
is walked here first: each node must be one of the few that our own kinds of pipelines consist of, in exactly
that combination of module, class and loader, and each array a plain one.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import skops.io
from numpy.lib import format as npy
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from shared.errors import EngineError
from shared.jobs.conversion.outcome import Converted, Refused, Rows
from shared.jobs.conversion.trees import check_depth
from shared.training.export import export_onnx, split_points
from shared.training.export.ensemble import TreeEnsemble
from shared.training.export.of_sklearn import read_random_forest
from shared.training.fitted import FittedModel
from shared.uploads.request import UploadRequest

T = TypeVar("T")

MAX_UNPACKED_BYTES: Final = 300_000_000
_SCHEMA: Final = "schema.json"

_ESTIMATORS: Final = {
    "sklearn.compose._column_transformer": ("ColumnTransformer",),
    "sklearn.ensemble._forest": ("RandomForestClassifier",),
    "sklearn.impute._base": ("SimpleImputer",),
    "sklearn.linear_model._logistic": ("LogisticRegression",),
    "sklearn.pipeline": ("Pipeline",),
    "sklearn.preprocessing._data": ("StandardScaler",),
    "sklearn.preprocessing._encoders": ("OneHotEncoder",),
    "sklearn.tree._classes": ("DecisionTreeClassifier",),
}
_ALLOWED: Final = frozenset(
    {
        ("builtins", "dict", "DictNode"),
        ("builtins", "list", "ListNode"),
        ("builtins", "slice", "SliceNode"),
        ("builtins", "str", "JsonNode"),
        ("builtins", "str", "TypeNode"),
        ("builtins", "tuple", "TupleNode"),
        ("numpy", "dtype", "DTypeNode"),
        ("numpy", "float64", "NdArrayNode"),
        ("numpy", "float64", "TypeNode"),
        ("numpy", "int64", "NdArrayNode"),
        ("numpy", "ndarray", "NdArrayNode"),
        ("sklearn.tree._tree", "Tree", "TreeNode"),
        *((module, name, "ObjectNode") for module, names in _ESTIMATORS.items() for name in names),
    }
)
_TRUSTED: Final = ["numpy.dtype", "sklearn.tree._tree.Tree"]
"""What skops asks about beside what it trusts by itself."""

_MARKS: Final = frozenset({"__class__", "__module__", "__loader__"})
_ALGORITHMS: Final = {
    "LogisticRegression": "logistic_regression",
    "RandomForestClassifier": "random_forest",
}


@dataclass(frozen=True, slots=True)
class _Sklearn:
    """A fitted pipeline, as what an exported model must agree with."""

    fitted: FittedModel

    @property
    def algorithm(self) -> str:
        return self.fitted.algorithm

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.fitted.feature_names

    def predict_proba(self, x: Rows) -> NDArray[np.float64]:
        return _sound(lambda: self.fitted.predict_proba(x))


def prepare() -> None:
    """Go the whole way once with models of our own: scikit-learn opens much only when it is first used."""
    x = np.array([[0.0, 0.0], [1.0, 1.0], [np.nan, 0.0], [1.0, np.nan]] * 3, np.float32)
    y = np.array([0, 1, 0, 1] * 3)
    columns = ColumnTransformer([("number", StandardScaler(), [0]), ("code", OneHotEncoder(), [1])])
    for model in (LogisticRegression(), RandomForestClassifier(2)):
        pipeline = Pipeline([("fill", SimpleImputer()), ("columns", columns), ("model", model)]).fit(x, y)
        skops.io.loads(skops.io.dumps(pipeline), trusted=_TRUSTED).predict_proba(x)


def from_skops(content: bytes, request: UploadRequest) -> Converted:
    """
    Raises:
        Refused, ExportRefused: not such a model, or one that can't be converted; says why.
    """
    _sound(lambda: check_file(content))
    model = _sound(lambda: skops.io.loads(content, trusted=_TRUSTED))
    steps = list(model.steps) if isinstance(model, Pipeline) else [("model", model)]
    estimator = steps[-1][1]
    algorithm = _ALGORITHMS.get(type(estimator).__name__)
    if algorithm is None:
        raise Refused(
            f"The model is a {type(estimator).__name__}; {', '.join(_ALGORITHMS)} can be converted. Bring it "
            "as ONNX: skl2onnx.to_onnx(model, X[:1].astype('float32'))."
        )
    if algorithm == "random_forest":
        _sound(lambda: _check_forest(estimator))
    names, classes = request.schema_of_rows.names, request.classes
    fitted = FittedModel(algorithm, Pipeline(steps), None, names, classes, {})
    onnx = _sound(lambda: export_onnx(fitted))
    return Converted(onnx, algorithm, {}, _Sklearn(fitted), _sound(lambda: split_points(fitted)))


def check_file(content: bytes) -> None:
    """
    Raises:
        Refused: the archive, its schema or an array in it is anything but plain.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member.filename: member for member in archive.infolist()}
        unpacked = sum(member.file_size for member in archive.infolist())
        if len(members) != len(archive.infolist()) or unpacked > MAX_UNPACKED_BYTES:
            raise Refused(f"The archive has two members of one name, or unpacks to {unpacked} bytes.")
        for name, member in members.items():
            if name != _SCHEMA:
                _check_array(name, archive.read(member))
        schema = json.loads(archive.read(_SCHEMA))
    for node in _nodes(schema):
        found = (node.get("__module__"), node.get("__class__"), node.get("__loader__"))
        if found not in _ALLOWED:
            raise Refused(
                f"The model holds a {str(found[0])[:60]}.{str(found[1])[:60]} ({str(found[2])[:40]}), which "
                "isn't let through. Pipelines of SimpleImputer, StandardScaler, OneHotEncoder and "
                "ColumnTransformer with LogisticRegression or RandomForestClassifier are; bring others as "
                "ONNX."
            )
        file = node.get("file")
        if found[2] == "NdArrayNode" and node.get("type") == "numpy" and file not in members:
            raise Refused("The model refers to an array that isn't there.")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every part of the schema that names a type, wherever it is."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if _MARKS & one.keys():
                yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _check_array(name: str, content: bytes) -> None:
    """A NumPy array of plain values, as long as it says."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise Refused(f"The array {name} is of an unknown version.")
    shape, _, dtype = read(file)
    items = 1
    for size in shape:
        items *= size
    if dtype.hasobject or items * dtype.itemsize != len(content) - file.tell():
        raise Refused(f"The array {name} holds objects, or isn't as long as it says.")


def _check_forest(forest: Any) -> None:
    """Trees that are trees: scikit-learn follows their indices without looking."""
    for tree in (each.tree_ for each in forest.estimators_):
        children = np.concatenate([tree.children_left, tree.children_right])
        if (children < -1).any() or ((tree.children_left < 0) != (tree.children_right < 0)).any():
            raise Refused("A tree of the forest has a node with one child, or an impossible one.")
        if tree.n_features != forest.n_features_in_:
            raise Refused("A tree of the forest takes other features than the forest.")
    forest.n_jobs = None
    ensemble: TreeEnsemble = read_random_forest(forest)
    ensemble.check(int(forest.n_features_in_))
    check_depth(ensemble.trees)


def _sound(act: Callable[[], T]) -> T:
    """What `act` gives; whatever a library says of a file that isn't sound is a refusal.

    Raises:
        Refused
    """
    try:
        return act()
    except (Refused, EngineError, MemoryError, RecursionError, OSError):  # the last ours
        raise
    except Exception as error:  # any library's, of whatever kind
        raise Refused(
            f"scikit-learn can't use the model as it was saved: {repr(error)[:300]}. Save it again with "
            "skops and the scikit-learn that it was trained with, or bring it as ONNX."
        ) from error
