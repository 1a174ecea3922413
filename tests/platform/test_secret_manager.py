"""What only Secret Manager has: values that are kept for a while, answers that are wrong, its stand-in."""

from __future__ import annotations

import json
import logging
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import google_crc32c
import httpx
import pytest

from infra.emulators.processes import running
from infra.emulators.secrets import secrets_standin, write_values
from shared.config import PlatformName, load_settings
from shared.errors import ConfigurationError, NotFound, PlatformUnavailable
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import ATTEMPTS, GoogleRest
from shared.platform.gcp.secrets import KEPT_SECONDS, SecretManager
from tests.faulty import Fault, line_to

VALUE = "a value that nobody else may see"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def values(tmp_path: Path) -> Path:
    file = tmp_path / "values.json"
    write_values(file, {"api-key": VALUE, "disabled": None, "lines": "one\ntwo\n", "empty": ""})
    return file


@pytest.fixture
def project(tmp_path: Path, values: Path) -> Iterator[Project]:
    with running(secrets_standin(tmp_path, values)) as standin:
        yield project_at(standin.host)


def project_at(host: str) -> Project:
    chosen = load_settings(
        platform=PlatformName.EMULATORS, google_cloud_project="test-secrets", secrets_emulator_host=host
    )
    return Project.of(chosen)


def manager(project: Project, environment: dict[str, str] | None = None) -> SecretManager:
    return SecretManager(project, GoogleRest(project), environment or {})


def test_the_environment_beats_the_manager_unless_it_is_empty(project: Project) -> None:
    assert manager(project, {"API_KEY": "given"}).get("api-key") == "given"
    assert manager(project, {"API_KEY": "given\n"}).get("api-key") == "given"
    assert manager(project, {"API_KEY": ""}).get("api-key") == VALUE


def test_a_value_is_asked_for_once_in_five_minutes(project: Project, values: Path) -> None:
    clock = Clock()
    with line_to(project.secrets_url) as line:
        over = replace(project, secrets_url=line.url)
        secrets = SecretManager(over, GoogleRest(over), {}, clock)
        assert [secrets.get("api-key") for _ in range(3)] == [VALUE] * 3
        write_values(values, {"api-key": "rotated"})
        clock.seconds = KEPT_SECONDS - 1
        assert secrets.get("api-key") == VALUE
        assert line.seen == ["GET"]
        clock.seconds = KEPT_SECONDS
        assert secrets.get("api-key") == "rotated"
        assert line.seen == ["GET"] * 2


def test_a_missing_secret_is_looked_for_again(project: Project, values: Path) -> None:
    secrets = manager(project)
    with pytest.raises(NotFound, match=r"NEW_KEY.*projects/test-secrets/secrets/new-key"):
        secrets.get("new-key")
    write_values(values, {"new-key": "made"})
    assert secrets.get("new-key") == "made"


def test_space_around_a_value_isnt_part_of_it(project: Project) -> None:
    assert manager(project).get("lines") == "one\ntwo"


def test_a_disabled_version_is_named(project: Project) -> None:
    with pytest.raises(ConfigurationError, match=r"secrets/disabled.*400.*enable"):
        manager(project).get("disabled")


def test_a_bad_line_is_tried_again_and_given_up(project: Project) -> None:
    with line_to(project.secrets_url) as line:
        secrets = manager(replace(project, secrets_url=line.url))
        line.plan("GET", Fault.UNAVAILABLE, Fault.LOST, Fault.CUT)
        assert secrets.get("api-key") == VALUE
        assert line.seen == ["GET"] * 4
        line.always("GET", Fault.UNAVAILABLE)
        with pytest.raises(PlatformUnavailable, match=f"failed {ATTEMPTS} times"):
            secrets.get("lines")
        line.always("GET", Fault.REFUSED)
        with pytest.raises(ConfigurationError, match="service account"):
            secrets.get("lines")


@contextmanager
def answering(content: bytes) -> Iterator[Project]:
    """A service that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield project_at(f"127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()


def answer(data: bytes, checksum: int) -> bytes:
    payload = {"data": b64encode(data).decode(), "dataCrc32c": str(checksum)}
    return json.dumps({"name": "x", "payload": payload}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload": {}}',
        b'{"payload": {"data": "!!", "dataCrc32c": "1"}}',
        answer(VALUE.encode(), google_crc32c.value(VALUE.encode()) ^ 1),
        answer(VALUE.encode()[1:], google_crc32c.value(VALUE.encode())),
        answer(b"\xff" + VALUE.encode(), google_crc32c.value(b"\xff" + VALUE.encode())),
    ],
)
def test_a_wrong_answer_isnt_taken_nor_told(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with answering(content) as project, pytest.raises(PlatformUnavailable, match="secrets/api-key") as raised:
        manager(project).get("api-key")
    assert VALUE[1:] not in "".join(told(raised.value)) + caplog.text


def told(error: BaseException | None) -> Iterator[str]:
    """What anybody can read who gets the error."""
    while error is not None:
        yield repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("data", [b"123456789", b"x", "ü🙂".encode() * 500])
def test_checksums_are_those_of_the_library(data: bytes) -> None:
    with answering(answer(data, google_crc32c.value(data))) as project:
        assert manager(project).get("api-key").encode() == data


def test_the_standin_answers_as_the_service_does(project: Project) -> None:
    secrets = f"{project.secrets_url}/v1/projects/p/secrets"
    found = httpx.get(f"{secrets}/api-key/versions/latest:access", trust_env=False)
    data = b64encode(VALUE.encode()).decode()
    assert found.json() == {
        "name": "projects/p/secrets/api-key/versions/1",
        "payload": {"data": data, "dataCrc32c": str(google_crc32c.value(VALUE.encode()))},
    }
    for path, status in (
        ("none/versions/latest:access", 404),
        ("disabled/versions/latest:access", 400),
        ("x", 404),
    ):
        refused = httpx.get(f"{secrets}/{path}", trust_env=False)
        assert refused.status_code == refused.json()["error"]["code"] == status


def test_the_standin_refuses_a_file_that_others_can_read(tmp_path: Path, values: Path) -> None:
    values.chmod(0o644)
    with pytest.raises(ConfigurationError, match="Others can read"):
        secrets_standin(tmp_path, values).start()


def test_values_are_never_on_a_command_line_nor_in_the_log(tmp_path: Path, values: Path) -> None:
    with running(secrets_standin(tmp_path, values)) as standin:
        manager(project_at(standin.host)).get("api-key")
        command = Path(f"/proc/{standin.process_id}/cmdline").read_bytes()
    assert b"infra.emulators.secrets" in command
    assert VALUE.encode() not in command
    assert VALUE not in (tmp_path / "secrets.log").read_text()
