"""JSON text, strictly: what every reader understands, or an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.errors import InvalidInput


def to_json(value: Mapping[str, Any], *, what: str) -> str:
    """Compact JSON.

    Raises:
        InvalidInput: `what` holds something else, NaN or infinity, or text that no encoding has.
    """
    try:
        text = _ENCODER.encode(_plain(value))
        text.encode()  # refuses lone surrogates
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} isn't JSON: {error}.") from error
    return text


def _plain(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a JSON value, found {type(value).__name__}")
    return dict(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
