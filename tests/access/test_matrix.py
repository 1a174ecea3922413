"""Every route by every kind of caller: who is let in, who must say who they are, and who may not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from infra.catalogue import read_catalogue
from infra.local.gateway import Gateway
from infra.openapi import generate
from shared.access.roles import EVENTS_ROUTE, ROLES, Role
from shared.access.tokens import ISSUER, SIGNING_KEYS_SECRET, new_signing_key, read_signing_keys
from shared.platform.local.secrets import LocalSecrets
from tests.asgi import AsgiClient
from tests.functions.engine import KEY, Engine

REVIEWED = Path(__file__).with_name("matrix.json")
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
AUDIENCE = "mlengine:local"

OPERATIONS: Mapping[str, Mapping[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, methods in json.loads(generate())["paths"].items()
    for method, operation in methods.items()
}

STRANGERS = (
    "nobody", "unknown key", "key with a wrong secret", "revoked key", "expired key", "expired token",
    "token with a wrong signature", "token with alg=none", "token for another audience",
    "token of an ended session", "token of a disabled user", "token of an unknown key", "garbage",
)  # fmt: skip
PROBES = {"GET /health", "GET /ready"}
"""The gateway answers these itself, to whoever asks."""
LAST = "POST /auth/logout"
"""After this a session is over."""
ROLE_NAMES = ("viewer", "predictor", "operator", "admin")


def reviewed() -> Mapping[str, str]:
    found: dict[str, str] = json.loads(REVIEWED.read_text())
    return found


def test_every_route_was_given_its_role_by_somebody() -> None:
    """A new route fails here until its role stands in the reviewed file, too."""
    assert {**{route: role.label for route, role in ROLES.items()}} == reviewed()
    assert set(OPERATIONS) == set(reviewed()) - {EVENTS_ROUTE}


class Party:
    """Somebody of every kind, at one engine in production."""

    def __init__(self, engine: Engine) -> None:
        self.client = AsgiClient(Gateway(read_catalogue()))
        self.engine = engine
        accounts = engine.instance
        [(name, self._key)] = read_signing_keys(accounts.platform.secrets.get(SIGNING_KEYS_SECRET))
        self.headers: dict[str, dict[str, str]] = {"nobody": {}, "garbage": bearer("a.b.c")}
        for role in ROLE_NAMES:
            self.headers[role] = bearer(self._login(role)[1])
        self._make_keys()
        user_id, token = self._login("ended")
        claims = jwt.decode(token, options={"verify_signature": False})
        accounts.accounts.logout(claims["sid"])
        self.headers["token of an ended session"] = bearer(token)
        user_id, token = self._login("disabled")
        accounts.users.set_disabled(user_id, disabled=True)
        self.headers["token of a disabled user"] = bearer(token)
        self._forge(jwt.decode(self._login("forged")[1], options={"verify_signature": False}), name)

    def _login(self, name: str) -> tuple[str, str]:
        instance, email = self.engine.instance, f"{name}@example.org"
        user = instance.accounts.register(email, PASSWORD, ip="192.0.2.1")
        role = Role[name.upper()] if name in ROLE_NAMES else Role.ADMIN
        instance.users.set_role(user.id, role)
        return user.id, instance.accounts.login(email, PASSWORD, ip="192.0.2.1")[1].access_token

    def _make_keys(self) -> None:
        keys = self.engine.instance.api_keys
        key, secret = keys.create("revoked", Role.ADMIN, "admin")
        keys.revoke(key.id)
        self.headers["revoked key"] = {"x-api-key": secret.text}
        _, secret = keys.create("expired", Role.ADMIN, "admin", lives=timedelta(seconds=-1))
        self.headers["expired key"] = {"x-api-key": secret.text}
        _, secret = keys.create("good", Role.ADMIN, "admin")
        self.headers["key with a wrong secret"] = {"x-api-key": secret.text[:-1] + "_"}
        self.headers["unknown key"] = {"x-api-key": "mlk_0123456789abcdef_" + "a" * 43}

    def _forge(self, good: dict[str, Any], key_name: str) -> None:
        past = int((datetime.now(UTC) - timedelta(hours=1)).timestamp())
        other = read_signing_keys(new_signing_key("other"))[0][1]
        kid = {"kid": key_name}
        self.headers |= {
            "expired token": bearer(
                jwt.encode({**good, "iat": past, "exp": past + 60}, self._key, "HS256", kid)
            ),
            "token with a wrong signature": bearer(jwt.encode(good, other, "HS256", kid)),
            "token with alg=none": bearer(jwt.encode(good, "", "none", kid)),
            "token for another audience": bearer(
                jwt.encode({**good, "aud": "mlengine:other"}, self._key, "HS256", kid)
            ),
            "token of an unknown key": bearer(jwt.encode(good, self._key, "HS256", {"kid": "other"})),
        }
        assert good["aud"] == AUDIENCE
        assert good["iss"] == ISSUER

    def heard(self, route: str, who: str) -> int:
        """The status that the caller gets: with a body that no handler takes, so that nothing is done."""
        method, path = route.split(" ")
        filled = re.sub(r"\{\w+\}", "x", path)
        takes_body = "requestBody" in OPERATIONS.get(route, {})
        json_body = ["no such body"] if takes_body else None
        answer = self.client.request(method, filled, json=json_body, headers=self.headers[who])
        return answer.status_code


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    home = tmp_path_factory.mktemp("party") / "home"
    LocalSecrets(home / "secrets").ensure(SIGNING_KEYS_SECRET, lambda: new_signing_key("one"))
    with Engine(
        home,
        env="production",
        registration="open",
        access_cache_seconds=0,
        market_data_url="http://127.0.0.1:9",
    ) as engine:
        yield Party(engine)


@pytest.fixture(autouse=True)
def at_the_party(clean_process: None, party: Party) -> Iterator[None]:
    with party.engine:
        yield


@pytest.mark.parametrize("who", STRANGERS)
def test_who_cant_say_who_they_are_gets_in_where_everybody_may_and_nowhere_else(
    party: Party, who: str
) -> None:
    wrong = {}
    for route in OPERATIONS.keys() - PROBES:
        status = party.heard(route, who)
        is_open = ROLES[route] is Role.PUBLIC and who == "nobody"
        if (status == 401) is is_open:
            wrong[route] = status
    assert wrong == {}


@pytest.mark.parametrize("who", ROLE_NAMES)
def test_a_role_opens_its_routes_and_no_others(party: Party, who: str) -> None:
    wrong = {}
    for route, role in sorted(reviewed().items(), key=lambda item: item[0] == LAST):
        if route == EVENTS_ROUTE:
            continue
        status = party.heard(route, who)
        may = Role[role.upper()] <= Role[who.upper()]
        if (status in (401, 403)) is may:
            wrong[route] = status
    assert wrong == {}


def test_nobody_but_an_admin_delivers_events(party: Party) -> None:
    for who in (*STRANGERS, *ROLE_NAMES[:-1]):
        answer = party.engine["audit"].post("/", json={}, headers=party.headers[who])
        assert answer.status_code in (401, 403), who
    assert party.engine["audit"].post("/", json={}, headers=KEY).status_code not in (401, 403)
