"""What a module says: its imports, the names it mentions, and whether it looks at its own place.

Code is divided into the module's own level, which runs at import, and its functions, which run when
somebody calls them by name.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BY_NAME = frozenset(
    {"property", "cached_property", "cache", "staticmethod", "classmethod", "contextmanager"}
)
"""A function under these decorators still runs only when somebody mentions its name."""


@dataclass(frozen=True, slots=True)
class Import:
    """`import module`, or `from module import name`."""

    module: str
    name: str | None = None


@dataclass(slots=True)
class Part:
    """A piece of code. `name` is the function's; parts without one run when the module is imported."""

    name: str | None
    imports: list[Import] = field(default_factory=list)
    mentions: set[str] = field(default_factory=set)


@functools.cache
def parts_of(file: Path) -> tuple[Part, ...]:
    """The parts of a Python file. What is imported for type checkers alone isn't counted."""
    top = Part(None)
    found = [top]
    _read(ast.parse(file.read_text(), str(file)).body, top, found, is_overriding=False)
    return tuple(found)


def _read(body: list[ast.stmt], own: Part, found: list[Part], *, is_overriding: bool) -> None:
    """Sort statements of a module or a class into `own`, and into parts for its functions."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            _mention(own, *statement.decorator_list, statement.args)
            by_name = _runs_by_name(statement, is_overriding=is_overriding)
            part = Part(statement.name if by_name else None)
            _mention(part, *statement.body)
            found.append(part)
        elif isinstance(statement, ast.ClassDef):
            _mention(own, *statement.decorator_list, *statement.bases, *statement.keywords)
            _read(statement.body, own, found, is_overriding=bool(statement.bases))
        else:
            _mention(own, statement)


def _runs_by_name(function: ast.FunctionDef | ast.AsyncFunctionDef, *, is_overriding: bool) -> bool:
    """Not so: dunder methods, what a decorator may have registered somewhere, and methods of a class
    with bases, which may override what others call (but for its cached properties: nobody calls those).
    """
    decorators = [_last_name(decorator) for decorator in function.decorator_list]
    if function.name.startswith("__") or (is_overriding and "cached_property" not in decorators):
        return False
    return all(decorator in _BY_NAME for decorator in decorators)


def _last_name(expression: ast.expr) -> str | None:
    if isinstance(expression, ast.Call):
        return _last_name(expression.func)
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else None


def _mention(part: Part, *nodes: ast.AST) -> None:
    for node in _walk(nodes):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                part.mentions.add(name)
            case ast.Constant(value=str(text)) if text.isidentifier():
                part.mentions.add(text)  # `getattr` takes names too
            case ast.Import(names=names):
                part.imports += [Import(alias.name) for alias in names]
            case ast.ImportFrom(module=str(module), names=names):
                part.imports += [Import(module, alias.name) for alias in names]
                part.mentions |= {alias.name for alias in names if alias.asname}


def _walk(nodes: tuple[ast.AST, ...]) -> Iterator[ast.AST]:
    """All nodes below, but for those under `if TYPE_CHECKING` and the list of `__all__`."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not (isinstance(node, ast.Assign) and _last_name(node.targets[0]) == "__all__"):
            yield node
            waiting += ast.iter_child_nodes(node)
