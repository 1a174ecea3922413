from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from shared.config import PlatformName, load_settings
from shared.errors import ConfigurationError, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import ATTEMPTS, GoogleRest
from shared.platform.gcp.tokens import MetadataTokens
from tests.platform.google_stand_in import StandIn, google

REFUSAL = {"error": {"code": 403, "message": "Permission denied on resource", "status": "PERMISSION_DENIED"}}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A service, and the metadata server of the machine that calls it."""
    with google() as stand_in:
        monkeypatch.setenv("K_SERVICE", "predict")
        monkeypatch.setenv("GCE_METADATA_HOST", stand_in.host)
        yield stand_in


@pytest.fixture
def project() -> Project:
    chosen = load_settings(platform=PlatformName.GCP, google_cloud_project="a-project")
    return replace(Project.of(chosen), timeout_seconds=5.0)


@pytest.fixture
def rest(project: Project) -> Iterator[GoogleRest]:
    made = GoogleRest(project)
    yield made
    made.close()


def test_a_call_carries_the_instances_token_and_asks_for_it_once(service: StandIn, rest: GoogleRest) -> None:
    for _ in range(3):
        assert rest.call("GET", f"{service.url}/v1/x").json() == {"ok": True}
    assert service.seen == [("GET", "/v1/x", "Bearer t0k3n")] * 3
    assert service.tokens_given == 1


def test_an_emulator_gets_no_token(service: StandIn, project: Project) -> None:
    GoogleRest(replace(project, is_emulated=True)).call("GET", f"{service.url}/v1/x")
    assert service.seen == [("GET", "/v1/x", "Bearer owner")]
    assert service.tokens_given == 0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(service: StandIn, rest: GoogleRest, status: int) -> None:
    service.answers = [(status, {}), (status, {}), (200, {"ok": True})]
    assert rest.call("POST", f"{service.url}/v1/x", json={}).status_code == 200
    assert len(service.seen) == 3


def test_a_lost_answer_is_asked_for_again(service: StandIn, rest: GoogleRest) -> None:
    service.drop = 2
    assert rest.call("GET", f"{service.url}/v1/x").status_code == 200
    assert len(service.seen) == 3


def test_a_call_that_is_stuck_leaves_time_for_another(service: StandIn, project: Project) -> None:
    service.keep = 1
    with closing(GoogleRest(replace(project, timeout_seconds=8.0))) as rest:
        assert rest.call("GET", f"{service.url}/v1/x").status_code == 200
    assert len(service.seen) == 2


def test_attempts_are_bounded_and_the_last_failure_is_told(service: StandIn, rest: GoogleRest) -> None:
    service.answers = [(503, {"error": {"message": "come back later"}})]
    with pytest.raises(PlatformUnavailable, match=rf"{ATTEMPTS} times.*503: come back later") as caught:
        rest.call("GET", f"{service.url}/v1/x?secret=yes")
    assert len(service.seen) == ATTEMPTS
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_call_ends_within_the_time_it_has(service: StandIn, project: Project) -> None:
    service.answers = [(503, {})]
    started = time.monotonic()
    with pytest.raises(PlatformUnavailable):
        GoogleRest(replace(project, timeout_seconds=0.3)).call("GET", f"{service.url}/v1/x")
    assert time.monotonic() - started < 5.0
    assert len(service.seen) <= ATTEMPTS


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_what_to_check_and_is_not_tried_again(
    service: StandIn, rest: GoogleRest, status: int
) -> None:
    service.answers = [(status, REFUSAL)]
    with pytest.raises(ConfigurationError, match=r"Permission denied on resource.*service account"):
        rest.call("GET", f"{service.url}/v1/x")
    assert len(service.seen) == 1


@pytest.mark.parametrize("status", [200, 400, 404, 409, 412])
def test_other_answers_are_the_callers_to_read(service: StandIn, rest: GoogleRest, status: int) -> None:
    service.answers = [(status, {"n": 1})]
    assert rest.call("GET", f"{service.url}/v1/x").status_code == status


def test_a_token_is_fetched_anew_before_it_ends(service: StandIn) -> None:
    clock = [1_000.0]
    with httpx.Client() as client:
        found = MetadataTokens(client, monotonic=lambda: clock[0])
        for at, given in ((0, 1), (3_000, 1), (3_358, 1), (3_360, 2), (3_361, 2)):
            clock[0] = 1_000.0 + at
            assert found.token() == "t0k3n"
            assert service.tokens_given == given


@pytest.mark.parametrize(
    "answer",
    [(404, "no such account"), (200, "not JSON"), (200, {}), (200, {"access_token": "x"}), (503, {})],
)
def test_a_metadata_server_that_gives_no_token_is_named(
    service: StandIn, rest: GoogleRest, answer: tuple[int, object]
) -> None:
    service.token_answers = [answer]
    with pytest.raises(PlatformUnavailable, match="metadata server gave no token"):
        rest.call("GET", f"{service.url}/v1/x")
    assert service.seen == []


def test_a_token_serves_while_the_metadata_server_is_away(service: StandIn) -> None:
    clock = [1_000.0]
    with httpx.Client() as client:
        found = MetadataTokens(client, monotonic=lambda: clock[0])
        assert found.token() == "t0k3n"
        service.token_answers = [(503, {})]
        clock[0] += 3_588
        assert found.token() == "t0k3n"
        clock[0] += 2
        with pytest.raises(PlatformUnavailable):
            found.token()


def test_a_metadata_server_that_stumbles_is_asked_again(service: StandIn, rest: GoogleRest) -> None:
    service.token_answers = [(503, {}), service.token_answers[0]]
    assert rest.call("GET", f"{service.url}/v1/x").status_code == 200


def test_no_credentials_at_all_say_what_to_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("K_SERVICE", "CLOUD_RUN_JOB", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    with pytest.raises(ConfigurationError, match="gcloud auth application-default login"):
        GoogleRest(project).call("GET", "http://127.0.0.1:9/v1/x")


def test_a_token_never_gets_into_an_error(service: StandIn, rest: GoogleRest) -> None:
    service.answers = [(403, {"error": {"message": "no"}})]
    with pytest.raises(ConfigurationError) as caught:
        rest.call("GET", f"{service.url}/v1/x")
    assert "t0k3n" not in str(caught.value)


def _urls(project: Project) -> list[str]:
    return [getattr(project, name) for name in project.__slots__ if name.endswith("_url")]


def test_the_real_services_are_named_where_no_emulator_is_asked_for(project: Project) -> None:
    assert all(url.startswith("https://") and url.endswith(".googleapis.com") for url in _urls(project))


def test_an_emulated_project_reaches_no_real_service() -> None:
    chosen = load_settings(
        platform=PlatformName.EMULATORS, google_cloud_project="a-project", firestore_emulator_host="x:1"
    )
    assert all("googleapis" not in url for url in _urls(Project.of(chosen)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"platform": "gcp"}, "GOOGLE_CLOUD_PROJECT must be set"),
        (
            {"platform": "gcp", "google_cloud_project": "a-project", "pubsub_emulator_host": "x:1"},
            "unset PUBSUB_EMULATOR_HOST",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Project.of(load_settings(**settings))


def test_a_client_is_made_once(service: StandIn, rest: GoogleRest) -> None:
    rest.call("GET", f"{service.url}/v1/x")
    first: httpx.Client = rest._client
    rest.call("GET", f"{service.url}/v1/x")
    assert rest._client is first
