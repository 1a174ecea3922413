from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field, ValidationError
from starlette.applications import Starlette
from starlette.routing import Route

from infra.catalogue import ROOT
from shared.config import settings
from shared.errors import UpstreamUnavailable
from shared.instance import Instance, use_instance
from shared.logs import configure_logs
from shared.platform.ports import Event
from shared.schema import Answer, Body, Query
from shared.web import Call, Function
from shared.web.problem import invalid
from tests.asgi import AsgiClient
from tests.conftest import ADMIN_KEY

METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]


class Echo(Answer):
    text: str
    times: int = 1


class EchoQuery(Query):
    symbol: Annotated[str, Field(min_length=1)]
    lookback: Annotated[int, Field(ge=1, le=10)] = 1


class EchoBody(Body):
    text: str
    times: int = 1


class Tagged(Body):
    tags: Annotated[list[int], Field(min_length=1, max_length=2)]


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def client(instance: Instance, heard: Heard) -> Iterator[AsgiClient]:
    function = Function("echo", needs=["documents", "model"])

    @function.get("/features")
    async def by_query(call: Call, query: EchoQuery) -> Echo:
        return Echo(text=query.symbol, times=query.lookback)

    @function.post("/predict/batch")
    async def by_body(call: Call, body: EchoBody) -> Echo:
        return Echo(text=body.text, times=body.times)

    @function.get("/predictions/{prediction_id}")
    async def by_path(call: Call, prediction_id: str) -> Echo:
        if prediction_id == "boom":
            raise RuntimeError("a secret detail")
        if prediction_id == "down":
            raise UpstreamUnavailable("the upstream is down", retry_after_seconds=6.2)
        return Echo(text=prediction_id)

    @function.post("/admin/reload")
    async def admin_only(call: Call) -> Echo:
        return Echo(text=call.identity.name)

    @function.events
    async def hear(events: Sequence[Event], call: Call) -> None:
        heard.events.extend(events)

    app = Starlette(routes=[Route("/{path:path}", function.entry_point(), methods=METHODS)])
    with AsgiClient(app) as client:
        yield client


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["error"] == document["detail"]
    return document


def test_query_body_and_path_reach_the_handler(client: AsgiClient) -> None:
    assert client.get("/features?symbol=A&lookback=3").json() == {"text": "A", "times": 3}
    assert client.post("/predict/batch", json={"text": "B"}).json() == {"text": "B", "times": 1}
    assert client.get("/api/v1/predictions/p1").json() == {"text": "p1", "times": 1}


def test_a_wrong_query_names_each_parameter_and_what_was_found(client: AsgiClient) -> None:
    document = problem(client.get("/features?lookback=soon&colour=red"), 422)
    details = {e["pointer"]: e["detail"] for e in document["errors"]}
    assert set(details) == {"?symbol", "?lookback", "?colour"}
    assert '"soon"' in details["?lookback"]


def test_a_parameter_given_twice_is_refused(client: AsgiClient) -> None:
    document = problem(client.get("/features?symbol=A&symbol=B"), 422)
    assert document["errors"] == [{"pointer": "?symbol", "detail": "given more than once"}]


def test_a_wrong_body_is_pointed_at(client: AsgiClient) -> None:
    document = problem(client.post("/predict/batch", json={"text": "x", "times": "3"}), 422)
    assert [e["pointer"] for e in document["errors"]] == ["/times"]


def test_what_has_no_place_is_the_body_and_items_are_counted(client: AsgiClient) -> None:
    assert problem(client.post("/predict/batch", json=[]), 422)["detail"].startswith("the body: ")
    for tags, found in (
        ([], "/tags: needs at least 1 item, found 0"),
        ([1, 2, 3], "/tags: may have at most 2 items"),
    ):
        with pytest.raises(ValidationError) as failed:
            Tagged.model_validate({"tags": tags})
        assert invalid(failed.value, in_query=False).detail.startswith(found)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(client: AsgiClient, body: bytes) -> None:
    response = client.post("/predict/batch", content=body, headers={"content-type": "application/json"})
    problem(response, 400)


def test_another_content_type_is_refused(client: AsgiClient) -> None:
    response = client.post("/predict/batch", content="text=x", headers={"content-type": "text/plain"})
    assert "text/plain" in problem(response, 415)["detail"]


def test_a_body_above_the_limit_is_refused(client: AsgiClient) -> None:
    response = client.post(
        "/predict/batch", content=b" " * (Body.limit_bytes + 1), headers={"content-type": "application/json"}
    )
    assert str(Body.limit_bytes) in problem(response, 413)["detail"]


def test_authorisation_comes_before_parsing(client: AsgiClient) -> None:
    response = client.post("/admin/reload", content=b"{", headers={"content-type": "application/json"})
    problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_the_admin_key_admits(client: AsgiClient) -> None:
    assert client.post("/admin/reload", headers={"x-api-key": ADMIN_KEY}).json()["text"] == "admin"


def test_unknown_paths_and_methods(client: AsgiClient) -> None:
    problem(client.get("/nowhere"), 404)
    assert "GET" in problem(client.request("PUT", "/features"), 405)["detail"]


def test_an_unforeseen_error_tells_nothing_but_is_logged(client: AsgiClient) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    response = client.get("/predictions/boom")
    assert "secret" not in response.text
    problem(response, 500)
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert "a secret detail" in logged[0]["stack_trace"]
    assert logged[0]["request_id"] == logged[1]["request_id"]


def test_wrong_settings_are_named_in_the_log_alone(
    client: AsgiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_instance(None)
    settings.cache_clear()
    monkeypatch.setenv("RATE_LIMIT_REQUESTS", "many")
    lines = io.StringIO()
    with redirect_stdout(lines):
        response = client.get("/health", headers={"x-request-id": "r1"})
    assert "RATE_LIMIT" not in problem(response, 500)["detail"]
    why, request = map(json.loads, lines.getvalue().splitlines())
    assert (why["severity"], why["function"]) == ("ERROR", "echo")
    assert why["why"].startswith("Wrong settings (environment or .env): RATE_LIMIT_REQUESTS: Input should be")
    assert (request["path"], request["status"], request["request_id"]) == ("/health", 500, "r1")
    assert request["problem"] == response.json()["type"].rpartition(":")[2]
    fields = yaml.safe_load((ROOT / "infra" / "metrics.yaml").read_text())["fields"]
    assert {name for name, field in fields.items() if "when" not in field} <= set(request)
    monkeypatch.undo()
    assert client.get("/health").status_code == 200


def test_a_dependencys_error_says_when_to_retry(client: AsgiClient) -> None:
    response = client.get("/predictions/down")
    assert problem(response, 503)["retryable"] is True
    assert response.headers["retry-after"] == "7"


def test_every_request_is_logged_once_without_its_payload(client: AsgiClient) -> None:
    lines = io.StringIO()
    configure_logs("INFO", lines)
    client.post(
        "/predict/batch", json={"text": "private"}, headers={"x-request-id": "r1", "x-api-key": ADMIN_KEY}
    )
    (line,) = lines.getvalue().splitlines()
    assert "private" not in line
    assert ADMIN_KEY not in line
    facts = json.loads(line)
    assert facts["route"] == "POST /predict/batch"
    assert (facts["status"], facts["request_id"], facts["caller"]) == (200, "r1", "admin")


def test_health_and_ready_are_everywhere(client: AsgiClient) -> None:
    assert client.get("/health").json() == {"status": "ok", "function": "echo"}
    response = client.get("/ready")
    assert response.status_code == 503
    assert set(response.json()["missing"]) == {"model"}
    assert "mlengine train" in response.json()["missing"]["model"]


def event(id: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id,
        "source": "//test",
        "type": "predictions.made",
        "time": "2024-01-02T03:04:05Z",
        "traceparent": "00-1-2-01",
        "data": {"symbol": "A"},
    }


def test_events_arrive_alone_or_in_batches(client: AsgiClient, heard: Heard) -> None:
    key = {"x-api-key": ADMIN_KEY}
    one = {"content-type": "application/cloudevents+json", **key}
    batch = {"content-type": "application/cloudevents-batch+json", **key}
    assert client.post("/", content=json.dumps(event("1")), headers=one).status_code == 204
    assert client.post("/", content=json.dumps([event("2"), event("3")]), headers=batch).status_code == 204
    assert [e.id for e in heard.events] == ["1", "2", "3"]
    assert heard.events[0].attributes == {"traceparent": "00-1-2-01"}


def test_events_need_a_key_and_must_be_events(client: AsgiClient, heard: Heard) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    problem(client.post("/", content=json.dumps(event("1")), headers=headers), 401)
    headers["x-api-key"] = ADMIN_KEY
    problem(client.post("/", content=b'{"id": 3}', headers=headers), 422)
    problem(client.post("/", content=b"{}", headers={"x-api-key": ADMIN_KEY}), 415)
    assert heard.events == []


def test_a_route_without_a_role_cannot_be_registered() -> None:
    async def handler(call: Call) -> None: ...

    with pytest.raises(LookupError, match="ROLES"):
        Function("x").get("/no/such/route")(handler)
