"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable
from typing import Any

from pydantic import ValidationError

from shared.errors import EngineError, FieldError, InvalidInput, MalformedRequest, MethodNotAllowed
from shared.schema import Answer
from shared.web.call import Call

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:mlengine:problem:"
_SHOWN_CHARACTERS = 80
_SHOWN_FIELDS = 20
_COUNTED = {"too_short": "needs at least", "too_long": "may have at most"}


class FieldProblem(Answer):
    pointer: str
    detail: str


class Problem(Answer):
    """Why a call failed. `error` repeats the detail, as inference clients expect a string there."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error: str
    request_id: str
    retryable: bool
    errors: tuple[FieldProblem, ...] = ()


def problem_of(error: EngineError, call: Call) -> Problem:
    """The problem document of `error`, for the caller of `call`."""
    return problem_at(error, call.path, call.request_id)


def problem_at(error: EngineError, path: str, request_id: str) -> Problem:
    """The problem document of `error`, for who asked for `path`."""
    return Problem(
        type=TYPE_PREFIX + error.slug,
        title=error.title,
        status=error.status,
        detail=error.detail,
        instance=path,
        error=error.detail,
        request_id=request_id,
        retryable=error.retryable,
        errors=tuple(FieldProblem(pointer=e.pointer, detail=e.detail) for e in error.errors),
    )


def problem_headers(error: EngineError) -> dict[str, str]:
    if error.retry_after_seconds is not None:
        return {"retry-after": str(max(1, math.ceil(error.retry_after_seconds)))}
    if isinstance(error, MethodNotAllowed):
        return {"allow": ", ".join(error.allowed)}
    return {"www-authenticate": 'Bearer realm="mlengine"'} if error.status == 401 else {}


def unexpected(request_id: str) -> EngineError:
    """What a caller hears of an error that nobody foresaw."""
    return EngineError(f"Something went wrong on our side. Quote request {request_id} when you report it.")


def invalid(
    error: ValidationError,
    *,
    in_query: bool,
    known: Iterable[str] = (),
    hidden: Collection[str] = (),
    what: str = "body",
) -> EngineError:
    """Pydantic's findings in our words, one per field. `known` are the names at the top level, `hidden` those
    whose value must not be told; `what` is the part of the request that was read.
    """
    found = error.errors(include_url=False)
    if found[0]["type"] == "json_invalid":
        return MalformedRequest(f"The {what} must be JSON: {found[0]['msg']}.")
    fields = [
        FieldError(_pointer(item["loc"], in_query=in_query), _finding(item, tuple(known), hidden))
        for item in found[:_SHOWN_FIELDS]
    ]
    details = [f"{field.pointer or f'the {what}'}: {field.detail}" for field in fields]
    more = [f"and {len(found) - len(fields)} more"] if len(found) > len(fields) else []
    return InvalidInput("; ".join(details + more), errors=fields)


def _pointer(location: Iterable[int | str], *, in_query: bool) -> str:
    parts = [str(part) for part in location]
    if in_query:
        return "?" + ".".join(parts)
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _finding(item: Any, known: tuple[str, ...], hidden: Collection[str]) -> str:
    if item["type"] in _COUNTED:
        limit = item["ctx"].get("min_length", item["ctx"].get("max_length"))
        actual = item["ctx"]["actual_length"]
        found = "more" if actual is None else actual
        return f"{_COUNTED[item['type']]} {limit} item{'' if limit == 1 else 's'}, found {found}"
    if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
        return f"not known here; known are {', '.join(known)}" if known else "not known here: there are none"
    is_hidden = bool(hidden) and (not item["loc"] or item["loc"][0] in hidden)
    return item["msg"] if is_hidden else f"{item['msg']}{_shown(item)}"


def _shown(item: Any) -> str:
    if item["type"] in {"missing", "extra_forbidden"}:
        return ""
    try:
        text = json.dumps(item["input"])
    except (TypeError, ValueError):
        text = repr(item["input"])
    return f", found {text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + '...'}"
