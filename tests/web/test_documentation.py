from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from shared.errors import NotFound
from shared.web.documentation import asset, page, specification


class References(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def references() -> list[str]:
    parser = References()
    parser.feed(bytes(page().body).decode())
    return parser.found


def test_the_page_loads_its_own_files_only() -> None:
    found = references()
    assert len(found) == 3
    for reference in found:
        assert re.fullmatch(r"docs/assets/[\w.-]+", reference), reference
        assert asset(reference.removeprefix("docs/assets/")).is_file()


def test_neither_page_nor_style_names_another_host() -> None:
    style = asset("swagger-ui.css").read_text()
    assert re.findall(r"(?:https?:)?//", bytes(page().body).decode()) == []
    assert re.findall(r"url\(\s*[\"']?(?:https?:)?//", style) == []
    assert "@import" not in style


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../etc/passwd", "/etc/passwd", "index.html", "SWAGGER-UI.CSS"]
)
def test_no_other_file_can_be_had(name: str) -> None:
    with pytest.raises(NotFound, match=r"swagger-ui\.css"):
        asset(name)


def test_the_specification_is_json() -> None:
    response = specification()
    assert response.media_type == "application/json"
    assert bytes(response.body).startswith(b"{")
