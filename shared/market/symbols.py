"""Symbols: what may name an instrument, in one place."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import StringConstraints

from shared.errors import FieldError, InvalidInput

SYMBOL_PATTERN = r"^[A-Za-z0-9^][A-Za-z0-9.^=_-]{0,31}$"

Symbol: TypeAlias = Annotated[str, StringConstraints(pattern=SYMBOL_PATTERN)]
"""A symbol in a pydantic model."""

_SYMBOL = re.compile(SYMBOL_PATTERN.removesuffix("$"))


def is_symbol(text: str) -> bool:
    return _SYMBOL.fullmatch(text) is not None


def check_symbol(text: str, *, pointer: str = "?symbol") -> str:
    """`text` itself.

    Raises:
        InvalidInput: it can't name an instrument; `pointer` says where it came from.
    """
    if is_symbol(text):
        return text
    expected = "1 to 32 letters, digits and .^=_-, the first a letter, a digit or ^"
    detail = f"A symbol is {expected}; found {text[:40]!r}."
    raise InvalidInput(detail, errors=[FieldError(pointer, detail)])
