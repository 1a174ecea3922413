"""The file `MLmodel`, by which MLflow tools read a package's folder as a model of its onnx flavour.

Its signature is the graph's own: one tensor of codes in, one of probabilities out, rows by columns. MLflow
could name the columns instead, and take data frames; but then it answers with the probabilities of all rows
one below the other, in a single column. What the columns are and how their values are coded is in `metadata`.
"""

from __future__ import annotations

import json
from typing import Any

from shared.registry.manifest import Manifest
from shared.registry.scorer import INPUT, OUTPUT


def mlmodel(manifest: Manifest, *, model_file: str) -> bytes:
    """The file's bytes. JSON is YAML, which is what MLflow expects; run id, times and uuid are left out."""
    python = manifest.libraries["python"]
    onnx = {
        "data": model_file,
        "onnx_version": manifest.libraries["onnx"],
        "providers": ["CPUExecutionProvider"],
        "code": None,
    }
    pyfunc = {"loader_module": "mlflow.onnx", "data": model_file, "python_version": python, "env": None}
    signature = {
        "inputs": json.dumps([_tensor(INPUT, len(manifest.feature_names))]),
        "outputs": json.dumps([_tensor(OUTPUT, len(manifest.classes))]),
        "params": None,
    }
    fields = {
        "flavors": {"onnx": onnx, "python_function": pyfunc},
        "metadata": {"mlengine": _told(manifest)},
        "signature": signature,
    }
    return json.dumps(fields, indent=1, sort_keys=True).encode()


def _told(manifest: Manifest) -> dict[str, Any]:
    """What the tensors' columns are. A category's code is its place in the list, a boolean's 0 or 1, and NaN
    (null in JSON) stands for what is missing.
    """
    columns: list[dict[str, Any]] = [
        {"name": column.name, "type": column.type, "categories": list(column.categories)}
        for column in manifest.columns
    ]
    numbers = [{"name": name, "type": "number", "categories": []} for name in manifest.feature_names]
    return {
        "problem": manifest.problem,
        "inputs": columns or numbers,
        "classes": list(manifest.classes),
        "threshold": manifest.threshold,
    }


def _tensor(name: str, columns: int) -> dict[str, Any]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, columns]}}
