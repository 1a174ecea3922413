"""Bases of what goes in and comes out. Schemas are built on first use, not at import."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Query(BaseModel):
    """Query parameters. An unknown one is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Body(BaseModel):
    """A JSON request body. An unknown member is refused; no type is guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Answer(BaseModel):
    """A JSON answer."""

    model_config = ConfigDict(frozen=True, defer_build=True, protected_namespaces=())
