from __future__ import annotations

import re

import pytest

from infra.openapi import generate
from tests.functions.engine import Engine, problem


def test_the_root_leads_to_the_documentation(engine: Engine) -> None:
    response = engine["docs"].get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize("base", ["/docs", "/api/v1/docs"])
def test_the_page_loads_everything_from_here(engine: Engine, base: str) -> None:
    page = engine["docs"].get(base)
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"(?:https?:)?//[a-z]", page.text) == []
    for reference in re.findall(r'(?:src|href|url)[=:] ?"([^"]+)"', page.text):
        found = engine["docs"].get(f"{base.removesuffix('docs')}{reference}")
        assert found.status_code == 200, reference
        assert found.content
    assert len(re.findall(r'(?:src|href|url)[=:] ?"', page.text)) == 4


def test_a_slash_at_the_end_changes_nothing(engine: Engine) -> None:
    response = engine["docs"].get("/docs/")
    assert (response.status_code, response.headers["location"]) == (307, "../docs")


def test_scripts_and_styles_are_what_they_say(engine: Engine) -> None:
    for file, kind in (("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "javascript")):
        assert kind in engine["docs"].get(f"/docs/assets/{file}").headers["content-type"]


@pytest.mark.parametrize("file", ["index.html", "..%2Fopenapi.json", "%2Fetc%2Fpasswd", "swagger-ui.css.map"])
def test_no_other_file_can_be_read(engine: Engine, file: str) -> None:
    problem(engine["docs"].get(f"/docs/assets/{file}"), 404, "not-found")


def test_the_specification_is_the_generated_one(engine: Engine) -> None:
    response = engine["docs"].get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.text == generate()
