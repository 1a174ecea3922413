"""What Firestore's client raises, in the engine's words. Only what uses the client imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.api_core import exceptions as google

from shared.errors import (
    AlreadyExists,
    ConfigurationError,
    EngineError,
    InvalidInput,
    NotFound,
    PlatformUnavailable,
    RevisionConflict,
)

ERRORS: Final[Mapping[type[Exception], type[EngineError]]] = {
    # Nobody knows whether the call was carried out; another attempt may do better.
    google.ServiceUnavailable: PlatformUnavailable,
    google.DeadlineExceeded: PlatformUnavailable,
    google.GatewayTimeout: PlatformUnavailable,
    google.BadGateway: PlatformUnavailable,
    google.InternalServerError: PlatformUnavailable,
    google.Unknown: PlatformUnavailable,
    google.DataLoss: PlatformUnavailable,
    google.ServerError: PlatformUnavailable,
    google.Aborted: PlatformUnavailable,
    google.Cancelled: PlatformUnavailable,
    google.TooManyRequests: PlatformUnavailable,
    google.ResourceExhausted: PlatformUnavailable,
    google.RetryError: PlatformUnavailable,
    google.ResumeIncomplete: PlatformUnavailable,
    # A precondition of the batch doesn't hold.
    google.AlreadyExists: AlreadyExists,
    google.Conflict: AlreadyExists,
    google.FailedPrecondition: RevisionConflict,
    google.PreconditionFailed: RevisionConflict,
    google.NotFound: NotFound,
    # The call must change.
    google.InvalidArgument: InvalidInput,
    google.BadRequest: InvalidInput,
    google.OutOfRange: InvalidInput,
    # The installation must change.
    google.Unauthenticated: ConfigurationError,
    google.Unauthorized: ConfigurationError,
    google.PermissionDenied: ConfigurationError,
    google.Forbidden: ConfigurationError,
    google.MethodNotAllowed: ConfigurationError,
    google.MethodNotImplemented: ConfigurationError,
    google.LengthRequired: ConfigurationError,
    google.RequestRangeNotSatisfiable: ConfigurationError,
    google.ClientError: ConfigurationError,
    google.MovedPermanently: ConfigurationError,
    google.NotModified: ConfigurationError,
    google.TemporaryRedirect: ConfigurationError,
    google.Redirection: ConfigurationError,
    google.DuplicateCredentialArgs: ConfigurationError,
    google.AsyncRestUnsupportedParameterError: ConfigurationError,
    # The roots of the tree: something newer than this table.
    google.GoogleAPICallError: PlatformUnavailable,
    google.GoogleAPIError: PlatformUnavailable,
}


def translated(error: Exception, what: str) -> EngineError:
    """The error that the engine knows for what the client raised when it did `what`."""
    kind = next(ERRORS[parent] for parent in type(error).__mro__ if parent in ERRORS)
    return kind(f"Firestore: {what} failed: {' '.join(str(error).split())[:300]}")
