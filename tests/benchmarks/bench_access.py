"""What it costs a warm prediction to know who asks and how often: `python -m tests.benchmarks.bench_access`.

    python -m tests.benchmarks.bench_access [--json] [--pairs 3000] [--starts 5]

Predictions in this process, by pairs: one without a key and without limits, then one with an API key and
limits; the cost is the median difference within the pairs, in processor time of the serving thread. Then
first answers of fresh processes, with both and without, by turns; and whether the first answer has waited for
one of the libraries.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request

from infra.catalogue import ROOT, source_of
from shared.access.limits import Limits
from shared.access.roles import Role
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.logs import configure_logs
from shared.platform.connect import connect
from tests.benchmarks.goals import Goal, table
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.packages import active

ADMIN_KEY: Final = "an-admin-key-for-benchmarks"
PATH: Final = "/predict"
LIBRARIES: Final = ("limits", "jwt", "redis", "argon2")
WARM_UP: Final = 300

Answer = Callable[[Request], Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds are medians, of processor time; `limits_us` is of all threads. `cold_*_ms` is from the
    start of a process to its first answer; `waited_for` are the libraries that were loaded by then.
    """

    pairs: int
    plain_us: float
    cost_us: float
    cost_p25_us: float
    cost_p75_us: float
    limits_us: float
    cold_plain_ms: float
    cold_guarded_ms: float
    cold_difference_ms: float
    waited_for: Sequence[str]

    def goals(self) -> list[Goal]:
        return [
            Goal("access: cost of key and limits, warm prediction, us", self.cost_us, at_most=60),
            Goal("access: libraries that a first answer waits for", len(self.waited_for), at_most=0),
        ]


def run(pairs: int, starts: int) -> Figures:
    series = candles(200)
    with serving(Market()) as market, tempfile.TemporaryDirectory(prefix="mlengine-bench-") as folder:
        market.series = {series.symbol: series}
        home = Path(folder) / "home"
        settings = {"mlengine_home": home, "market_data_url": market.url, "market_calendar": "24/7"}
        instance = _instance(settings)
        active(instance.registry)
        _, credential = instance.api_keys.create("bench", Role.PREDICTOR, "admin")
        target = (PATH, f"symbol={series.symbol}")
        plain, guarded = asyncio.run(_pairs(settings, target, credential.text, pairs))
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **{name.upper(): str(value) for name, value in settings.items()},
            "ADMIN_API_KEY": ADMIN_KEY,
        }
        colds = [_cold_starts(environment, target, credential.text) for _ in range(starts)]
    differences = [late - early for early, late in zip(plain, guarded, strict=True)]
    low, middle, high = statistics.quantiles(differences, n=4)
    cold_plain, cold_guarded = [one for one, _ in colds], [two["ms"] for _, two in colds]
    return Figures(
        pairs=pairs,
        plain_us=statistics.median(plain),
        cost_us=middle,
        cost_p25_us=low,
        cost_p75_us=high,
        limits_us=_limits_us(),
        cold_plain_ms=statistics.median(cold_plain),
        cold_guarded_ms=statistics.median(cold_guarded),
        cold_difference_ms=statistics.median(b - a for a, b in zip(cold_plain, cold_guarded, strict=True)),
        waited_for=sorted({name for _, two in colds for name in two["loaded"]}),
    )


def _instance(settings: Mapping[str, Any], **more: Any) -> Instance:
    chosen = load_settings(**{"admin_api_key": ADMIN_KEY, "model_cache_seconds": 3_600, **settings, **more})
    return Instance(chosen, connect(chosen))


async def _pairs(
    settings: Mapping[str, Any], target: tuple[str, str], key: str, pairs: int
) -> tuple[list[float], list[float]]:
    """The microseconds of each, in the order in which they were asked; who goes first alternates."""
    instance = _instance(settings, access_cache_seconds=60, candle_cache_seconds=3_600)
    use_instance(instance)
    off = Limits(requests=0, window_seconds=60, redis_url=None)
    on = Limits(requests=1_000_000, window_seconds=60, redis_url=None)
    on.load()
    ways: Sequence[tuple[Limits, Sequence[tuple[bytes, bytes]]]]
    ways = ((off, []), (on, [(b"x-api-key", key.encode())]))
    answer = _function().answer
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-WARM_UP, pairs):
        if number % 100 == 0:
            configure_logs("INFO", io.StringIO())
        for way in (0, 1) if number % 2 == 0 else (1, 0):
            limits, headers = ways[way]
            instance.__dict__["limits"] = limits
            took = await _asked(answer, target, headers)
            if number >= 0:
                times[way].append(took)
    use_instance(None)
    return times


def _function() -> Any:
    spec = importlib.util.spec_from_file_location("predict_main", source_of("predict"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.function


async def _asked(answer: Answer, target: tuple[str, str], headers: Sequence[tuple[bytes, bytes]]) -> float:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    path, query = target
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": list(headers),
        "client": ("192.0.2.1", 4711),
    }
    request = Request(scope, receive)
    began = time.thread_time()
    response = await answer(request)
    took = time.thread_time() - began
    if response.status_code != 200:
        raise RuntimeError(response.body.decode())
    return took * 1e6


def _limits_us(count: int = 20_000) -> float:
    """The processor time of counting one call, in both windows, with where the caller then stands."""
    from shared.access.limits import Kind

    limits = Limits(requests=1_000_000, window_seconds=60, redis_url=None)
    limits.load()
    began = time.process_time()
    for _ in range(count):
        limits.count(Kind.PREDICT, Role.PREDICTOR, "key", 1, "user")
    return (time.process_time() - began) / count * 1e6


def _cold_starts(
    environment: Mapping[str, str], target: tuple[str, str], key: str
) -> tuple[float, Mapping[str, Any]]:
    plain = _cold({**environment, "RATE_LIMIT_REQUESTS": "0"}, target, "")
    return plain["ms"], _cold({**environment, "RATE_LIMIT_REQUESTS": "600"}, target, key)


def _cold(environment: Mapping[str, str], target: tuple[str, str], key: str) -> dict[str, Any]:
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.access_once", "?".join(target), key],
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    took = time.perf_counter() - began
    child.communicate()
    if child.returncode != 0:
        raise RuntimeError(f"the first request failed with {child.returncode}")
    return {"ms": took * 1e3, "loaded": [name for name in json.loads(line) if name in LIBRARIES]}


def report(figures: Figures) -> str:
    warm = (
        f"A warm prediction takes {figures.plain_us:.0f} us; an API key and limits add "
        f"{figures.cost_us:.1f} us (quartiles {figures.cost_p25_us:.1f} and {figures.cost_p75_us:.1f}; "
        f"{figures.pairs:,} pairs), of which counting is {figures.limits_us:.1f} us of processor time."
    )
    cold = (
        f"A first answer takes {figures.cold_plain_ms:.0f} ms without and {figures.cold_guarded_ms:.0f} ms "
        f"with both: {figures.cold_difference_ms:+.0f} ms, the median of pairs. "
        f"Libraries that it waits for: {', '.join(figures.waited_for) or 'none'}."
    )
    return "\n".join([warm, cold, "", table(figures.goals())])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--pairs", type=int, default=3_000)
    parser.add_argument("--starts", type=int, default=5)
    arguments = parser.parse_args()
    figures = run(arguments.pairs, arguments.starts)
    told = asdict(figures) | {"goals": [asdict(goal) for goal in figures.goals()]}
    sys.stdout.write(json.dumps(told, indent=1) if arguments.json else report(figures))
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
