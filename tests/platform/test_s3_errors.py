"""Every error that boto3, and what it stands on, can raise has a meaning here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3.exceptions
import botocore.exceptions
import pytest
import urllib3
from botocore.exceptions import ClientError

from shared.errors import AlreadyExists, ConfigurationError, EngineError, NotFound, PlatformUnavailable
from shared.platform.s3.errors import translated

MODULES: tuple[ModuleType, ...] = (boto3.exceptions, botocore.exceptions, urllib3.exceptions)
NEVER_RAISED = "UndefinedModelAttributeError MissingServiceIdError"
"""Of boto's own making of clients, and of no family: they would be a defect of boto."""
PASSING = """
CapacityNotAvailableError ChecksumError ClientError ConnectTimeoutError ConnectionClosedError
ConnectionError CredentialRetrievalError EndpointConnectionError EventStreamError FlexibleChecksumError
HTTPClientError IncompleteReadError MetadataRetrievalError PaginationError ProxyConnectionError
ReadTimeoutError ResponseStreamingError RetriesExceededError S3TransferFailedError S3UploadFailedError
SSLError TokenRetrievalError
"""
CONFIGURATION = """
AliasConflictParameterError ApiVersionNotFoundError AwsChunkedWrapperError BaseEndpointResolverError
Boto3Error BotoCoreError ConfigNotFound ConfigParseError DataNotFoundError DynamoDBNeedsConditionError
DynamoDBNeedsKeyConditionError DynamoDBOperationNotSupportedError EndpointProviderError
EndpointResolutionError EndpointVariantError InfiniteLoopConfigError InvalidChecksumConfigError
InvalidConfigError InvalidCrtTransferConfigError InvalidDNSNameError InvalidDefaultsMode
InvalidEndpointConfigurationError InvalidEndpointDiscoveryConfigurationError InvalidExpressionError
InvalidHostLabelError InvalidIMDSEndpointError InvalidIMDSEndpointModeError InvalidMaxRetryAttemptsError
InvalidProxiesConfigError InvalidRegionError InvalidRetryConfigurationError InvalidRetryModeError
InvalidS3AddressingStyleError InvalidS3UsEast1RegionalEndpointConfigError
InvalidSTSRegionalEndpointsConfigError LoginAuthorizationCodeError LoginError
LoginInsufficientPermissions LoginRefreshRequired LoginTokenLoadError MD5UnavailableError
MissingDependencyException MissingParametersError NoAuthTokenError NoCredentialsError NoRegionError
NoVersionFound OperationNotPageableError ParamValidationError PartialCredentialsError ProfileNotFound
ProxySchemeUnsupported RangeError RefreshWithMFAUnsupportedError ResourceLoadException
ResourceNotExistsError SSOError SSOTokenLoadError ServiceNotInRegionError StubAssertionError
StubResponseError UnStubbedResponseError UnauthorizedSSOTokenError UnknownAPIVersionError
UnknownClientMethodError UnknownCredentialError UnknownEndpointError UnknownEndpointResolutionBuiltInName
UnknownFIPSEndpointError UnknownKeyError UnknownParameterError UnknownRegionError UnknownServiceError
UnknownServiceStyle UnknownSignatureVersionError UnknownTokenProviderError UnseekableStreamError
UnsupportedOutpostResourceError UnsupportedS3AccesspointConfigurationError UnsupportedS3ArnError
UnsupportedS3ConfigurationError UnsupportedS3ControlArnError UnsupportedS3ControlConfigurationError
UnsupportedServiceProtocolsError UnsupportedSignatureVersionError ValidationError WaiterConfigError
WaiterError
"""


def listed(text: str) -> set[str]:
    return set(text.split())


def kinds() -> Iterator[type[Exception]]:
    for module in MODULES:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            ours = kind.__module__ == module.__name__
            if ours and issubclass(kind, Exception) and not issubclass(kind, Warning):
                yield kind


def made(kind: type[Exception]) -> Exception:
    """One of that kind, whatever its maker wants to know."""
    if issubclass(kind, ClientError):
        return kind({}, "PutObject")
    error: Exception = kind.__new__(kind)
    error.args = ("a reason",)
    vars(error).update(partial=1, expected=2, length=3)  # some name them in their words
    return error


def meaning(error: Exception) -> EngineError:
    with pytest.raises(EngineError) as raised, translated("put s3://bucket/a"):
        raise error
    assert raised.value.__cause__ is error
    assert "put s3://bucket/a" in str(raised.value)
    return raised.value


def expected(kind: type[Exception]) -> type[EngineError] | None:
    """None where nobody has decided yet: a new class of the library."""
    if kind.__name__ in listed(CONFIGURATION):
        return ConfigurationError
    below = kind.__module__.startswith("urllib3")  # whatever fails on the line may pass
    return PlatformUnavailable if below or kind.__name__ in listed(PASSING) else None


def label(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__name__}"


@pytest.mark.parametrize(
    "kind",
    sorted((kind for kind in kinds() if kind.__name__ not in listed(NEVER_RAISED)), key=label),
    ids=label,
)
def test_every_error_has_a_meaning(kind: type[Exception]) -> None:
    assert type(meaning(made(kind))) is expected(kind)


def test_every_error_that_was_decided_on_is_still_there() -> None:
    decided = listed(PASSING) | listed(CONFIGURATION) | listed(NEVER_RAISED)
    assert decided <= {kind.__name__ for kind in kinds()}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (301, "PermanentRedirect", ConfigurationError),
        (400, "AuthorizationHeaderMalformed", ConfigurationError),
        (400, "BadDigest", PlatformUnavailable),
        (400, "ExpiredToken", ConfigurationError),
        (400, "RequestTimeout", PlatformUnavailable),
        (401, "Unauthorized", ConfigurationError),
        (403, "AccessDenied", ConfigurationError),
        (403, "InvalidAccessKeyId", ConfigurationError),
        (403, "RequestTimeTooSkewed", ConfigurationError),
        (403, "SignatureDoesNotMatch", ConfigurationError),
        (404, "404", NotFound),
        (404, "NoSuchBucket", ConfigurationError),
        (404, "NoSuchKey", NotFound),
        (409, "ConditionalRequestConflict", PlatformUnavailable),
        (412, "PreconditionFailed", AlreadyExists),
        (429, "TooManyRequests", PlatformUnavailable),
        (500, "InternalError", PlatformUnavailable),
        (503, "SlowDown", PlatformUnavailable),
    ],
)
def test_an_answer_means_what_its_status_and_code_say(
    status: int, code: str, expected: type[EngineError]
) -> None:
    answer = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert type(meaning(ClientError(answer, "PutObject"))) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), TimeoutError("late"), BrokenPipeError()])
def test_a_line_that_breaks_may_be_mended(error: OSError) -> None:
    assert type(meaning(error)) is PlatformUnavailable


def test_what_isnt_the_librarys_isnt_touched() -> None:
    with pytest.raises(ZeroDivisionError), translated("divide"):
        raise ZeroDivisionError
