"""How long instances are billed for requests that come at random."""

from __future__ import annotations

import math
from dataclasses import dataclass

from infra.catalogue import Entry
from infra.cost.figures import Measurements
from infra.cost.parameters import Assumptions, Traffic
from infra.cost.prices import Use


@dataclass(frozen=True, slots=True)
class Work:
    """What one request takes: processor time, time on the clock, and the latter rounded up as it is billed.

    Means; all in seconds.
    """

    processor: float
    clock: float
    billed: float


def rounded_up(seconds: float, step: float) -> float:
    """The mean of what is billed for times of about `seconds`: half a step more, and at least a step."""
    return max(seconds + step / 2, step)


def instances(entry: Entry, traffic: Traffic, work: Work, assumed: Assumptions) -> int:
    """How many Cloud Run needs: for the processor time, and for the requests under way at once."""
    rate = traffic.each_second
    by_processor = rate * work.processor / (entry.cpu * assumed.used_processor)
    by_concurrency = rate * work.clock / (entry.concurrency * assumed.used_processor)
    return max(traffic.instances, math.ceil(by_processor), math.ceil(by_concurrency))


def starts(traffic: Traffic, count: int, assumed: Assumptions) -> float:
    """Cold starts: requests that come when the last one was longer ago than instances are kept.

    Beyond the traffic at which these are the most they stay at that: instances also end for other reasons.
    """
    most = traffic.seconds / assumed.kept_seconds
    each = min(traffic.predictions / count, most)
    return count * each * math.exp(-each / most)


def start_seconds(measured: Measurements, assumed: Assumptions) -> float:
    """Billed for the start of an instance."""
    return assumed.container_seconds + measured["start_seconds"] * assumed.slower_processor


def active_seconds(traffic: Traffic, work: Work, count: int) -> float:
    """Seconds in which an instance has at least one request, of `count` instances together.

    Requests that come at random and last `billed` seconds leave a server of many at once idle for
    exp(-rate * billed) of the time, whatever the distribution of their lengths (Takács 1962: M/G/infinity).
    Rounding each request up instead of each busy time says rather too much.
    """
    busy = -math.expm1(-traffic.each_second * work.billed / count)
    return count * traffic.seconds * busy


def running(entry: Entry, seconds: float, what: str) -> list[Use]:
    """An instance that is active for so long."""
    return [
        Use("cloud_run_cpu", seconds * entry.cpu, what),
        Use("cloud_run_memory", seconds * entry.memory_mb / 1_024, what),
    ]
