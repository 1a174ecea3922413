"""From method and path to route."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import Any, Generic, TypeVar

from shared.errors import MethodNotAllowed, NotFound

API_PREFIX = "/api/v1"

T = TypeVar("T")

_PARAMETER = re.compile(r"\{(\w+)\}")


def bare(path: str) -> str:
    """The path without `/api/v1` and without a slash at its end."""
    if path.startswith(API_PREFIX) and path[len(API_PREFIX) : len(API_PREFIX) + 1] in ("", "/"):
        path = path[len(API_PREFIX) :]
    return path.rstrip("/") or "/"


def of_one_line(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A request whose path has a line break gets a replacement character for it.

    No route means one, and functions-framework takes a path to be one line: its own answer to others is no
    problem+json.
    """
    if "\n" not in scope["path"]:
        return scope
    return {**scope, "path": scope["path"].replace("\n", "\ufffd")}


class Routes(Generic[T]):
    """Targets by method and path. Fixed paths win over templates, and of those the ones with more fixed text;
    `{name}` matches one part, or what is left of it.
    """

    def __init__(self) -> None:
        self._fixed: dict[str, dict[str, T]] = {}
        self._templates: list[tuple[int, re.Pattern[str], dict[str, T]]] = []

    def add(self, method: str, path: str, target: T) -> None:
        self._methods(path)[method] = target

    def match(self, method: str, path: str) -> tuple[T, dict[str, str]]:
        """The target and the values of the path's parameters.

        Raises:
            NotFound: no route has this path.
            MethodNotAllowed: some have, with other methods.
        """
        methods, parameters = self._find(bare(path))
        target = methods.get("GET" if method == "HEAD" else method)
        if target is None:
            known = sorted(methods)
            raise MethodNotAllowed(f"{path} knows {', '.join(known)}, not {method}.", known)
        return target, parameters

    def methods(self, path: str) -> Sequence[str]:
        """The methods that a path knows.

        Raises:
            NotFound
        """
        found, _ = self._find(bare(path))
        return sorted(found)

    def _methods(self, path: str) -> dict[str, T]:
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        pattern = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path))
        for _, known, methods in self._templates:
            if known.pattern == pattern.pattern:
                return methods
        methods = {}
        self._templates.append((len(_PARAMETER.sub("", path)), pattern, methods))
        self._templates.sort(key=lambda one: -one[0])
        return methods

    def _find(self, path: str) -> tuple[dict[str, T], dict[str, str]]:
        methods = self._fixed.get(path)
        if methods is not None:
            return methods, {}
        for _, pattern, methods in self._templates:
            found = pattern.fullmatch(path)
            if found:
                return methods, found.groupdict()
        raise NotFound(f"There is nothing at {path}. GET /docs lists all routes.")
