"""The one tree of errors. Each knows its HTTP status and whether a retry of the same call can help.

::

    EngineError
    ├── CallerError                 the call must change
    │   ├── InvalidInput            422  names each field: what was expected, what was found
    │   │   └── NotEnoughCandles    422  how many are there, how many are needed
    │   ├── MalformedRequest        400
    │   ├── Unauthenticated         401
    │   ├── Forbidden               403
    │   ├── NotFound                404
    │   │   └── UnknownSymbol       404  names near matches
    │   ├── MethodNotAllowed        405
    │   ├── Conflict                409
    │   │   ├── AlreadyExists       409  create-only write found something there
    │   │   ├── RevisionConflict    409  compare-and-swap lost: read again, decide again
    │   │   ├── NoActiveModel       409
    │   │   └── GatesNotPassed      409
    │   ├── PayloadTooLarge         413
    │   ├── UnsupportedMediaType    415
    │   └── TooManyRequests         429  wait as long as it says
    ├── OwnError                    500  ours to mend
    │   ├── ConfigurationError
    │   ├── CorruptBlob             bytes differ from their recorded sha256
    │   ├── PackageRefused          a model package that must not be served
    │   └── ExportRefused           the exported model disagrees with the fitted one
    └── DependencyError             somebody else's
        ├── UpstreamRejected        502  the upstream answered with a refusal; a retry can't help
        ├── UpstreamInvalid         502  the upstream answered with something that isn't candles
        ├── UpstreamUnavailable     503  a retry may help
        ├── ChannelRejected         502  a channel of alerts refused what was told
        ├── ChannelUnavailable      503  a channel of alerts can't be reached; a retry may help
        └── PlatformUnavailable     503  storage, documents or events; a retry may help
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with the input. `pointer` is a JSON pointer, or `?name` for a query parameter."""

    pointer: str
    detail: str


class EngineError(Exception):
    """Base of all errors the engine raises on purpose. `str(error)` is written for its reader."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds

    @property
    def slug(self) -> str:
        """The error's stable name in kebab case: the last part of the problem's `type`."""
        name = type(self).__name__
        return "".join("-" + c.lower() if c.isupper() else c for c in name).lstrip("-")


class CallerError(EngineError):
    status = 400
    title = "Bad request"


class InvalidInput(CallerError):
    status = 422
    title = "Invalid input"


class NotEnoughCandles(InvalidInput):
    title = "Not enough candles"


class MalformedRequest(CallerError):
    title = "Malformed request"


class Unauthenticated(CallerError):
    status = 401
    title = "Authentication needed"


class Forbidden(CallerError):
    status = 403
    title = "Not allowed"


class NotFound(CallerError):
    status = 404
    title = "Not found"


class UnknownSymbol(NotFound):
    title = "Unknown symbol"


class MethodNotAllowed(CallerError):
    """`allowed` are the methods that the path knows."""

    status = 405
    title = "Method not allowed"

    def __init__(self, detail: str, allowed: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.allowed = tuple(allowed)


class Conflict(CallerError):
    status = 409
    title = "Conflict"


class AlreadyExists(Conflict):
    title = "Already exists"


class RevisionConflict(Conflict):
    title = "Changed by somebody else"
    retryable = True


class NoActiveModel(Conflict):
    title = "No active model"


class GatesNotPassed(Conflict):
    title = "Gates not passed"


class PayloadTooLarge(CallerError):
    status = 413
    title = "Payload too large"


class UnsupportedMediaType(CallerError):
    status = 415
    title = "Unsupported media type"


class TooManyRequests(CallerError):
    status = 429
    title = "Too many requests"
    retryable = True


class OwnError(EngineError):
    pass


class ConfigurationError(OwnError):
    title = "Wrong configuration"


class CorruptBlob(OwnError):
    title = "Corrupt object"


class PackageRefused(OwnError):
    title = "Model package refused"


class ExportRefused(OwnError):
    title = "Model export refused"


class DependencyError(EngineError):
    status = 503
    title = "A dependency failed"


class UpstreamRejected(DependencyError):
    status = 502
    title = "The market data upstream refused the call"


class UpstreamInvalid(DependencyError):
    status = 502
    title = "The market data upstream answered with invalid data"


class UpstreamUnavailable(DependencyError):
    title = "The market data upstream is unavailable"
    retryable = True


class ChannelRejected(DependencyError):
    status = 502
    title = "A channel of alerts refused what was told"


class ChannelUnavailable(DependencyError):
    title = "A channel of alerts is unavailable"
    retryable = True


class PlatformUnavailable(DependencyError):
    title = "The platform is unavailable"
    retryable = True
