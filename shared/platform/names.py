"""What blobs, secrets and documents may be called, wherever they are kept."""

from __future__ import annotations

import hashlib
import re

from shared.errors import InvalidInput

_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._=^-]{1,200}"
_BLOB = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_PREFIX = re.compile(r"(?!/)(?!(?:.*/)?\.{1,2}(?:/|\Z))[A-Za-z0-9._=^/-]*\Z")
_MAX_BLOB = 1_000
_SECRET = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")

KEY_DIGITS = 20  # 80 bits, and still fit for a terminal


def is_blob_name(text: str) -> bool:
    return len(text) <= _MAX_BLOB and _BLOB.match(text) is not None


def is_blob_prefix(text: str) -> bool:
    """Whether a blob's name may begin so."""
    return _PREFIX.match(text) is not None


def require_blob_name(text: str) -> None:
    """
    Raises:
        InvalidInput: not a name.
    """
    if not is_blob_name(text):
        raise InvalidInput(
            "A blob's name is parts of letters, digits and '._=^-' joined by '/', none '.' or '..', "
            f"at most 200 characters each and {_MAX_BLOB} in all; found {text!r}."
        )


def is_secret_name(text: str) -> bool:
    return _SECRET.match(text) is not None


def require_secret_name(text: str) -> None:
    """
    Raises:
        InvalidInput: not a name.
    """
    if not is_secret_name(text):
        raise InvalidInput(f"A secret's name is 1 to 63 of a-z, 0-9 and '-', not {text!r}.")


def secret_variable(name: str) -> str:
    """The environment variable that may hold the secret."""
    return name.upper().replace("-", "_")


def key(*parts: str) -> str:
    """An id made of all of `parts`, the same for the same ones."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
