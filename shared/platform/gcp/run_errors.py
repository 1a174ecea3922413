"""What the errors of Cloud Run's client mean to the engine, and those of the libraries below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from shared.errors import (
    ConfigurationError,
    EngineError,
    InvalidInput,
    NotFound,
    PlatformUnavailable,
)

_LONGEST_MESSAGE = 300
_NO_RIGHT = (401, 403)
_GIVEN_UP = (408, 499)  # by the service or by the client, while it was under way


@contextmanager
def translated(act: str) -> Iterator[None]:
    """Raise the engine's errors for the client's, which are their cause. `act` says what was tried."""
    import requests
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]  # no stubs

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, requests.RequestException, ParseError) as error:
        raise meaning(error)(f"Cloud Run failed to {act}: {_words(error)}") from error


def meaning(error: BaseException) -> type[EngineError]:
    """The engine's class for an error of the clients, or of the libraries below them."""
    if getattr(error, "retryable", False):  # so say google-auth's errors
        return PlatformUnavailable
    table = meanings()
    return next((table[kind] for kind in type(error).__mro__ if kind in table), PlatformUnavailable)


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later. For calls that may be made twice."""
    return meaning(error) is PlatformUnavailable


def was_refused(error: BaseException | None) -> bool:
    """Whether the service answered that it did nothing: no time ran out, no answer was lost."""
    from google.api_core.exceptions import GoogleAPICallError

    code = error.code if isinstance(error, GoogleAPICallError) else None
    return code is not None and 400 <= code < 500 and code not in _GIVEN_UP


@cache
def meanings() -> Mapping[type[BaseException], type[EngineError]]:
    """By the client's class; a class that isn't here means what its nearest base means."""
    import requests
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from google.protobuf.json_format import ParseError

    return {
        api.GoogleAPIError: PlatformUnavailable,
        api.GoogleAPICallError: PlatformUnavailable,
        api.RetryError: PlatformUnavailable,
        api.ClientError: InvalidInput,
        api.BadRequest: InvalidInput,
        api.InvalidArgument: InvalidInput,
        api.OutOfRange: InvalidInput,
        api.LengthRequired: InvalidInput,
        api.PreconditionFailed: InvalidInput,
        api.FailedPrecondition: InvalidInput,
        api.RequestRangeNotSatisfiable: InvalidInput,
        api.NotFound: NotFound,
        api.Conflict: PlatformUnavailable,  # the job is being changed: nothing of ours is create-only
        api.AlreadyExists: PlatformUnavailable,
        api.Aborted: PlatformUnavailable,
        api.Cancelled: PlatformUnavailable,
        api.TooManyRequests: PlatformUnavailable,
        api.ResourceExhausted: PlatformUnavailable,
        api.ServerError: PlatformUnavailable,
        api.InternalServerError: PlatformUnavailable,
        api.Unknown: PlatformUnavailable,
        api.DataLoss: PlatformUnavailable,
        api.BadGateway: PlatformUnavailable,
        api.ServiceUnavailable: PlatformUnavailable,
        api.GatewayTimeout: PlatformUnavailable,
        api.DeadlineExceeded: PlatformUnavailable,
        api.ResumableTransferError: PlatformUnavailable,
        api.TransferStalledError: PlatformUnavailable,
        api.UploadCancelledError: PlatformUnavailable,
        # no credentials, no right, or an address that isn't the API's: the installation's fault
        api.Unauthorized: ConfigurationError,
        api.Unauthenticated: ConfigurationError,
        api.Forbidden: ConfigurationError,
        api.PermissionDenied: ConfigurationError,
        api.MethodNotAllowed: ConfigurationError,
        api.MethodNotImplemented: ConfigurationError,
        api.Redirection: ConfigurationError,
        api.MovedPermanently: ConfigurationError,
        api.NotModified: ConfigurationError,
        api.TemporaryRedirect: ConfigurationError,
        api.ResumeIncomplete: ConfigurationError,
        api.DuplicateCredentialArgs: ConfigurationError,
        api.UnseekableStreamError: ConfigurationError,
        api.MissingStatusHeaderError: ConfigurationError,
        auth.GoogleAuthError: ConfigurationError,
        auth.TransportError: PlatformUnavailable,
        auth.TimeoutError: PlatformUnavailable,
        ParseError: PlatformUnavailable,  # something between us and the service answered
        requests.RequestException: PlatformUnavailable,
        requests.exceptions.InvalidURL: ConfigurationError,
        requests.exceptions.InvalidSchema: ConfigurationError,
        requests.exceptions.MissingSchema: ConfigurationError,
    }


def _words(error: Exception) -> str:
    words = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_MESSAGE]
    is_refused = getattr(error, "code", None) in _NO_RIGHT
    return f"{words} Check the roles of this function's service account." if is_refused else words
