"""Secrets, and who calls."""

from __future__ import annotations

from typing import Protocol


class Secrets(Protocol):
    def get(self, name: str) -> str:
        """The secret's current value.

        Raises:
            NotFound: no such secret.
        """
        ...


class Identities(Protocol):
    """Services that call with a token which the platform gave them."""

    def verify(self, token: str, audience: str) -> str:
        """The e-mail address of the service account that presents `token` to `audience`, a URL.

        Raises:
            Unauthenticated: no such token is valid here; says what is wrong with it, never what it is.
        """
        ...
