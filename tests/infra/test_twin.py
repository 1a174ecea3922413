from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from infra.emulators.processes import free_port
from infra.local.first_model import FirstModel
from infra.local.sample import sample_upstream
from infra.local.twin import Twin
from shared.access.identity import ADMIN_KEY_SECRET
from shared.config import load_settings
from shared.errors import ConfigurationError, EngineError
from shared.instance import Instance
from tests.market.made import candles, checked
from tests.packages import registered

ELSEWHERE = "http://127.0.0.1:9"


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def build(
    tmp_path: Path, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Twin]]:
    """Builds a twin, on a port that is free unless another is given; all are closed at the end."""
    monkeypatch.setenv("MARKET_DATA_URL", ELSEWHERE)
    with ExitStack() as stack:

        def build(stack: ExitStack = stack, **settings: Any) -> Twin:
            chosen = {"mlengine_home": tmp_path / "home", "port": free_port(), **settings}
            return Twin(load_settings(**chosen), stack, Console(file=output, width=400))

        yield build


def test_a_key_is_made_at_the_first_start_shown_once_and_kept(
    build: Callable[..., Twin], output: io.StringIO
) -> None:
    with ExitStack() as stack:
        key = build(stack).api_key
    assert len(key) >= 32
    assert output.getvalue().count(key) == 1
    again = build()
    assert again.api_key == key
    assert output.getvalue().count(key) == 1
    assert again.instance.platform.secrets.get(ADMIN_KEY_SECRET) == key


def test_a_key_that_is_set_is_taken_and_not_shown(build: Callable[..., Twin], output: io.StringIO) -> None:
    assert build(admin_api_key="a-key-of-one's-own").api_key == "a-key-of-one's-own"
    assert "a-key-of-one's-own" not in output.getvalue()
    assert "Admin key" not in output.getvalue()


def test_a_second_twin_on_the_same_state_is_refused(build: Callable[..., Twin], tmp_path: Path) -> None:
    with ExitStack() as stack:
        build(stack)
        with pytest.raises(ConfigurationError, match=f"already runs on {tmp_path}.*MLENGINE_HOME"):
            build()
    build()


def test_a_port_that_is_taken_is_named_with_another(build: Callable[..., Twin]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Port {port} .* such as {port + 10}"):
            build(port=port)


def test_another_upstream_is_taken_where_one_is_set(build: Callable[..., Twin]) -> None:
    assert build().settings.market_data_url == ELSEWHERE


def test_jobs_find_the_state_and_the_upstream_of_their_twin(
    build: Callable[..., Twin], tmp_path: Path
) -> None:
    build(mlengine_home=tmp_path / "a" / ".." / "b")
    found = load_settings()
    assert (found.mlengine_home, found.market_data_url) == (tmp_path / "b", ELSEWHERE)


def test_the_sample_upstream_takes_another_port_where_its_own_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with sample_upstream("127.0.0.1", port) as url:
            assert not url.endswith(f":{port}")
            assert "AAPL" in httpx.get(f"{url}/symbols").json()["symbols"]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/symbols")


def test_a_port_beyond_the_last_is_no_reason_to_fail() -> None:
    with sample_upstream("127.0.0.1", 65_536) as url:
        assert httpx.get(f"{url}/symbols").status_code == 200


def first_model(instance: Instance, output: io.StringIO) -> FirstModel:
    console = Console(file=output, width=400)
    return FirstModel(instance, ELSEWHERE, "key", console, keeps_state=True, is_stopping=lambda: False)


def test_a_first_model_that_failed_its_gates_goes_live_and_says_so(
    instance: Instance, output: io.StringIO
) -> None:
    first_model(instance, output)._activate(registered(instance.registry, gates_passed=False))
    active = instance.registry.active("market-signal")
    assert active is not None
    assert active.gates_passed is False
    assert "did not pass its gates (auc_above_chance)" in output.getvalue()
    assert '"gates_passed": false' in output.getvalue()


def test_a_first_model_that_passed_goes_live_without_a_word(instance: Instance, output: io.StringIO) -> None:
    first_model(instance, output)._activate(registered(instance.registry))
    assert instance.registry.active("market-signal") is not None
    assert output.getvalue() == ""


def test_a_first_model_that_is_suspected_of_a_leak_waits_for_a_human(
    instance: Instance, output: io.StringIO
) -> None:
    with pytest.raises(EngineError, match="mlengine activate market-signal-v1"):
        first_model(instance, output)._activate(registered(instance.registry, suspected_leak=True))
    assert instance.registry.active("market-signal") is None


def test_a_start_without_candles_says_what_to_do(instance: Instance, output: io.StringIO) -> None:
    with pytest.raises(EngineError, match=r"no 1d candles are stored; '.*mlengine ingest'"):
        first_model(instance, output)._first_symbol()
    instance.candle_store.ingest("ABC", "1d", checked(candles(5)))
    assert first_model(instance, output)._first_symbol() == "ABC"
