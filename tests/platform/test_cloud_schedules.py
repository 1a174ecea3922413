"""What becomes of the errors of Cloud Scheduler's client, and of a call that is stuck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from shared.config import PlatformName, load_settings
from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.gcp.schedules import CloudSchedules, meaning, translated
from tests.platform.google_stand_in import google


def below(kind: type[api.GoogleAPICallError]) -> list[type[api.GoogleAPICallError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in below(sub))]


CALL_ERRORS = sorted({kind for kind in below(api.GoogleAPICallError) if kind.code}, key=lambda k: k.__name__)


@pytest.mark.parametrize("kind", CALL_ERRORS)
def test_every_error_of_the_client_means_something(kind: type[api.GoogleAPICallError]) -> None:
    make: Callable[..., Exception] = kind
    found = meaning(make("why"), "list")
    passes = {408, 429, 500, 502, 503, 504}
    assert type(found) is (PlatformUnavailable if kind.code in passes else ConfigurationError)
    assert found.detail.startswith("Cloud Scheduler ")
    assert "list" in found.detail


@pytest.mark.parametrize(
    ("make", "arguments", "kind"),
    [
        (api.RetryError, ("too long", None), PlatformUnavailable),
        (api.GoogleAPICallError, ("no code",), PlatformUnavailable),
        (requests.ConnectionError, ("refused",), PlatformUnavailable),
        (requests.Timeout, ("slow",), PlatformUnavailable),
        (auth.TransportError, ("no metadata server",), PlatformUnavailable),
        (auth.RefreshError, ("revoked",), ConfigurationError),
        (auth.DefaultCredentialsError, ("none",), ConfigurationError),
    ],
)
def test_every_error_below_the_client_means_something(
    make: Callable[..., Exception], arguments: tuple[Any, ...], kind: type[Exception]
) -> None:
    error = make(*arguments)
    with pytest.raises(kind, match="list") as raised, translated("list"):
        raise error
    assert raised.value.__cause__ is error


def test_a_call_that_is_stuck_leaves_time_for_another() -> None:
    with google() as service:
        service.answers, service.keep = [(200, {"jobs": []})], 1
        chosen = load_settings(
            platform=PlatformName.EMULATORS,
            google_cloud_project="a-project",
            scheduler_emulator_host=service.host,
        )
        assert CloudSchedules(replace(Project.of(chosen), timeout_seconds=8.0)).list() == []
        assert len(service.seen) == 2
