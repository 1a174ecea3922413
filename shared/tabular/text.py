"""Values as CSV writes them: text, whatever the column."""

from __future__ import annotations

import re
from typing import Final

from shared.tabular.columns import Column, Value

MISSING_TEXT: Final = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
"""What stands for a missing value."""

TRUE_TEXT: Final = ("true", "1", "yes")
FALSE_TEXT: Final = ("false", "0", "no")
NUMBER_TEXT: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

_NUMBER: Final = re.compile(NUMBER_TEXT, re.ASCII)


def value_of(column: Column, text: str) -> Value:
    """The value that `text` writes; text itself where it writes none that the column could have."""
    if text in MISSING_TEXT:
        return None
    if column.type == "category" and isinstance(column.categories[0], str):
        return text
    trimmed = text.strip()
    if column.type == "boolean":
        lower = trimmed.lower()
        return True if lower in TRUE_TEXT else False if lower in FALSE_TEXT else text
    return float(trimmed) if _NUMBER.match(trimmed) else text
