"""The OpenAPI 3.1 description of all functions, from their routes and models.

`python -m infra.openapi` writes it to the file that the docs function serves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.access.roles import ROLES, Role
from shared.web.function import Function
from shared.web.health import NOT_READY, Ready
from shared.web.problem import MEDIA_TYPE, Problem
from shared.web.route import Route

_REF = "#/components/schemas/{model}"
_SHARED_PATHS = frozenset({"/health", "/ready"})
_EVERYWHERE = "every function"
_SHOWN = frozenset({"application/json", "multipart/form-data"})
"""The forms of a body whose members are described; others are a file."""


def describe(functions: Sequence[Function], *, version: str) -> dict[str, Any]:
    """The whole API as one document. Paths that every function has appear once."""
    schemas = _schemas(functions)
    paths: dict[str, dict[str, Any]] = {}
    for function in functions:
        for route in function.routes:
            tag = _EVERYWHERE if route.path in _SHARED_PATHS else function.name
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, tag, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ML Engine",
            "version": version,
            "description": "Market signals, audited. Every path also exists under /api/v1.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}, {"url": "/api/v1"}],
        "security": [{"apiKey": []}, {"bearer": []}, {}],
        "tags": [{"name": name} for name in (*(f.name for f in functions if len(f.routes) > 2), _EVERYWHERE)],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _schemas(functions: Iterable[Function]) -> dict[str, Any]:
    routes = [route for function in functions for route in function.routes]
    answers = {route.answer for route in routes if route.answer} | {Problem}
    bodies = {route.body for route in routes if route.body and _SHOWN & set(route.body.media_types)}
    named: list[tuple[type[BaseModel], Any]] = [(model, "serialization") for model in answers]
    named += [(model, "validation") for model in bodies]
    refs, definitions = models_json_schema(
        sorted(named, key=lambda pair: (pair[0].__name__, pair[1])), ref_template=_REF
    )
    return {"refs": {model: ref for (model, _), ref in refs.items()}, **definitions}


def _operation(route: Route, tag: str, schemas: dict[str, Any]) -> dict[str, Any]:
    summary, _, rest = (route.handler.__doc__ or "").strip().partition("\n")
    role = ROLES[route.name]
    needs = "Open to all." if role is Role.PUBLIC else f"Needs role {role.label} or higher."
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "tags": [tag],
        "summary": summary,
        "description": f"{rest.strip()}\n\n{needs}".strip(),
        "parameters": _path_parameters(route.path) + _query_parameters(route),
        "responses": _responses(route, schemas),
    }
    if route.body is not None:
        schema = schemas["refs"].get(route.body, {})
        content = {name: {"schema": _form(name, schema)} for name in filter(None, route.body.media_types)}
        operation["requestBody"] = {"required": route.body.is_needed(), "content": content}
    return operation


def _form(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body that comes as this."""
    if media_type in _SHOWN:
        return schema
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _operation_id(route: Route) -> str:
    return route.method.lower() + re.sub(r"\W+", "_", route.path).rstrip("_")


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    required, known = schema.get("required", []), schema.get("$defs", {})
    return [
        _query_parameter(name, _inlined(field, known), name in required)
        for name, field in schema["properties"].items()
    ]


def _inlined(field: Any, known: Mapping[str, Any]) -> Any:
    """Without references: what a parameter's schema refers to is nowhere else in the document."""
    if isinstance(field, dict):
        if "$ref" in field:
            field = {
                **known[field["$ref"].rpartition("/")[2]],
                **{k: v for k, v in field.items() if k != "$ref"},
            }
        return {name: _inlined(value, known) for name, value in field.items()}
    return [_inlined(one, known) for one in field] if isinstance(field, list) else field


def _query_parameter(name: str, field: dict[str, Any], required: bool) -> dict[str, Any]:
    kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
    if kinds:
        field = {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **field}
    if field.get("default", ...) is None:
        del field["default"]
    field.pop("title", None)
    parameter = {"name": name, "in": "query", "required": required, "schema": field}
    if "description" in field:
        parameter["description"] = field.pop("description")
    return parameter


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Success"}
    if route.answer is not None:
        success["content"] = {"application/json": {"schema": schemas["refs"][route.answer]}}
    problem = {"schema": schemas["refs"][Problem]}
    not_ready = {str(NOT_READY): {**success, "description": "Not ready"}} if route.answer is Ready else {}
    return {
        str(route.status): success,
        **not_ready,
        "default": {"description": "Why it failed", "content": {MEDIA_TYPE: problem}},
    }


def text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=False) + "\n"
