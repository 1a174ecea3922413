"""What the errors of Google's storage client mean to the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.errors import AlreadyExists, ConfigurationError, EngineError, PlatformUnavailable

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError

_TAKEN = 412
_REFUSED = frozenset({401, 403})
_MISSING = 404


@contextmanager
def translated(act: str) -> Iterator[None]:
    """Raise the engine's errors for the client's. `act` says what was tried: `put gs://bucket/a`."""
    import http.client

    import requests
    import urllib3
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import InvalidPathError
    from google.resumable_media import DataCorruption, InvalidResponse  # the parents of storage's own

    try:
        yield
    except (
        GoogleAPIError,
        GoogleAuthError,
        DataCorruption,
        InvalidPathError,
        InvalidResponse,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        urllib3.exceptions.ProxySchemeUnsupported,
        http.client.HTTPException,
        OSError,
    ) as error:
        raise meaning(error, act) from error


def meaning(error: Exception, act: str) -> EngineError:
    """The engine's error for one of the client's, or of the libraries below it."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from google.cloud.storage.exceptions import InvalidPathError
    from requests import exceptions as http
    from urllib3.exceptions import ProxySchemeUnsupported

    wrong_installation = (
        api.DuplicateCredentialArgs,
        InvalidPathError,
        http.InvalidHeader,
        http.InvalidSchema,
        http.InvalidURL,
        http.MissingSchema,
        http.URLRequired,
        ProxySchemeUnsupported,
    )
    if isinstance(error, api.GoogleAPICallError):
        return _meaning_of_answer(error, act)
    if isinstance(error, wrong_installation):
        return ConfigurationError(f"Cloud Storage can't be asked to {act}: {error}")
    if isinstance(error, auth.GoogleAuthError) and not isinstance(
        error, (auth.TransportError, auth.TimeoutError, auth.ResponseError)
    ):
        return ConfigurationError(f"Google Cloud gives this instance no credentials to {act}: {error}")
    return PlatformUnavailable(f"Cloud Storage failed to {act}: {type(error).__name__}: {error}")


def _meaning_of_answer(error: GoogleAPICallError, act: str) -> EngineError:
    if error.code == _TAKEN:
        return AlreadyExists(f"Can't {act}: the name is taken.")
    if error.code in _REFUSED:
        return ConfigurationError(
            f"Cloud Storage refused to {act} ({error.code}). "
            "Check the roles of this function's service account."
        )
    if error.code == _MISSING and not _was_under_way(error):
        return ConfigurationError(f"Can't {act}: there is no such bucket.")
    return PlatformUnavailable(f"Cloud Storage failed to {act}: {error.code}: {error.message}")


def _was_under_way(error: GoogleAPICallError) -> bool:
    """Whether a part of an upload failed: then the service has forgotten the upload, not the bucket."""
    return "upload_id=" in str(getattr(error.response, "url", ""))
