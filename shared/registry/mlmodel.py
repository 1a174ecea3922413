"""The file `MLmodel`, by which MLflow tools read a package's folder as a model of its onnx flavour."""

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
    fields = {"flavors": {"onnx": onnx, "python_function": pyfunc}, "signature": signature}
    return json.dumps(fields, indent=1, sort_keys=True).encode()


def _tensor(name: str, columns: int) -> dict[str, Any]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, columns]}}
