from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from shared.access.accounts import BOOTSTRAP_SECRET
from shared.access.tokens import SIGNING_KEYS_SECRET, new_signing_key
from shared.platform.local.secrets import LocalSecrets
from tests.asgi import AsgiClient
from tests.functions.engine import KEY, Engine

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
BOOTSTRAP = "once-and-never-again"


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    return started(start, registration="open")


def started(start: Callable[..., Engine], **settings: Any) -> Engine:
    engine = start(**{"env": "production", **settings})
    kept = LocalSecrets(engine.home / "secrets")
    kept.ensure(SIGNING_KEYS_SECRET, lambda: new_signing_key("one"))
    kept.ensure(BOOTSTRAP_SECRET, lambda: BOOTSTRAP)
    return engine


@pytest.fixture
def accounts(engine: Engine) -> AsgiClient:
    return engine["accounts"]


def registered(accounts: AsgiClient, email: str = EMAIL, **more: Any) -> dict[str, Any]:
    answer = accounts.post("/auth/register", json={"email": email, "password": PASSWORD, **more})
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


def logged_in(accounts: AsgiClient, email: str = EMAIL) -> dict[str, Any]:
    answer = accounts.post("/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['access_token']}"}


def an_admin(accounts: AsgiClient) -> dict[str, str]:
    registered(accounts, "root@example.org", bootstrap=BOOTSTRAP)
    return bearer(logged_in(accounts, "root@example.org"))


def test_a_user_registers_logs_in_refreshes_and_logs_out(accounts: AsgiClient) -> None:
    user = registered(accounts)
    assert (user["email"], user["role"]) == (EMAIL, "predictor")
    tokens = logged_in(accounts)
    assert tokens["user"] == user
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 1800)
    me = accounts.get("/auth/me", headers=bearer(tokens)).json()
    assert me == {"name": EMAIL, "role": "predictor", "models": None, "user": user}
    fresh = accounts.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    assert accounts.post("/auth/logout", headers=bearer(fresh)).status_code == 204
    assert accounts.post("/auth/refresh", json={"refresh_token": fresh["refresh_token"]}).status_code == 401


def test_the_token_opens_other_functions_as_far_as_the_role_goes(engine: Engine) -> None:
    registered(engine["accounts"])
    token = bearer(logged_in(engine["accounts"]))
    assert engine["models"].get("/models").status_code == 401
    assert engine["models"].get("/models", headers=token).status_code == 200
    refused = engine["models"].post("/models/market-signal/rollback", headers=token)
    assert refused.status_code == 403
    assert "operator" in refused.json()["detail"]


def test_a_key_is_made_shown_once_used_listed_and_revoked(engine: Engine, accounts: AsgiClient) -> None:
    registered(accounts)
    token = bearer(logged_in(accounts))
    asked = {"name": "ci", "role": "viewer", "models": ["market-signal"], "days": 30}
    made = accounts.post("/auth/keys", json=asked, headers=token).json()
    key = {"x-api-key": made.pop("key")}
    me = accounts.get("/auth/me", headers=key).json()
    assert (me["name"], me["role"], me["models"]) == (made["prefix"], "viewer", ["market-signal"])
    assert engine["models"].get("/models", headers=key).status_code == 200
    listed = accounts.get("/auth/keys", headers=token).json()["keys"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert key["x-api-key"] not in accounts.get("/auth/keys", headers=token).text
    assert accounts.request("DELETE", f"/auth/keys/{made['id']}", headers=token).json()["revoked_at"]


def test_a_revoked_key_is_refused_once_it_is_forgotten(start: Callable[..., Engine]) -> None:
    engine = started(start, access_cache_seconds=0)
    made = engine["accounts"].post("/auth/keys", json={"name": "ci"}, headers=KEY).json()
    key = {"x-api-key": made["key"]}
    assert engine["models"].get("/models", headers=key).status_code == 200
    engine["accounts"].request("DELETE", f"/auth/keys/{made['id']}", headers=KEY)
    assert engine["models"].get("/models", headers=key).status_code == 401


def test_nobody_gets_a_key_with_more_than_ones_own_role_nor_with_a_key(accounts: AsgiClient) -> None:
    registered(accounts)
    token = bearer(logged_in(accounts))
    refused = accounts.post("/auth/keys", json={"name": "ci", "role": "admin"}, headers=token)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/role"
    made = accounts.post("/auth/keys", json={"name": "ci", "role": "viewer"}, headers=token).json()
    again = accounts.post(
        "/auth/keys", json={"name": "ci2", "role": "viewer"}, headers={"x-api-key": made["key"]}
    )
    assert again.status_code == 403


def test_keys_of_others_are_neither_seen_nor_revoked_but_by_admins(accounts: AsgiClient) -> None:
    registered(accounts)
    registered(accounts, "eve@example.org")
    mine = accounts.post("/auth/keys", json={"name": "ci"}, headers=bearer(logged_in(accounts))).json()
    eve, root = bearer(logged_in(accounts, "eve@example.org")), an_admin(accounts)
    assert accounts.get("/auth/keys", headers=eve).json()["keys"] == []
    assert accounts.get("/auth/keys?all=true", headers=eve).status_code == 403
    assert accounts.request("DELETE", f"/auth/keys/{mine['id']}", headers=eve).status_code == 404
    assert len(accounts.get("/auth/keys?all=true", headers=root).json()["keys"]) == 1
    assert accounts.request("DELETE", f"/auth/keys/{mine['id']}", headers=root).status_code == 200


def test_an_admin_invites_and_changes_roles_and_lets_nobody_in_who_is_disabled(
    start: Callable[..., Engine],
) -> None:
    accounts = started(start, access_cache_seconds=0)["accounts"]
    assert accounts.post("/auth/register", json={"email": EMAIL, "password": PASSWORD}).status_code == 403
    root = an_admin(accounts)
    invited = accounts.post("/auth/invitations", json={"email": EMAIL, "role": "viewer"}, headers=root).json()
    user = registered(accounts, invitation=invited["token"])
    assert (user["role"], user["created_by"]) == ("viewer", "root@example.org")
    token = bearer(logged_in(accounts))
    assert accounts.get("/auth/users", headers=token).status_code == 403
    changed = accounts.post(f"/auth/users/{user['id']}/role", json={"role": "operator"}, headers=root)
    assert changed.json()["role"] == "operator"
    assert accounts.get("/auth/me", headers=token).json()["role"] == "operator"
    assert accounts.post(f"/auth/users/{user['id']}/disable", headers=root).json()["disabled"]
    assert accounts.get("/auth/me", headers=token).status_code == 401
    assert accounts.post("/auth/login", json={"email": EMAIL, "password": PASSWORD}).status_code == 401
    assert not accounts.post(f"/auth/users/{user['id']}/enable", headers=root).json()["disabled"]
    assert [one["email"] for one in accounts.get("/auth/users", headers=root).json()["users"]] == [
        EMAIL,
        "root@example.org",
    ]


def test_invitations_are_listed_and_taken_back(accounts: AsgiClient) -> None:
    root = an_admin(accounts)
    made = [
        accounts.post("/auth/invitations", json={"email": address}, headers=root).json()
        for address in (EMAIL, "eve@example.org")
    ]
    pages = [accounts.get("/auth/invitations?limit=1", headers=root).json()]
    more = f"/auth/invitations?limit=1&cursor={quote(pages[0]['cursor'])}"
    pages.append(accounts.get(more, headers=root).json())
    listed = [one for page in pages for one in page["invitations"]]
    assert sorted(one["email"] for one in listed) == [EMAIL, "eve@example.org"]
    assert all(one.keys() == {"id", "email", "role", "invited_by", "expires_at"} for one in listed)
    path = f"/auth/invitations/{made[0]['id']}"
    assert accounts.request("DELETE", path, headers=root).json()["email"] == EMAIL
    assert accounts.request("DELETE", path, headers=root).status_code == 404
    taken = {"email": EMAIL, "password": PASSWORD, "invitation": made[0]["token"]}
    assert accounts.post("/auth/register", json=taken).status_code == 403
    assert registered(accounts, email="eve@example.org", invitation=made[1]["token"])["role"] == "predictor"
    assert accounts.get("/auth/invitations", headers=root).json()["invitations"] == []


def test_an_admin_cant_lock_oneself_out(accounts: AsgiClient) -> None:
    root = an_admin(accounts)
    own = accounts.get("/auth/me", headers=root).json()["user"]["id"]
    assert accounts.post(f"/auth/users/{own}/disable", headers=root).status_code == 409
    assert accounts.post(f"/auth/users/{own}/role", json={"role": "viewer"}, headers=root).status_code == 409


def test_a_new_password_gives_new_tokens_and_ends_the_old(accounts: AsgiClient) -> None:
    registered(accounts)
    tokens = logged_in(accounts)
    body = {"old_password": PASSWORD, "new_password": "another fine phrase"}
    fresh = accounts.post("/auth/password", json=body, headers=bearer(tokens)).json()
    assert accounts.get("/auth/me", headers=bearer(fresh)).json()["name"] == EMAIL
    assert accounts.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    key = accounts.post("/auth/keys", json={"name": "ci"}, headers=bearer(fresh)).json()["key"]
    assert accounts.post("/auth/password", json=body, headers={"x-api-key": key}).status_code == 403


def test_a_key_or_nobody_has_no_session_to_end(accounts: AsgiClient) -> None:
    assert accounts.post("/auth/logout", headers=KEY).status_code == 409
    assert accounts.post("/auth/logout").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"email": EMAIL, "password": "hunter2"},
        {"email": EMAIL, "password": "hunter2" * 300},
        {"email": EMAIL, "password": ["hunter2"]},
        {"email": EMAIL, "password": PASSWORD, "bootstrap": "hunter2"},
        {"email": EMAIL, "password": PASSWORD, "bootstrap": {"hunter2": 1}},
        {"email": 3, "password": "hunter2 hunter2"},
    ],
)
def test_no_answer_tells_a_secret(accounts: AsgiClient, body: dict[str, Any]) -> None:
    answer = accounts.post("/auth/register", json=body)
    assert answer.status_code in (403, 422)
    assert "hunter2" not in answer.text


def test_failed_logins_are_slowed_down_with_the_time_to_wait(accounts: AsgiClient) -> None:
    registered(accounts)
    for _ in range(6):
        wrong = accounts.post("/auth/login", json={"email": EMAIL, "password": "wrong password"})
        assert wrong.status_code == 401
    waiting = accounts.post("/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert waiting.status_code == 429
    assert int(waiting.headers["retry-after"]) >= 1


def test_users_of_one_deployment_are_nobody_in_another(start: Callable[..., Engine]) -> None:
    engine = started(start, registration="open")
    registered(engine["accounts"])
    tokens = logged_in(engine["accounts"])
    other = started(start, registration="open", google_cloud_project="another-project")
    assert other["accounts"].get("/auth/me", headers=bearer(tokens)).status_code == 401
