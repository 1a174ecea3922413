"""From what a handler gives, or fails of, to the response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from shared.errors import ConfigurationError, EngineError
from shared.logs import LOGGER, configure_logs, log_request
from shared.web.call import Call
from shared.web.problem import MEDIA_TYPE, problem_at, problem_headers, problem_of, unexpected


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


def misconfigured(error: ConfigurationError, facts: Mapping[str, Any]) -> Response:
    """Of a function that can do nothing, as its settings are wrong. What is wrong is told in its log alone:
    nobody knows yet who calls. `facts` are those of the request's line.
    """
    function, path, request_id = facts["function"], facts["path"], facts["request_id"]
    words = f"The settings of {function} are wrong; its log names them. Quote request {request_id}."
    told = ConfigurationError(words)
    configure_logs("INFO")
    LOGGER.error("wrong settings", extra={"facts": {"function": function, "why": error.detail}})
    log_request({**facts, "status": told.status, "problem": told.slug})
    headers = {"x-request-id": request_id, "cache-control": "no-store"}
    return Response(_json(problem_at(told, path, request_id)), told.status, headers, MEDIA_TYPE)


def _json(model: BaseModel) -> bytes:
    return model.__pydantic_serializer__.to_json(model)
