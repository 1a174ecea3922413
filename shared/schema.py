"""Bases of what goes in and comes out. Schemas are built on first use, not at import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict


class Query(BaseModel):
    """Query parameters. An unknown one is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Body(BaseModel):
    """A JSON request body. An unknown member is refused; no type is guessed.

    One that comes in other forms, too, names their `media_types` ("" for a body that doesn't say what it is)
    and has a `decode` of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    media_types: ClassVar[tuple[str, ...]] = ("application/json",)
    limit_bytes: ClassVar[int] = 1_000_000

    @classmethod
    def is_needed(cls) -> bool:
        """Whether a call without a body can only be wrong."""
        return any(field.is_required() for field in cls.model_fields.values())

    @classmethod
    def decode(cls, content: bytes, headers: Mapping[bytes, bytes]) -> Self:  # noqa: ARG003 - others need them
        """The body as it came. No body at all counts as `{}`.

        Raises:
            ValidationError: pydantic's.
            InvalidInput, MalformedRequest
        """
        return cls.model_validate_json(content or b"{}")


class Answer(BaseModel):
    """A JSON answer."""

    model_config = ConfigDict(frozen=True, defer_build=True, protected_namespaces=())
