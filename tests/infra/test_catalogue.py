from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from infra.catalogue import ROOT, Entry, read_catalogue, source_of
from infra.openapi import load_function
from shared.access.roles import EVENTS_ROUTE, ROLES
from shared.config import Settings
from shared.platform.topics import TOPICS

CATALOGUE = read_catalogue()
NAMES = tuple(CATALOGUE.functions)
EVERYWHERE = {"GET /health", "GET /ready"}
SECRETS = {
    name.upper()
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
}
UNSET = {"TOKEN_SIGNING_KEYS", "BOOTSTRAP_SECRET"}
"""Secrets that no setting holds: they are read from where secrets are kept, each time anew."""


def test_every_folder_is_a_function_and_every_function_a_folder() -> None:
    folders = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_holds_what_deploys_and_nothing_else(name: str) -> None:
    files = {path.name for path in source_of(name).parent.iterdir()}
    assert files - {"__pycache__"} == {"main.py", "requirements.txt", "README.md"}


@pytest.mark.parametrize("name", NAMES)
def test_the_routes_are_those_that_are_registered(name: str) -> None:
    function = load_function(name)
    assert function.name == name
    registered = [route.name for route in function.routes]
    assert len(set(registered)) == len(registered)
    assert set(registered) - EVERYWHERE == set(CATALOGUE.functions[name].routes)
    assert set(registered) >= EVERYWHERE
    assert function.takes_events is (CATALOGUE.functions[name].topic is not None)


def test_every_route_has_its_role_and_every_role_its_route() -> None:
    listed = {route for entry in CATALOGUE.functions.values() for route in entry.routes}
    assert ROLES.keys() == listed | EVERYWHERE | {EVENTS_ROUTE}


def test_no_two_functions_share_a_path() -> None:
    paths = {
        (re.sub(r"\{\w+\}", "{}", route.partition(" ")[2]), name)
        for name, entry in CATALOGUE.functions.items()
        for route in entry.routes
    }
    assert [path for path, times in Counter(path for path, _ in paths).items() if times > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_it_is_set_by_exists(name: str) -> None:
    entry = CATALOGUE.functions[name]
    known = {field.upper() for field in Settings.model_fields}
    assert set(entry.settings) <= known - SECRETS
    assert {*entry.secrets, *entry.optional_secrets} <= SECRETS | UNSET
    assert not set(entry.secrets) & set(entry.optional_secrets)
    assert len(set(entry.settings)) == len(entry.settings)


def test_the_topics_are_taken_by_those_who_say_so() -> None:
    taken = {topic: list(takers) for topic, takers in TOPICS.items() if takers}
    assert CATALOGUE.subscriptions == taken


def test_every_topic_that_is_published_to_exists() -> None:
    named = {
        topic
        for file in (ROOT / "shared").rglob("*.py")
        for topic in re.findall(
            r'"([a-z]+\.(?:[a-z]+ed|made)|dead\.letters)"',
            file.read_text(),
        )
    }
    assert named == set(TOPICS)


def test_the_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, entry in CATALOGUE.functions.items():
        assert set(entry.requires) <= project["optional-dependencies"].keys(), name


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_tells_the_routes_the_topic_and_the_settings(name: str) -> None:
    entry = CATALOGUE.functions[name]
    text = (source_of(name).parent / "README.md").read_text()
    assert text.startswith(f"# {name}\n")
    for route in entry.routes:
        method, _, path = route.partition(" ")
        words = [word for word in re.split(r"\{\w+\}", path) if word not in ("", "/")]
        assert method in text, route
        assert all(word.strip("/") in text for word in words), route
    if entry.topic is not None:
        assert f"`{entry.topic}`" in text
    assert settings_told(text) | set(CATALOGUE.every_function.settings) == set(entry.settings)


def settings_told(text: str) -> set[str]:
    """The settings that a README lists, with `UPSTREAM_*` and the like written out."""
    (line,) = re.findall(r"\| settings \| (.*) \|", text)
    told: set[str] = set()
    for word in re.findall(r"`([A-Z_]+\*?)`", line):
        known = {field.upper() for field in Settings.model_fields}
        told |= {name for name in known if name.startswith(word[:-1])} if word.endswith("*") else {word}
    for other in re.findall(r"those of (\w+)", line):
        told |= set(CATALOGUE.functions[other].settings)
    return told


def entry(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = yaml.safe_load((ROOT / "functions" / "catalogue.yaml").read_text())
    return {**known["functions"]["predict"], **changes}


@pytest.mark.parametrize(
    "wrong",
    [
        {"routes": ["predict"]},
        {"routes": ["FETCH /x"]},
        {"may": ["documents.admin"]},
        {"memory_mb": 64},
        {"concurrency": 0},
        {"colour": "red"},
    ],
)
def test_a_wrong_entry_is_refused(wrong: dict[str, Any]) -> None:
    Entry.model_validate(entry())
    with pytest.raises(ValidationError):
        Entry.model_validate(entry(**wrong))


def test_a_catalogue_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text(yaml.safe_dump({"functions": {"a": entry(topic="t"), "b": entry(topic="t")}}))
    assert read_catalogue(file).subscriptions == {"t": ["a", "b"]}
