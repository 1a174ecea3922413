"""One model's own OpenAPI document: how it is called, with the schema of its rows and a call that works."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.registry.manifest import Manifest
from shared.registry.versions import Version
from shared.tabular import Columns
from shared.tabular.columns import Value

SHOWN_ROWS: Final = 2
_DIGITS: Final = 7
"""A float32 has that many."""

_PROBABILITY: Final = {"type": "number", "minimum": 0, "maximum": 1}
_TEXT: Final = {"type": "string"}


def openapi_document(version: Version, manifest: Manifest, examples: bytes) -> dict[str, Any]:
    """The document (OpenAPI 3.1) of a version's predictions; `examples` are its golden vectors."""
    path, operation = _tabular(version, manifest, examples) if manifest.columns else _market(version)
    title = f"{version.name} {version.version}"
    about = version.description or f"A model of the problem {version.problem}, by {version.algorithm}."
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version.id, "description": about},
        "servers": [{"url": "/"}, {"url": "/api/v1"}],
        "security": [{"apiKey": []}, {"bearer": []}, {}],
        "paths": {path: operation},
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            }
        },
    }


def _tabular(version: Version, manifest: Manifest, examples: bytes) -> tuple[str, dict[str, Any]]:
    columns = Columns(manifest.columns)
    path = f"/models/{version.id}/predict"
    body = {"inputs": example_rows(columns, examples)}
    rows = {"type": "array", "items": columns.json_schema(), "minItems": 1}
    schema = {
        "type": "object",
        "properties": {"inputs": rows},
        "required": ["inputs"],
        "additionalProperties": False,
    }
    by_class = dict.fromkeys(manifest.classes, _PROBABILITY)
    prediction = _object(
        {
            "label": {"enum": list(manifest.classes)},
            "probability": {**_PROBABILITY, "description": "Of the label."},
            "probabilities": _object(by_class),
            "prediction_id": _TEXT,
        }
    )
    answer = _object(
        {
            "model_id": {"const": version.id},
            "predictions": {"type": "array", "items": prediction},
            "request_id": _TEXT,
        }
    )
    operation = {
        "operationId": "predict",
        "summary": "Predict the classes of rows.",
        "description": _call(path, body, manifest),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": body}},
        },
        "responses": _responses(answer),
    }
    return path, {"post": operation}


def _market(version: Version) -> tuple[str, dict[str, Any]]:
    symbol = {"name": "symbol", "in": "query", "required": True, "schema": _TEXT, "example": "AAPL"}
    model = {"name": "model", "in": "query", "required": True, "schema": {"const": version.id}}
    answer = _object(
        {
            "symbol": _TEXT,
            "signal": {"enum": ["up", "down", "hold"]},
            "probability": _PROBABILITY,
            "model_id": {"const": version.id},
            "prediction_id": _TEXT,
            "request_id": _TEXT,
        }
    )
    operation = {
        "operationId": "predict",
        "summary": "Predict the direction of one symbol.",
        "description": f"    curl '$URL/predict?symbol=AAPL&model={version.id}' -H \"x-api-key: $KEY\"",
        "parameters": [symbol, model],
        "responses": _responses(answer),
    }
    return "/predict", {"get": operation}


def example_rows(columns: Columns, examples: bytes) -> list[dict[str, Value]]:
    """Rows of the golden vectors that the columns allow, as they are sent."""
    found: list[dict[str, Value]] = []
    for codes in json.loads(examples)["inputs"]:
        row = _decoded(columns, codes)
        if len(found) < SHOWN_ROWS and row not in found and not columns.encode([row]).errors:
            found.append(row)
    return found


def _decoded(columns: Columns, codes: Sequence[float | None]) -> dict[str, Value]:
    pairs = zip(columns.columns, codes, strict=True)
    return {column.name: _short(column.decoded(math.nan if code is None else code)) for column, code in pairs}


def _short(value: Value) -> Value:
    """The shortest number that is the same float32."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _call(path: str, body: Mapping[str, Any], manifest: Manifest) -> str:
    decides = "The most probable class is the label."
    if len(manifest.classes) == 2:
        decides = f"The label is {manifest.classes[1]!r} from a probability of {manifest.threshold:g} on."
    sent = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    headers = "-H 'content-type: application/json' -H \"x-api-key: $KEY\""
    return f"{decides}\n\n    curl -X POST \"$URL{path}\" {headers} -d '{sent}'"


def _responses(answer: Mapping[str, Any]) -> dict[str, Any]:
    problem = _object({"title": _TEXT, "detail": _TEXT, "status": {"type": "integer"}})
    return {
        "200": {"description": "Success", "content": {"application/json": {"schema": answer}}},
        "default": {
            "description": "Why it failed",
            "content": {"application/problem+json": {"schema": problem}},
        },
    }


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}
