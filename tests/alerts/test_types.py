"""The catalogue of alerts has every type that is raised, and no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from shared.alerts.types import TYPES

ROOT = Path(__file__).resolve().parents[2]


RAISING = {"Alert", "Reading"}
"""What is raised, and what becomes it."""


def texts(value: ast.expr) -> list[str]:
    """A text, or those of a table."""
    values = value.values if isinstance(value, ast.Dict) else [value]
    return [str(one.value) for one in values if isinstance(one, ast.Constant)]


def constants(tree: ast.Module) -> dict[str, list[str]]:
    """The module's names for texts and for tables of them."""
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: texts(node.value) for target in targets if isinstance(target, ast.Name)}
    return found


def types_of(value: ast.expr, named: dict[str, list[str]]) -> list[str] | None:
    """The types that `type=value` can be: none where it passes on another's; None where nobody knows."""
    if isinstance(value, ast.Attribute) and value.attr == "type":
        return []
    if isinstance(value, ast.Subscript):
        value = value.value
    return named.get(value.id) if isinstance(value, ast.Name) else texts(value) or None


def raised_types() -> Iterator[tuple[str, str]]:
    """(type, where) of each `Alert(type=...)` in the code; one that nobody knows fails."""
    for folder in ("shared", "functions", "infra"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text())
            named = constants(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISING:
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    value = next(keyword.value for keyword in node.keywords if keyword.arg == "type")
                    found = types_of(value, named)
                    if found is None and path.name == "hearing.py":  # reads what others have raised
                        continue
                    assert found is not None, f"{where}: write the type, or a constant of the module."
                    yield from ((type_, where) for type_ in found)


def test_every_type_that_is_raised_is_in_the_catalogue() -> None:
    found = list(raised_types())
    assert found
    unknown = [f"{where}: {type_}" for type_, where in found if type_ not in TYPES]
    assert not unknown, "Add to TYPES in shared/alerts/types.py, with what to do."


def test_every_type_of_the_catalogue_is_raised() -> None:
    raised = {type_ for type_, _ in raised_types()}
    assert TYPES.keys() - raised == set(), "Nobody raises these: take them out of shared/alerts/types.py."


def test_each_says_in_a_sentence_what_it_means_and_what_to_do() -> None:
    for known in TYPES.values():
        for sentence in (known.meaning, known.to_do):
            assert sentence[0].isupper()
            assert sentence.endswith(".")
