"""Where no service accounts are known: on the twin, and on emulators."""

from __future__ import annotations

from shared.errors import Unauthenticated


class NoIdentities:
    """The Identities port where the platform gives nobody tokens."""

    def verify(self, token: str, audience: str) -> str:  # noqa: ARG002 - every token is refused alike
        raise Unauthenticated("Identity tokens are taken on Google Cloud only: send the key as 'X-API-Key'.")
