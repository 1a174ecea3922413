"""From what a handler gives, or fails of, to the response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.responses import Response

from shared.errors import EngineError
from shared.logs import LOGGER
from shared.web.call import Call
from shared.web.problem import MEDIA_TYPE, problem_headers, problem_of, unexpected


async def respond(run: Callable[[], Awaitable[Response]], call: Call) -> Response:
    """The response of `run`; where it fails, a problem in a well formed response."""
    try:
        return await run()
    except EngineError as error:
        return refusal(error, call)
    except Exception:  # noqa: BLE001 - the edge: the caller gets a problem, the log the trace
        LOGGER.exception("unexpected error", extra={"facts": {"request_id": call.request_id}})
        return refusal(unexpected(call.request_id), call)


def success(result: BaseModel | None, status: int) -> Response:
    if result is None:
        return Response(status_code=204)
    return Response(_json(result), status, media_type="application/json")


def refusal(error: EngineError, call: Call) -> Response:
    call.facts["problem"] = error.slug
    return Response(_json(problem_of(error, call)), error.status, problem_headers(error), MEDIA_TYPE)


def _json(model: BaseModel) -> bytes:
    return model.__pydantic_serializer__.to_json(model)
