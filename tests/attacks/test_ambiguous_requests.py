"""Requests that two readers could take for two things, and paths that look like others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from shared.access.tokens import SIGNING_KEYS_SECRET, new_signing_key
from tests.asgi import AsgiClient
from tests.functions.engine import KEY, Engine, problem


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "home", env="production") as engine:
        engine.instance.platform.secrets.ensure(SIGNING_KEYS_SECRET, lambda: new_signing_key("one"))  # type: ignore[attr-defined]
        yield engine


@pytest.fixture
def gateway(engine: Engine) -> Iterator[AsgiClient]:
    with AsgiClient(Gateway(read_catalogue())) as client:
        yield client


@pytest.mark.parametrize("name", ["x-api-key", "authorization", "idempotency-key", "content-type", "origin"])
def test_what_says_who_or_what_may_come_once(gateway: AsgiClient, name: str) -> None:
    twice = [(name, "one"), (name, "two"), *KEY.items()]
    answer = gateway.post("/auth/keys", json={"name": "k"}, headers=twice)
    assert name in problem(answer, 400, "malformed-request")["detail"]


PROTECTED = "/admin/audit"
OTHERS = [
    "/admin/audit/", "/admin/audit//", "/api/v1/admin/audit", "/api/v1/admin/audit/", "/api/v1//admin/audit",
    "//admin/audit", "/admin//audit", "/admin/./audit", "/health/../admin/audit", "/admin%2faudit",
    "/%61dmin/audit", "/ADMIN/audit", "/Admin/Audit", "/api/v1/api/v1/admin/audit", "/API/V1/admin/audit",
    "/admin/audit%00", "/admin/audit%0a", "/admin/audit;x=1", "/admin/audit%3f", "/admin/audit%23",
    "/admin/aud%C4%B1t", "/admin/audit%20", "/admin\\audit", "/docs/..%2fadmin/audit",
    "/docs/assets/..%2f..%2fadmin", "/admin/audit.",
]  # fmt: skip


@pytest.mark.parametrize("path", OTHERS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE", "TRACE", "get", "PROPFIND"])
def test_no_spelling_of_a_path_gets_past_the_gatekeeper(gateway: AsgiClient, method: str, path: str) -> None:
    answer = gateway.request(method, path)
    assert answer.status_code in (401, 404, 405), (answer.status_code, answer.text)
    if answer.status_code == 405:
        assert answer.headers["allow"]


def test_a_head_is_as_protected_as_its_get(gateway: AsgiClient) -> None:
    assert gateway.request("HEAD", PROTECTED).status_code == 401
    assert gateway.request("HEAD", PROTECTED, headers=KEY).status_code == 200


def test_a_refusal_of_a_route_with_secrets_is_told_again_under_its_key(gateway: AsgiClient) -> None:
    """What was refused made nothing that could be shown once: it isn't 'done before'."""
    headers = {**KEY, "idempotency-key": "made-once"}
    gone = gateway.post("/auth/invitations", json={"email": "not an address"}, headers=headers)
    again = gateway.post("/auth/invitations", json={"email": "not an address"}, headers=headers)
    assert (gone.status_code, again.status_code) == (422, 422)
    assert again.headers["idempotency-replayed"] == "true"
