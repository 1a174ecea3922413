"""`python -m infra.openapi`: writes the OpenAPI file that the docs function serves."""

from __future__ import annotations

import importlib.util
import tomllib
from types import ModuleType

from infra.catalogue import ROOT, read_catalogue, source_of
from shared.web import Function
from shared.web.documentation import OPENAPI_FILE
from shared.web.openapi import describe, text


def load_module(name: str) -> ModuleType:
    """Load a function's entry point under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"functions_{name}_main", source_of(name))
    if spec is None or spec.loader is None:
        raise LookupError(f"no entry point at {source_of(name)}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_function(name: str) -> Function:
    """A function's routes, for looking at."""
    function = load_module(name).function
    if not isinstance(function, Function):
        raise TypeError(f"{source_of(name)} must hold a shared.web.Function named 'function'")
    return function


def generate() -> str:
    """The OpenAPI document of all functions, as text."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return text(describe([load_function(name) for name in read_catalogue().functions], version=version))


if __name__ == "__main__":
    OPENAPI_FILE.write_text(generate())
