from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from shared.config import load_settings
from shared.errors import ConfigurationError
from tests.asgi import AsgiClient
from tests.functions.engine import Engine

APP = "https://app.example.org"


@pytest.fixture
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., AsgiClient]]:
    with ExitStack() as stack:

        def models(origins: str) -> AsgiClient:
            home = tmp_path_factory.mktemp("home")
            return stack.enter_context(Engine(home, cors_allow_origins=origins))["models"]

        yield models


def asked(origin: str, method: str = "GET") -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": method}


def test_a_listed_origin_may_read_the_answer_and_its_headers(models: Callable[..., AsgiClient]) -> None:
    answer = models(f"{APP},http://localhost:3000").get("/models", headers={"origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    assert "ratelimit" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example.org", APP + ".evil.org", "http://app.example.org", "null", APP + "/"]
)
def test_another_origin_hears_nothing_of_it(models: Callable[..., AsgiClient], origin: str) -> None:
    client = models(APP)
    for answer in (
        client.get("/models", headers={"origin": origin}),
        client.request("OPTIONS", "/models", headers=asked(origin)),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"] == "origin"


def test_errors_say_it_too(models: Callable[..., AsgiClient]) -> None:
    answer = models(APP).get("/models?limit=x", headers={"origin": APP})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (422, APP)


def test_a_preflight_needs_no_key_and_names_the_methods_of_the_path(
    models: Callable[..., AsgiClient],
) -> None:
    answer = models(APP).request("OPTIONS", "/models/activate/m-v1", headers=asked(APP, "POST"))
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "x-api-key" in answer.headers["access-control-allow-headers"]
    unknown = models(APP).request("OPTIONS", "/nowhere", headers=asked(APP))
    assert unknown.status_code == 404


def test_without_the_setting_nothing_is_said(models: Callable[..., AsgiClient]) -> None:
    answer = models("").get("/models", headers={"origin": APP})
    assert "vary" not in answer.headers
    assert models("").request("OPTIONS", "/models").status_code == 405


def test_any_origin_is_for_development_only() -> None:
    assert load_settings(cors_allow_origins="*").cors_allow_origins == ("*",)
    with pytest.raises(ConfigurationError, match="CORS_ALLOW_ORIGINS"):
        load_settings(cors_allow_origins="*", env="production", admin_api_key="x" * 20)
    for wrong in (
        "app.example.org",
        "https://app.example.org/",
        "https://*.example.org",
        "javascript:alert(1)",
    ):
        with pytest.raises(ConfigurationError, match="CORS_ALLOW_ORIGINS"):
            load_settings(cors_allow_origins=wrong)


def test_every_answer_has_the_headers_that_keep_browsers_safe(models: Callable[..., AsgiClient]) -> None:
    for path in ("/models", "/health", "/nowhere", "/models/unknown-v1"):
        headers = models("").get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["strict-transport-security"].startswith("max-age=")
