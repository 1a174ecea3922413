from __future__ import annotations

import pytest

from shared.errors import MethodNotAllowed, NotFound
from shared.web.routing import Routes, bare


def routes() -> Routes[str]:
    table: Routes[str] = Routes()
    table.add("GET", "/models", "list")
    table.add("GET", "/models/{id}", "show")
    table.add("PUT", "/models/{id}", "change")
    table.add("GET", "/models/recent", "recent")
    table.add("POST", "/models/{name}/rollback", "rollback")
    return table


def test_fixed_paths_win_over_templates() -> None:
    assert routes().match("GET", "/models/recent") == ("recent", {})
    assert routes().match("GET", "/models/a-v1") == ("show", {"id": "a-v1"})


@pytest.mark.parametrize("turned", [False, True])
def test_of_templates_the_one_with_more_fixed_text_wins(turned: bool) -> None:
    table: Routes[str] = Routes()
    paths = ["/models/{model}", "/models/{model}:predict", "/models/{model}/versions/{version}"]
    for path in paths[::-1] if turned else paths:
        table.add("POST", path, path)
    assert table.match("POST", "/models/heart:predict") == ("/models/{model}:predict", {"model": "heart"})
    assert table.match("POST", "/models/heart") == ("/models/{model}", {"model": "heart"})
    assert table.match("POST", "/models/a:predict:predict")[1] == {"model": "a:predict"}
    assert table.match("POST", "/models/a/versions/2")[1] == {"model": "a", "version": "2"}


def test_every_path_also_exists_under_the_api_prefix() -> None:
    assert routes().match("POST", "/api/v1/models/a/rollback") == ("rollback", {"name": "a"})
    assert routes().match("GET", "/api/v1/models/") == ("list", {})


def test_methods_of_one_template_stand_together() -> None:
    assert routes().match("PUT", "/models/a-v1") == ("change", {"id": "a-v1"})


def test_head_is_answered_as_get() -> None:
    assert routes().match("HEAD", "/models") == ("list", {})


def test_an_unknown_path_is_told_where_to_look() -> None:
    with pytest.raises(NotFound, match="/docs"):
        routes().match("GET", "/models/a/b/c")


def test_a_wrong_method_is_told_the_right_ones() -> None:
    with pytest.raises(MethodNotAllowed, match="GET, PUT"):
        routes().match("DELETE", "/models/a-v1")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", "/"), ("/api/v1", "/"), ("/api/v1/", "/"), ("/api/v1x", "/api/v1x"), ("/a/", "/a"), ("//", "/")],
)
def test_bare_paths(path: str, expected: str) -> None:
    assert bare(path) == expected
