"""What the errors of boto3 mean to the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.errors import AlreadyExists, ConfigurationError, EngineError, NotFound, PlatformUnavailable

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CONTENDED = "ConditionalRequestConflict"
"""The code of a conditional write that met another: to be sent again."""

_REFUSED_CODES = frozenset(
    {"AuthorizationHeaderMalformed", "ExpiredToken", "InvalidToken", "NoSuchBucket", "PermanentRedirect"}
)
_REFUSED_STATUS = frozenset({301, 401, 403})


@contextmanager
def translated(act: str) -> Iterator[None]:
    """Raise the engine's errors for boto3's. `act` says what was tried: `put s3://bucket/a`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError, ProxySchemeUnsupported

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error, HTTPError, ProxySchemeUnsupported, OSError) as error:
        raise meaning(error, act) from error


def meaning(error: Exception, act: str) -> EngineError:
    """The engine's error for one of boto3's, or of the libraries below it."""
    from boto3 import exceptions as boto3
    from botocore import exceptions as boto
    from urllib3.exceptions import ProxySchemeUnsupported

    passing = (
        boto.CapacityNotAvailableError,
        boto.ChecksumError,
        boto.ConnectionError,
        boto.CredentialRetrievalError,
        boto.FlexibleChecksumError,
        boto.HTTPClientError,
        boto.IncompleteReadError,
        boto.MetadataRetrievalError,
        boto.PaginationError,
        boto.TokenRetrievalError,
        boto3.RetriesExceededError,
        boto3.S3TransferFailedError,
        boto3.S3UploadFailedError,
    )
    families = (boto.BotoCoreError, boto3.Boto3Error, ProxySchemeUnsupported)
    if isinstance(error, boto.ClientError):
        return _meaning_of_answer(error, act)
    if isinstance(error, families) and not isinstance(error, passing):
        return ConfigurationError(f"S3 can't be asked to {act}: {error}")
    return PlatformUnavailable(f"S3 failed to {act}: {type(error).__name__}: {error}")


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _meaning_of_answer(error: ClientError, act: str) -> EngineError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status == 412:
        return AlreadyExists(f"Can't {act}: the name is taken.")
    if code in _REFUSED_CODES or status in _REFUSED_STATUS:
        return ConfigurationError(
            f"S3 refused to {act} ({status} {code}). "
            "Check the bucket, its region, and the rights of the credentials."
        )
    if status == 404:
        return NotFound(f"Can't {act}: it isn't there.")
    return PlatformUnavailable(f"S3 failed to {act}: {status} {code}.")
