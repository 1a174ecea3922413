"""What there is to learn: one declarative file per problem, found by looking into this folder.

A problem file holds one constant, `PROBLEM`, and is named like it. Adding a file is all it takes.
Light: nothing here imports a training library.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from shared.errors import ConfigurationError, NotFound
from shared.problems.spec import Candidate, Gate, MarketProblem, Problem, TabularProblem

__all__ = [
    "Candidate",
    "Gate",
    "MarketProblem",
    "Problem",
    "TabularProblem",
    "problem",
    "problem_of_model",
    "problems",
]


@functools.cache
def problems() -> Mapping[str, Problem]:
    """Every problem, by name.

    Raises:
        ConfigurationError: a file in this folder holds no `PROBLEM`, or one of another name.
    """
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return MappingProxyType({name: _load(name) for name in modules if name != "spec"})


def problem(name: str) -> Problem:
    """The problem of that name.

    Raises:
        NotFound: there is none; the message names near ones.
    """
    known = problems()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3) or sorted(known)
    raise NotFound(f"There is no problem {name!r}. Near: {', '.join(near)}.")


def problem_of_model(model_name: str) -> Problem | None:
    """The problem whose models have that name, or None."""
    return next((p for p in problems().values() if p.model_name == model_name), None)


def _load(name: str) -> Problem:
    found = getattr(importlib.import_module(f"{__name__}.{name}"), "PROBLEM", None)
    if not isinstance(found, Problem) or found.name != name:
        raise ConfigurationError(
            f"shared/problems/{name}.py must hold a constant PROBLEM, a Problem whose name is {name!r}."
        )
    return found
