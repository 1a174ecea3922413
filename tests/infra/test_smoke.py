from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from infra.catalogue import read_catalogue
from infra.local.dispatcher import Dispatcher
from infra.local.gateway import Gateway
from infra.smoke import ENGINE, Smoke, main, read_addresses
from tests.cli.conftest import serving
from tests.conftest import ADMIN_KEY
from tests.functions.engine import Engine
from tests.market.made import candles
from tests.market.markets import Market
from tests.market.markets import serving as upstream
from tests.packages import active

HURRIED = ("--symbol", "ABC", "--patience-seconds", "0.2")
PATIENT = ("--symbol", "ABC", "--patience-seconds", "30")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLENGINE_API_KEY", ADMIN_KEY)
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with (
        upstream(Market(candles(200))) as market,
        Engine(tmp_path / "home", market_data_url=market.url) as engine,
    ):
        yield engine


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    """The whole engine behind one URL."""
    with serving(Gateway(read_catalogue())) as url:
        yield url


@pytest.fixture
def delivering(engine: Engine) -> Iterator[None]:
    """Events arrive."""

    def push(function: str, body: bytes, headers: object) -> tuple[int, bytes]:
        answer = engine[function].post("/", content=body, headers=list(headers))  # type: ignore[call-overload]
        return answer.status_code, answer.content

    dispatcher = Dispatcher(engine.events, push, ADMIN_KEY, engine.instance.platform.now)
    dispatcher.start(["audit"])
    yield
    dispatcher.stop()


Read = Callable[[], str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Read:
    return lambda: capsys.readouterr().out


def test_a_working_engine_passes(
    engine: Engine, url: str, delivering: None, printed: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLENGINE_API_KEY", f"{ADMIN_KEY}\n")  # as a secret that was piped in
    active(engine.instance.registry)
    assert main([url, *PATIENT]) == 0
    assert printed().count("yes") == 3


def test_a_new_engine_passes_before_its_first_model_and_not_after(url: str, printed: Read) -> None:
    assert main([url, *HURRIED, "--before-first-model"]) == 0
    assert printed().count("yes") == 2
    assert main([url, *HURRIED]) == 1
    assert "no   engine is ready" in printed()


def test_predictions_that_never_reach_the_audit_are_a_failure(
    engine: Engine, url: str, printed: Read
) -> None:
    active(engine.instance.registry)
    assert main([url, "--symbol", "ABC", "--patience-seconds", "0"]) == 1
    assert "no   a prediction is made, and found in the audit" in printed()


def test_a_wrong_key_is_a_failure(
    engine: Engine, url: str, printed: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    active(engine.instance.registry)
    monkeypatch.setenv("MLENGINE_API_KEY", "another-key-altogether")
    assert main([url, *HURRIED]) == 1
    assert "401" in printed()


def test_nobody_there_is_a_failure(free_port_url: str, printed: Read) -> None:
    assert main([free_port_url, *HURRIED]) == 1
    assert "ConnectError" in printed()


def test_all_checks_share_one_patience(free_port_url: str) -> None:
    """A deployment of which nothing answers is given back before the build that made it times out."""
    seconds = 0.0

    def pause(some: float) -> None:
        nonlocal seconds
        seconds += some

    names = ("predict", "monitoring", *(f"other-{n}" for n in range(18)))
    addresses = dict.fromkeys(names, free_port_url)
    with httpx.Client() as client:
        smoke = Smoke(addresses, "k", "ABC", True, 60.0, client, clock=lambda: seconds, pause=pause)
        assert not smoke.run(Console(quiet=True))
    assert len(smoke.failures) == 41
    assert seconds == 60.0


@pytest.fixture
def free_port_url() -> str:
    return "http://127.0.0.1:9"


class Functions:
    """Functions at addresses of their own that only known callers may invoke, and a metadata server."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.slow = 2
        self.kept = 0.5

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/computeMetadata/v1/instance/service-accounts/default/identity", self.identity),
                Route("/{function}/{path:path}", self.answer),
            ]
        )

    def identity(self, request: Request) -> Response:
        right = request.headers.get("metadata-flavor") == "Google"
        return PlainTextResponse(f"token for {request.query_params['audience']}\n", 200 if right else 403)

    def answer(self, request: Request) -> Response:
        function, path = request.path_params["function"], request.path_params["path"]
        self.asked.append((f"/{function}/{path}", request.headers.get("x-serverless-authorization")))
        if self.slow:  # as while roles spread and instances start
            self.slow -= 1
            return PlainTextResponse("not yet", 403)
        answers = {
            "health": {"status": "ok", "function": function},
            "ready": {"ready": True, "missing": {}},
            "predict": {"symbol": "ABC", "probability": 0.5, "prediction_id": "p1"},
            "predictions/p1": {"prediction": {"probability": self.kept}},
        }
        return JSONResponse(answers[path])


def listed(folder: Path, urls: Mapping[str, str]) -> Path:
    """As Terraform tells them. Nobody outside can call what takes events only."""
    functions: dict[str, object] = {
        name: {"service": name, "url": url, "routes": ["GET /"]} for name, url in urls.items()
    }
    functions["audit"] = {"service": "audit", "url": "http://127.0.0.1:9", "routes": []}
    return written(folder, functions, None)


def written(folder: Path, functions: object, front_door: object) -> Path:
    """What `terraform output -json` prints, with what isn't asked for besides."""
    file = folder / "outputs.json"
    outputs = {"functions": functions, "front_door": front_door, "blobs_url": "gs://some"}
    file.write_text(json.dumps({name: {"sensitive": False, "value": one} for name, one in outputs.items()}))
    return file


def test_functions_are_each_asked_with_a_token_of_their_own(
    tmp_path: Path, printed: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = Functions()
    with serving(functions.app()) as url:
        monkeypatch.setenv("GCE_METADATA_HOST", url.removeprefix("http://"))
        file = listed(tmp_path, {name: f"{url}/{name}" for name in ("predict", "monitoring", "docs")})
        assert main([str(file), *PATIENT, "--identity"]) == 0
    assert printed().count("yes") == 7
    assert dict(functions.asked) == {
        path: f"Bearer token for {url}/{path.split('/')[1]}"
        for path in (
            *(
                f"/{name}/{kind}"
                for name in ("predict", "monitoring", "docs")
                for kind in ("health", "ready")
            ),
            "/predict/predict",
            "/monitoring/predictions/p1",
        )
    }


def test_a_function_at_the_address_of_another_is_a_failure(tmp_path: Path, printed: Read) -> None:
    functions = Functions()
    functions.slow = 0
    with serving(functions.app()) as url:
        file = listed(tmp_path, {"predict": f"{url}/monitoring", "monitoring": f"{url}/predict"})
        assert main([str(file), *HURRIED]) == 1
    assert "no   predict is healthy" in printed()


def test_an_audit_that_tells_something_else_is_a_failure(tmp_path: Path, printed: Read) -> None:
    functions = Functions()
    functions.slow, functions.kept = 0, 0.6
    with serving(functions.app()) as url:
        file = listed(tmp_path, {"predict": f"{url}/predict", "monitoring": f"{url}/monitoring"})
        assert main([str(file), *HURRIED]) == 1
    assert "the audit says 0.6, the answer said 0.5" in printed()


def test_behind_a_front_door_that_alone_is_asked(tmp_path: Path) -> None:
    functions = {"predict": {"url": "https://a.example.com", "routes": ["GET /predict"]}}
    door = {"url": "https://engine.example.com/", "address": "192.0.2.1", "certificate": "c"}
    assert read_addresses(str(written(tmp_path, functions, door))) == {ENGINE: "https://engine.example.com"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"functions": {"value": {}}}'])
def test_addresses_are_in_what_terraform_prints(tmp_path: Path, text: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"outputs\.json"):
        read_addresses(str(file))


@pytest.mark.parametrize(
    "functions",
    [
        {},
        {"predict": "https://p"},
        {"predict": {"url": "ftp://p", "routes": []}},
        {"predict": {"url": "https://p", "routes": ["GET /predict"]}},
    ],
)
def test_addresses_name_what_is_asked(tmp_path: Path, functions: object) -> None:
    with pytest.raises(ValueError, match=r"outputs\.json"):
        read_addresses(str(written(tmp_path, functions, None)))


def test_a_key_is_needed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MLENGINE_API_KEY")
    with pytest.raises(SystemExit):
        main(["http://127.0.0.1:9"])
    assert "MLENGINE_API_KEY" in capsys.readouterr().err
