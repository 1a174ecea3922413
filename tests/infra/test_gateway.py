from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.catalogue import read_catalogue
from infra.local.gateway import DEFAULT_FUNCTION, Gateway
from shared.instance import Instance
from shared.logs import configure_logs
from shared.platform.ports import Event
from shared.web.events import BATCH, cloud_event
from tests.asgi import AsgiClient
from tests.conftest import ADMIN_KEY
from tests.packages import active

KEY = {"x-api-key": ADMIN_KEY}
CATALOGUE = read_catalogue()
ROUTES = [(route, name) for name, entry in CATALOGUE.functions.items() for route in entry.routes]


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway(CATALOGUE)


@pytest.fixture
def client(instance: Instance, gateway: Gateway) -> Iterator[AsgiClient]:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    instance.audit.store([Event("x", "//test", "predictions.made", now, {})])
    with AsgiClient(gateway) as client:
        yield client


@pytest.fixture
def lines(instance: Instance) -> io.StringIO:
    """The log."""
    stream = io.StringIO()
    configure_logs("INFO", stream)
    return stream


def logged(lines: io.StringIO) -> dict[str, Any]:
    """The last request as it was logged."""
    facts: dict[str, Any] = json.loads(lines.getvalue().splitlines()[-1])
    return facts


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize(("route", "name"), ROUTES, ids=[route for route, _ in ROUTES])
def test_a_route_leads_to_its_function(
    client: AsgiClient, lines: io.StringIO, route: str, name: str, prefix: str
) -> None:
    method, _, path = route.partition(" ")
    client.request(method, prefix + re.sub(r"\{\w+\}", "x", path), headers=KEY)
    assert (logged(lines)["function"], logged(lines)["route"]) == (name, route)


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/nowhere", "/models/a/b/c", "/api/v2/models"])
def test_an_unknown_path_is_a_problem_that_says_where_to_look(client: AsgiClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "/docs" in response.json()["detail"]


def test_a_wrong_method_names_the_right_ones(client: AsgiClient) -> None:
    response = client.request("DELETE", "/symbols")
    assert (response.status_code, "GET" in response.json()["detail"]) == (405, True)


def test_events_are_not_taken_from_outside(client: AsgiClient, instance: Instance) -> None:
    event = Event("p1", "//test", "predictions.made", datetime(2024, 1, 1, tzinfo=UTC), {})
    headers = {**KEY, "content-type": BATCH.decode()}
    response = client.post("/", content=json.dumps([cloud_event(event)]), headers=headers)
    assert response.status_code == 405
    assert instance.platform.documents.get("predictions", "p1") is None


def test_events_are_pushed_from_other_threads(gateway: Gateway, instance: Instance) -> None:
    event = Event("p1", "//test", "predictions.made", datetime(2024, 1, 1, tzinfo=UTC), {"n": 1})
    body = json.dumps([cloud_event(event)]).encode()

    async def push(key: bytes) -> tuple[int, bytes]:
        headers = [(b"content-type", BATCH), (b"x-api-key", key)]
        pusher = gateway.pusher(asyncio.get_running_loop())
        return await asyncio.to_thread(pusher, "audit", body, headers)

    status, answer = asyncio.run(push(b"wrong"))
    assert (status, b"isn't known" in answer) == (401, True)
    assert asyncio.run(push(ADMIN_KEY.encode())) == (204, b"")
    kept = instance.platform.documents.get("predictions", "p1")
    assert kept is not None
    assert kept.data["n"] == 1


@pytest.mark.parametrize("path", ["/ready", "/api/v1/ready"])
def test_it_is_ready_when_every_function_is(client: AsgiClient, instance: Instance, path: str) -> None:
    response = client.get(path)
    answers = response.json()["functions"]
    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert answers.keys() == CATALOGUE.functions.keys()
    missing = {name for name, answer in answers.items() if not answer["ready"]}
    assert missing == {"predict", "batch_predict"}
    assert "mlengine train" in answers["predict"]["missing"]["model"]
    active(instance.registry)
    response = client.get(path)
    assert (response.status_code, response.json()["ready"]) == (200, True)


def test_it_is_healthy(client: AsgiClient) -> None:
    assert client.get("/health").json() == {"status": "ok", "function": DEFAULT_FUNCTION}


def test_the_root_leads_to_the_documentation(client: AsgiClient) -> None:
    assert client.get("/").headers["location"] == "/docs"
    assert client.get("/docs").status_code == 200
