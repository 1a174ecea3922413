"""Access tokens: this instance's own from the metadata server, elsewhere a person's through google-auth.

On Cloud Run the token is one GET away, and google-auth's way to it loads requests, urllib3 and
cryptography: 90 ms of every cold start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shared.errors import ConfigurationError, PlatformUnavailable

if TYPE_CHECKING:
    import httpx
    from google.auth.credentials import Credentials

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"
_HOST: Final = "metadata.google.internal"
_EARLY_SECONDS: Final = 240.0
"""A token is fetched anew when it lives no longer than this; the server renews its own five minutes early."""

_LAST_SECONDS: Final = 10.0
"""So long before its end a token isn't used any more."""


def tokens(client: httpx.Client) -> Callable[[], str]:
    """What gives a valid access token at each call. Not safe from several threads at once.

    Its errors: `PlatformUnavailable` where a retry may help, `ConfigurationError` where it can't.
    """
    is_on_cloud_run = bool(os.environ.get("K_SERVICE") or os.environ.get("CLOUD_RUN_JOB"))
    return MetadataTokens(client).token if is_on_cloud_run else LibraryTokens().token


class MetadataTokens:
    """Tokens of the service account that this instance runs as.

    Source: cloud.google.com/run/docs/securing/service-identity, "fetching access tokens".
    """

    def __init__(self, client: httpx.Client, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._token = ""
        self._ends = float("-inf")

    def token(self) -> str:
        if self._monotonic() >= self._ends:
            try:
                self._fetch()
            except PlatformUnavailable:
                if self._monotonic() >= self._ends + _EARLY_SECONDS - _LAST_SECONDS:
                    raise  # else the last one is still good
        return self._token

    def _fetch(self) -> None:
        import httpx

        host = os.environ.get("GCE_METADATA_HOST") or _HOST
        asked_at = self._monotonic()
        try:
            answer = self._client.get(f"http://{host}{_PATH}", headers={"metadata-flavor": "Google"})
            answer.raise_for_status()
            found = answer.json()
            self._token = str(found["access_token"])
            self._ends = asked_at + float(found["expires_in"]) - _EARLY_SECONDS
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise PlatformUnavailable(
                f"The metadata server gave no token ({type(error).__name__}: {error})."
            ) from error


class LibraryTokens:
    """Tokens of whoever is logged in here: Application Default Credentials."""

    def token(self) -> str:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        if not self._credentials.valid:
            try:
                self._credentials.refresh(Request())  # type: ignore[no-untyped-call]  # partly typed
            except TransportError as error:
                raise PlatformUnavailable(f"No token could be fetched: {error}") from error
            except GoogleAuthError as error:
                raise ConfigurationError(
                    f"Google Cloud gives no token ({error}). Run 'gcloud auth application-default login'."
                ) from error
        return str(self._credentials.token)

    @cached_property
    def _credentials(self) -> Credentials:
        try:
            import google.auth
            from google.auth.exceptions import DefaultCredentialsError
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "Outside of Cloud Run, PLATFORM=gcp needs the package google-auth: "
                "pip install -r infra/requirements/emulators.txt"
            ) from error
        try:
            credentials, _ = google.auth.default(scopes=[_SCOPE])
        except DefaultCredentialsError as error:
            raise ConfigurationError(
                "There are no credentials for Google Cloud. Run 'gcloud auth application-default login'."
            ) from error
        return credentials
