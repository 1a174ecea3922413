"""Rounds over all contestants, side by side: each is started, asked, loaded and weighed in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.servers import Launch, Load, Server, cores

WARM_UP_REQUESTS = 300
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    single_requests: int
    parallel_requests: int


@dataclass(slots=True)
class Samples:
    """What the rounds gave for one contestant, one number a round; and how many answers it gave in all."""

    cold_seconds: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    requests_per_core_second: list[float] = field(default_factory=list)
    requests_per_second: list[float] = field(default_factory=list)
    pss_mb: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    answered: int = 0


def measure(
    launches: Sequence[Launch], plan: Plan, logs: Path, on_step: Callable[[str], object]
) -> dict[str, Samples]:
    """Every other round goes through the contestants backwards, so that none always follows the same one."""
    found = {launch.name: Samples() for launch in launches}
    for number in range(plan.rounds):
        for launch in launches if number % 2 == 0 else reversed(launches):
            on_step(f"round {number + 1}/{plan.rounds}: {launch.name}")
            log = logs / f"{launches.index(launch)}.log"
            _cold(launch, log, found[launch.name])
            _warm(launch, log, plan, found[launch.name])
    return found


def _cold(launch: Launch, log: Path, into: Samples) -> None:
    with Server(launch, log) as server:
        into.cold_seconds.append(server.first_answer_seconds())
    into.answered += 1


def _warm(launch: Launch, log: Path, plan: Plan, into: Samples) -> None:
    """On a core of its own, as a function with one processor has it; the load comes from the other."""
    server_core, load_core = cores()
    with Server(launch, log, core=server_core) as server:
        server.first_answer_seconds()
        server.load(connections=CONNECTIONS, requests=WARM_UP_REQUESTS, core=load_core)
        single = server.load(connections=1, requests=plan.single_requests, core=load_core)
        parallel = server.load(connections=CONNECTIONS, requests=plan.parallel_requests, core=load_core)
        into.pss_mb.append(server.memory_bytes() / 1e6)
        into.rss_mb.append(server.resident_bytes() / 1e6)
    into.answered += 1 + WARM_UP_REQUESTS + single.answered + parallel.answered
    _take(single, parallel, into)


def _take(single: Load, parallel: Load, into: Samples) -> None:
    percentiles = statistics.quantiles(single.latencies_us, n=100)
    into.p50_us.append(percentiles[49])
    into.p99_us.append(percentiles[98])
    into.requests_per_second.append(parallel.answered / parallel.seconds)
    into.requests_per_core_second.append(parallel.answered / parallel.cpu_seconds)
