"""From raw requests to checked input."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

from pydantic import BaseModel, SecretStr, ValidationError

from shared.errors import FieldError, InvalidInput, MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from shared.schema import Body
from shared.web.problem import invalid

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
M = TypeVar("M", bound=BaseModel)
B = TypeVar("B", bound=Body)

MAX_QUERY_PARAMETERS = 50


def media_type_of(headers: Mapping[bytes, bytes], known: Sequence[str]) -> str:
    """What the body says it is.

    Raises:
        UnsupportedMediaType: none of `known`.
    """
    content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
    if content_type not in known:
        found = content_type or "nothing"
        wanted = " or ".join(filter(None, known))
        raise UnsupportedMediaType(f"The body must be 'content-type: {wanted}', found {found}.")
    return content_type


def read_query(model: type[M], query_string: bytes) -> M:
    """Check query parameters against `model`: each at most once, none unknown.

    Raises:
        InvalidInput, MalformedRequest
    """
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError as error:
        raise MalformedRequest(
            f"The query must be percent-encoded UTF-8 with at most {MAX_QUERY_PARAMETERS} parameters."
        ) from error
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = sorted({name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1})
        raise InvalidInput(
            f"Query parameters may be given once; found twice: {', '.join(twice)}.",
            errors=[FieldError(f"?{name}", "given more than once") for name in twice],
        )
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        raise invalid(error, in_query=True, known=model.model_fields) from error


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        PayloadTooLarge: as soon as the limit is passed.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedRequest("The caller went away in the middle of the body.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit_bytes:
            raise PayloadTooLarge(f"The body may have {limit_bytes} bytes; send less, in several calls.")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def read_form(model: type[B], body: bytes, headers: Mapping[bytes, bytes]) -> B:
    """Check a body against `model`, in a form that it takes. No body at all counts as `{}`.

    Raises:
        UnsupportedMediaType, MalformedRequest, InvalidInput
    """
    if body:
        media_type_of(headers, model.media_types)
    try:
        return model.decode(body, headers)
    except ValidationError as error:
        raise invalid(error, in_query=False, known=model.model_fields, hidden=_secrets_of(model)) from error


def _secrets_of(model: type[BaseModel]) -> frozenset[str]:
    """The members whose value must not be told, not even to who sent it."""
    fields = model.model_fields.items()
    return frozenset(name for name, field in fields if SecretStr in _types_in(field.annotation))


def _types_in(annotation: Any) -> Iterable[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _types_in(part)


def read_data(model: type[M], data: Mapping[str, Any]) -> M:
    """Check what an event holds against `model`, as strictly as a body.

    Raises:
        InvalidInput
    """
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise invalid(error, in_query=False, known=model.model_fields) from error
