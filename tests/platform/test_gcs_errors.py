"""Every error that Google's storage client, and what it stands on, can raise has a meaning here."""

from __future__ import annotations

import http.client
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import google.api_core.exceptions
import google.auth.exceptions
import google.cloud.storage.exceptions
import google.resumable_media.common
import pytest
import requests
import urllib3

from shared.errors import AlreadyExists, ConfigurationError, EngineError, PlatformUnavailable
from shared.platform.gcp.blob_errors import translated

MODULES: tuple[ModuleType, ...] = (
    google.api_core.exceptions,
    google.auth.exceptions,
    google.cloud.storage.exceptions,
    google.resumable_media.common,
    requests.exceptions,
    urllib3.exceptions,
    http.client,
)
TAKEN = "google.api_core: PreconditionFailed"
NEVER_RAISED = "google.api_core: AsyncRestUnsupportedParameterError"
"""Of a transport that the client doesn't use."""
CONFIGURATION = """
google.api_core: DuplicateCredentialArgs Forbidden NotFound PermissionDenied Unauthenticated Unauthorized
google.auth: ClientCertError DefaultCredentialsError GoogleAuthError InvalidOperation InvalidResource
google.auth: InvalidType InvalidValue MalformedError MutualTLSChannelError OAuthError OSError
google.auth: ReauthFailError ReauthSamlChallengeFailError RefreshError UserAccessTokenError
google.cloud: InvalidPathError
requests.exceptions: InvalidHeader InvalidProxyURL InvalidSchema InvalidURL MissingSchema URLRequired
urllib3.exceptions: ProxySchemeUnsupported
"""
PASSING = """
google.api_core: Aborted AlreadyExists BadGateway BadRequest Cancelled ClientError Conflict DataLoss
google.api_core: DeadlineExceeded FailedPrecondition GatewayTimeout GoogleAPICallError GoogleAPIError
google.api_core: InternalServerError InvalidArgument LengthRequired MethodNotAllowed MethodNotImplemented
google.api_core: MissingStatusHeaderError MovedPermanently NotModified OutOfRange Redirection
google.api_core: RequestRangeNotSatisfiable ResourceExhausted ResumableTransferError ResumeIncomplete
google.api_core: RetryError ServerError ServiceUnavailable TemporaryRedirect TooManyRequests
google.api_core: TransferStalledError Unknown UnseekableStreamError UploadCancelledError
google.auth: ResponseError TimeoutError TransportError
google.cloud: DataCorruption InvalidResponse
google.resumable_media: DataCorruption InvalidResponse
"""


def listed(text: str) -> set[str]:
    lines = [line.partition(": ") for line in text.strip().splitlines()]
    return {f"{package}: {name}" for package, _, names in lines for name in names.split()}


def label(kind: Any) -> str:
    return f"{'.'.join(kind.__module__.split('.')[:2])}: {kind.__name__}"


def kinds() -> Iterator[type[Exception]]:
    for module in MODULES:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            ours = kind.__module__ == module.__name__
            if ours and issubclass(kind, Exception) and not issubclass(kind, Warning):
                yield kind


def made(kind: type[Exception]) -> Exception:
    """One of that kind, whatever its maker wants to know."""
    if issubclass(kind, google.api_core.exceptions.GoogleAPICallError):
        return kind("a reason")
    if kind is http.client.IncompleteRead:
        return kind(b"", 2)
    error: Exception = kind.__new__(kind)
    error.args = ("a reason",)
    vars(error).update(partial=1, expected=2, length=3, message="", response=None, _cause=None)
    return error


def meaning(error: Exception) -> EngineError:
    with pytest.raises(EngineError) as raised, translated("put gs://bucket/a"):
        raise error
    assert raised.value.__cause__ is error
    assert "put gs://bucket/a" in str(raised.value)
    return raised.value


def expected(kind: type[Exception]) -> type[EngineError] | None:
    """None where nobody has decided yet: a new class of the library."""
    name = label(kind)
    if name in listed(TAKEN):
        return AlreadyExists
    if name in listed(CONFIGURATION):
        return ConfigurationError
    below = name.startswith(("requests.", "urllib3.", "http."))  # whatever fails on the line may pass
    return PlatformUnavailable if below or name in listed(PASSING) else None


@pytest.mark.parametrize(
    "kind", sorted((one for one in kinds() if label(one) != NEVER_RAISED), key=label), ids=label
)
def test_every_error_has_a_meaning(kind: type[Exception]) -> None:
    assert type(meaning(made(kind))) is expected(kind)


def test_every_error_that_was_decided_on_is_still_there() -> None:
    decided = listed(TAKEN) | listed(CONFIGURATION) | listed(PASSING) | {NEVER_RAISED}
    assert decided <= {label(kind) for kind in kinds()}


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), TimeoutError("late"), BrokenPipeError()])
def test_a_line_that_breaks_may_be_mended(error: OSError) -> None:
    assert type(meaning(error)) is PlatformUnavailable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/upload/storage/v1/b/bucket/o?uploadType=resumable", ConfigurationError),
        ("https://h/upload/storage/v1/b/bucket/o?uploadType=resumable&upload_id=x", PlatformUnavailable),
    ],
)
def test_a_forgotten_upload_isnt_a_missing_bucket(url: str, expected: type[EngineError]) -> None:
    response = requests.Response()
    response.url = url
    error: Any = google.api_core.exceptions.NotFound
    assert type(meaning(error("gone", response=response))) is expected


def test_what_isnt_the_librarys_isnt_touched() -> None:
    with pytest.raises(ZeroDivisionError), translated("divide"):
        raise ZeroDivisionError
