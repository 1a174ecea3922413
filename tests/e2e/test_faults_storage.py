"""Cloud Storage is slow, silent or failing: what is loaded goes on serving, and nothing changes by half.

`predict` and `models` run in processes of their own, as they are deployed. Only Cloud Storage's line is bad.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared.config import Settings
from shared.instance import Instance
from shared.platform.connect import connect
from tests.contracts.workers import wait_for
from tests.e2e.faults import Deployed, deployed, environment_of, register
from tests.e2e.twin import KEY, MODEL
from tests.e2e.whole import check_one_is_live, promotions_of
from tests.emulators import Emulators
from tests.faulty import Fault, Line, line_to
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.proxy import Proxy, proxy_to

TIMEOUT_SECONDS = 2.0
"""For one call to the platform, with its attempts."""
SLOW_SECONDS = 0.2
PREDICTIONS = 100


@dataclass(frozen=True)
class Place:
    """Two versions, the first of which is live, on a Cloud Storage that can be spoiled."""

    state: Instance
    bad: Settings
    """Of who uses the bad line."""
    versions: list[str]
    line: Line
    """Spoils requests."""
    proxy: Proxy
    """Before it: is slow."""
    logs: Path

    @contextmanager
    def running(self, function: str) -> Iterator[Deployed]:
        environment = {**environment_of(self.bad), "MODEL_CACHE_SECONDS": "0"}
        with deployed(function, self.logs / f"{function}.log", environment) as process:
            yield process

    def spoil(self, fault: Fault | None) -> None:
        """What becomes of all that is read and written from now on."""
        for method in ("GET", "POST", "PUT", "DELETE"):
            self.line.always(method, fault)


@pytest.fixture
def place(emulators: Emulators, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        market = stack.enter_context(serving(Market(candles(200))))
        chosen = emulators.ready(market_data_url=market.url, market_calendar="24/7")
        state = Instance(chosen, connect(chosen))
        versions = register(state, 2)
        state.registry.activate(versions[0], by="test")
        line = stack.enter_context(line_to(chosen.storage_emulator_host))
        proxy = stack.enter_context(proxy_to(line.url.partition("://")[2]))
        changes = {
            "storage_emulator_host": f"http://{proxy.host}",
            "platform_timeout_seconds": TIMEOUT_SECONDS,
        }
        yield Place(state, chosen.model_copy(update=changes), versions, line, proxy, tmp_path)


def predict(process: Deployed) -> httpx.Response:
    url = f"{process.url}/predict?symbol=ABC"
    return httpx.get(url, headers=KEY, timeout=60, trust_env=False)


def model_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    model: str = answer.json()["model_id"]
    return model


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST, Fault.HANGS])
def test_the_loaded_model_serves_on_until_the_new_one_can_be_read(
    place: Place, fault: Fault, tell: Callable[[str], None]
) -> None:
    first, second = place.versions
    with place.running("predict") as process:
        assert model_of(predict(process)) == first
        place.spoil(fault)
        place.state.registry.activate(second, by="test")
        began = time.monotonic()
        served = {model_of(predict(process)) for _ in range(3)}
        seconds = time.monotonic() - began
        assert served == {first}
        place.spoil(None)
        wait_for(lambda: model_of(predict(process)) == second)
    tell(f"3 predictions in {seconds:.1f} s by the loaded model, each of which tried to read the new one")


def test_predictions_do_not_wait_for_a_slow_download(place: Place, tell: Callable[[str], None]) -> None:
    first, second = place.versions
    with place.running("predict") as process:
        assert model_of(predict(process)) == first
        place.proxy.latency_seconds = SLOW_SECONDS
        place.state.registry.activate(second, by="test")
        slowest, answered = 0.0, 0
        with httpx.Client(timeout=60) as client, ExitStack() as stack:
            loader = stack.enter_context(_asking(process))
            while loader():
                began = time.monotonic()
                answer = client.get(f"{process.url}/predict?symbol=ABC", headers=KEY)
                assert model_of(answer) in place.versions
                slowest, answered = max(slowest, time.monotonic() - began), answered + 1
        assert model_of(predict(process)) == second
    assert answered > 0
    tell(f"{answered} predictions while a new model was read, the slowest in {slowest * 1000:.0f} ms")
