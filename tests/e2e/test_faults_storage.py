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
from shared.errors import PlatformUnavailable
from shared.instance import Instance
from shared.platform.connect import connect
from tests.contracts.racing import race
from tests.contracts.workers import wait_for
from tests.e2e.faults import Deployed, deployed, environment_of, register
from tests.e2e.twin import KEY, MODEL
from tests.e2e.whole import check_one_is_live, check_versions, promotions_of, versions_of
from tests.emulators import Emulators
from tests.faulty import Fault, Line, line_to
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.proxy import Proxy, proxy_to

TIMEOUT_SECONDS = 1.0
"""For one call to the platform, with its attempts."""
SLOW_SECONDS = 0.2
CALLERS = 20

failing = pytest.mark.parametrize(
    "fault", [Fault.UNAVAILABLE, Fault.HANGS], ids=lambda fault: fault.name.lower()
)


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


@failing
def test_the_loaded_model_serves_on_until_the_new_one_can_be_read(
    place: Place, fault: Fault, tell: Callable[[str], None]
) -> None:
    first, second = place.versions
    with place.running("predict") as process:
        assert model_of(predict(process)) == first
        place.spoil(fault)
        place.state.registry.activate(second, by="test")
        began = time.monotonic()
        assert [model_of(predict(process)) for _ in range(2)] == [first] * 2
        seconds = time.monotonic() - began
        place.spoil(None)
        wait_for(lambda: model_of(predict(process)) == second)
    tell(f"2 predictions in {seconds:.1f} s by the loaded model, each of which tried to read the new one")


def test_predictions_do_not_wait_for_a_slow_download(place: Place, tell: Callable[[str], None]) -> None:
    first, second = place.versions

    def timed(_: int) -> tuple[float, str]:
        began = time.monotonic()
        model = model_of(predict(process))
        return time.monotonic() - began, model

    with place.running("predict") as process:
        assert model_of(predict(process)) == first
        place.proxy.latency_seconds = SLOW_SECONDS
        place.state.registry.activate(second, by="test")
        *others, slowest = sorted(each for each in race(CALLERS, timed) if isinstance(each, tuple))
        assert len(others) == CALLERS - 1
        assert slowest[1] == second
        assert slowest[0] > 2 * SLOW_SECONDS
        assert {model for seconds, model in others if seconds < slowest[0] / 2} == {first}
        assert others[len(others) // 2][0] < slowest[0] / 2
        assert model_of(predict(process)) == second
    tell(
        f"{CALLERS} predictions while Cloud Storage is slow: the one that loads the new model takes "
        f"{slowest[0]:.1f} s, the median {others[len(others) // 2][0]:.2f} s"
    )


def test_a_cold_start_waits_for_a_slow_download(place: Place, tell: Callable[[str], None]) -> None:
    place.proxy.latency_seconds = SLOW_SECONDS
    with place.running("predict") as process:
        began = time.monotonic()
        assert model_of(predict(process)) == place.versions[0]
        seconds = time.monotonic() - began
    assert seconds > 2 * SLOW_SECONDS
    tell(f"a cold predict from a Cloud Storage that takes {SLOW_SECONDS} s for each piece: {seconds:.1f} s")


@failing
def test_a_cold_start_without_cloud_storage_says_so_in_time_and_recovers(
    place: Place, fault: Fault, tell: Callable[[str], None]
) -> None:
    place.spoil(fault)
    with place.running("predict") as process:
        began = time.monotonic()
        refusal = predict(process)
        seconds = time.monotonic() - began
        assert (refusal.status_code, refusal.json()["retryable"]) == (503, True), refusal.text
        assert seconds < 3 * TIMEOUT_SECONDS
        place.spoil(None)
        assert model_of(predict(process)) == place.versions[0]
    tell(f"a cold predict answers 503 in {seconds:.1f} s, and 200 once it is back")


@failing
def test_an_activation_that_can_not_check_its_package_changes_nothing(place: Place, fault: Fault) -> None:
    first, second = place.versions
    before = promotions_of(place.state)
    with place.running("models") as process:

        def activate() -> httpx.Response:
            url = f"{process.url}/models/activate/{second}"
            return httpx.post(url, json={}, headers=KEY, timeout=60, trust_env=False)

        place.spoil(fault)
        refusal = activate()
        assert (refusal.status_code, refusal.json()["retryable"]) == (503, True), refusal.text
        check_one_is_live(place.state)
        assert promotions_of(place.state) == before
        active = place.state.registry.active(MODEL)
        assert active is not None
        assert active.version_id == first
        place.spoil(None)
        assert activate().status_code == 200
    check_one_is_live(place.state)
    assert [entry.version_id for entry in promotions_of(place.state)] == [first, second]


def test_a_package_that_could_not_be_kept_is_no_version(place: Place) -> None:
    through = Instance(place.bad, connect(place.bad))
    place.spoil(Fault.UNAVAILABLE)
    with pytest.raises(PlatformUnavailable):
        register(through, 3)
    assert [version.id for version in versions_of(place.state)] == place.versions
    place.spoil(None)
    register(through, 3)
    check_versions(place.state)
    assert len(versions_of(place.state)) == 5
