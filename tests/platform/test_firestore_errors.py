from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from google.api_core import exceptions as google

from shared.errors import ConfigurationError, InvalidInput, PlatformUnavailable
from shared.platform.gcp.firestore_errors import ERRORS, translated

KNOWN = [
    one
    for _, one in inspect.getmembers(google, inspect.isclass)
    if issubclass(one, Exception) and one.__module__ == google.__name__
]
OF_UPLOADS = {"ResumableTransferError", "TransferStalledError", "UnseekableStreamError"}
OF_UPLOADS |= {"UploadCancelledError", "MissingStatusHeaderError"}
"""What only Cloud Storage's uploads raise."""


def made(kind: Callable[[str], Exception], message: str) -> Exception:
    return kind(message)


@pytest.mark.parametrize("error", KNOWN, ids=lambda error: error.__name__)
def test_every_error_of_the_client_has_its_meaning(error: type[Exception]) -> None:
    assert error in ERRORS or error.__name__ in OF_UPLOADS


def test_an_error_is_told_with_what_was_done() -> None:
    found = translated(made(google.InvalidArgument, "a\nb"), "writing things/a")
    assert type(found) is InvalidInput
    assert found.detail == "Firestore: writing things/a failed: 400 a b"
    assert type(translated(made(google.PermissionDenied, "no"), "x")) is ConfigurationError


def test_an_error_of_a_newer_client_is_taken_for_its_parent() -> None:
    class Overheated(google.ServiceUnavailable):
        pass

    class Strange(google.GoogleAPICallError):
        pass

    assert type(translated(made(Overheated, "too hot"), "x")) is PlatformUnavailable
    assert type(translated(made(Strange, "?"), "x")) is PlatformUnavailable
