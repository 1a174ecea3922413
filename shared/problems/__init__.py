"""What there is to learn: the built-in problems, one declarative file each, found in this folder.

A problem file holds one constant, `PROBLEM`, and is named like it. Adding a file is all it takes. Problems
that users declare are documents: `shared.problems.declared.Problems` knows these and the built-in ones.
Light: nothing here imports a training library.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
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
    "unknown_problem",
]


@functools.cache
def problems() -> Mapping[str, Problem]:
    """Every built-in problem, by name.

    Raises:
        ConfigurationError: a file in this folder holds no `PROBLEM`, or one of another name.
    """
    files = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return MappingProxyType({name: _load(name) for name in files if name != "spec"})


def problem(name: str) -> Problem:
    """The built-in problem of that name.

    Raises:
        NotFound: there is none; the message names near ones.
    """
    known = problems()
    if name in known:
        return known[name]
    raise unknown_problem(name, known)


def unknown_problem(name: str, known: Iterable[str]) -> NotFound:
    """The error that there is no problem of that name; it names near ones."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3) or names
    return NotFound(f"There is no problem {name!r}. Near: {', '.join(near)}.")


def problem_of_model(model_name: str) -> Problem | None:
    """The built-in problem whose models have that name, or None."""
    return next((p for p in problems().values() if p.model_name == model_name), None)


def _load(name: str) -> Problem:
    found = getattr(importlib.import_module(f"{__name__}.{name}"), "PROBLEM", None)
    if not isinstance(found, Problem) or found.name != name:
        raise ConfigurationError(
            f"shared/problems/{name}.py must hold a constant PROBLEM, a Problem whose name is {name!r}."
        )
    return found
