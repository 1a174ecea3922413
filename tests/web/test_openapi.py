from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra.catalogue import read_catalogue
from infra.openapi import generate
from shared.access.roles import ROLES, Role
from shared.web.documentation import OPENAPI_FILE

METHODS = ("get", "post", "put", "delete")


@pytest.fixture(scope="module")
def text() -> str:
    return generate()


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Route -> operation."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_file_that_is_served_is_current(text: str) -> None:
    assert OPENAPI_FILE.read_text() == text, "run 'make openapi'"


def test_it_is_made_the_same_every_time(text: str) -> None:
    assert generate() == text


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_it_describes_every_route_and_no_other(document: dict[str, Any]) -> None:
    routes = {route for entry in read_catalogue().functions.values() for route in entry.routes}
    assert operations(document).keys() == routes | {"GET /health", "GET /ready"}


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(document: dict[str, Any]) -> None:
    found = operations(document)
    assert len({operation["operationId"] for operation in found.values()}) == len(found)
    for route, operation in found.items():
        assert operation["summary"].endswith("."), route
        said = (
            "Open to all." if ROLES[route] is Role.PUBLIC else f"Needs role {ROLES[route].label} or higher."
        )
        assert said in operation["description"], route


def test_every_operation_describes_its_problems(document: dict[str, Any]) -> None:
    for route, operation in operations(document).items():
        content = operation["responses"]["default"]["content"]
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}, (
            route
        )


def test_parameters_say_their_type(document: dict[str, Any]) -> None:
    for route, operation in operations(document).items():
        for parameter in operation["parameters"]:
            assert {"type", "anyOf"} & parameter["schema"].keys(), f"{route} {parameter['name']}"
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", route))


def test_a_body_is_required_where_something_in_it_is(document: dict[str, Any]) -> None:
    required = {
        route: operation["requestBody"]["required"]
        for route, operation in operations(document).items()
        if "requestBody" in operation
    }
    assert required == {
        "POST /admin/activate/{id}": False,
        "POST /admin/deadletters/replay": False,
        "POST /admin/drift": False,
        "POST /admin/reports": True,
        "POST /admin/train": False,
        "POST /alerts/test": False,
        "POST /alerts/{alert_id}/acknowledge": False,
        "POST /alerts/{alert_id}/resolve": True,
        "POST /auth/invitations": True,
        "POST /auth/keys": True,
        "POST /auth/login": True,
        "POST /auth/password": True,
        "POST /auth/refresh": True,
        "POST /auth/register": True,
        "POST /auth/users/{user_id}/role": True,
        "POST /fetch": False,
        "POST /predict/jobs/inputs": True,
        "POST /predict/jobs/inputs/url": True,
        "PUT /problems/{name}": True,
        "PUT /problems/{name}/data": True,
        "POST /models/activate/{id}": False,
        "POST /models/{name}/rollback": False,
        "PUT /models/{id}": False,
        "POST /models/upload": True,
        "POST /models/uploads": True,
        "PUT /models/uploads/{upload_id}/content": True,
        "POST /outcomes": True,
        "POST /invocations": True,
        "POST /models/{id}/predict": True,
        "POST /predict": True,
        "POST /v1/models/{model}:predict": True,
        "POST /v2/models/{model}/infer": True,
        "POST /v2/models/{model}/versions/{version}/infer": True,
        "POST /v2/repository/index": False,
        "POST /predict/batch": True,
        "POST /predict/jobs": False,
    }


def test_no_schema_is_left_over(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text, name
