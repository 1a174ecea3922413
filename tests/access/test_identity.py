from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from shared.access.identity import ADMIN_KEY_SECRET, Gatekeeper
from shared.access.roles import ROLES, Role
from shared.config import load_settings
from shared.errors import NotFound, Unauthenticated
from shared.platform.identities import NoIdentities
from tests.access.strangers import Strangers

KEY = "0123456789abcdef"


class NoSecrets:
    def get(self, name: str) -> str:
        raise NotFound(name)


class OneSecret:
    def get(self, name: str) -> str:
        assert name == ADMIN_KEY_SECRET
        return KEY


def sending(**headers: str) -> Callable[[str], str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}.get


def gatekeeper(env: str = "development", **settings: Any) -> Gatekeeper:
    chosen = load_settings(env=env, **{"admin_api_key": KEY, **settings})
    return Gatekeeper(chosen, NoSecrets(), NoIdentities(), Strangers, ROLES)


@pytest.mark.parametrize(("env", "route"), itertools.product(["development", "staging", "production"], ROLES))
def test_callers_without_a_key_get_what_the_table_says(env: str, route: str) -> None:
    open_to_all = Role.PREDICTOR if env == "development" else Role.PUBLIC
    if ROLES[route] <= open_to_all:
        assert gatekeeper(env).admit(route, sending()).name == "anonymous"
    else:
        with pytest.raises(Unauthenticated, match=ROLES[route].label):
            gatekeeper(env).admit(route, sending())


@pytest.mark.parametrize(("env", "route"), itertools.product(["development", "production"], ROLES))
def test_the_admin_key_opens_every_route(env: str, route: str) -> None:
    assert gatekeeper(env).admit(route, sending(x_api_key=KEY)).role is Role.ADMIN
    assert gatekeeper(env).admit(route, sending(authorization=f"Bearer {KEY}")).role is Role.ADMIN


@pytest.mark.parametrize("route", ["GET /health", "GET /predict", "POST /admin/train"])
@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + "x", "ключ"])
def test_a_wrong_key_is_refused_even_where_none_is_needed(route: str, key: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        gatekeeper().admit(route, sending(x_api_key=key))
    assert KEY not in caught.value.detail


def test_only_health_and_the_way_in_are_open_in_production() -> None:
    opened = {route for route, role in ROLES.items() if role is Role.PUBLIC}
    way_in = {"POST /auth/register", "POST /auth/login", "POST /auth/refresh"}
    probes = {"GET /v2/health/live", "GET /v2/health/ready", "GET /ping", "POST /ping"}
    by_its_url = {"PUT /models/uploads/{upload_id}/content"}  # whose token was given to who may upload
    assert opened == {"GET /health", "GET /ready", *probes, *way_in, *by_its_url}


def test_a_setting_opens_listed_routes_and_no_others() -> None:
    production = gatekeeper("production", open_routes="GET /predict")
    assert production.admit("GET /predict", sending()).role is Role.PUBLIC
    with pytest.raises(Unauthenticated):
        production.admit("GET /features", sending())


def test_the_generated_key_is_found_in_the_secrets() -> None:
    keeper = Gatekeeper(load_settings(), OneSecret(), NoIdentities(), Strangers, ROLES)
    assert keeper.admit("POST /admin/train", sending(x_api_key=KEY)).role is Role.ADMIN


def test_without_any_key_set_up_nobody_is_admin() -> None:
    keeper = Gatekeeper(load_settings(), NoSecrets(), NoIdentities(), Strangers, ROLES)
    with pytest.raises(Unauthenticated, match="ADMIN_API_KEY"):
        keeper.admit("POST /admin/train", sending(x_api_key=KEY))
