"""What a model may be called: asked where models are registered, and where problems are declared."""

from __future__ import annotations

import re
from typing import Final

WORDS_OF_ROUTES: Final = frozenset({"activate", "upload", "uploads"})
"""What stands in paths where a model's name would."""

_NAME: Final = re.compile(r"(?!.*-v[0-9]+\Z)[a-z][a-z0-9-]{0,62}\Z")


def fault_of_model_name(name: str) -> str | None:
    """Why no model can have that name; None where one can."""
    if not _NAME.match(name):
        return (
            "A model's name is 1 to 63 of a-z, 0-9 and '-', begins with a letter, and doesn't end like a "
            f"version ('-v7'); found {name!r}."
        )
    if name in WORDS_OF_ROUTES:
        return f"{name!r} means something else in the routes of models: choose another name."
    return None
