"""What an event of topic `measurements.made` holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from shared.monitoring.latency.histogram import COUNTS_PATTERN, Histogram
from shared.schema import Body

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]


class Durations(Body):
    """The durations of a function in the five minutes from `at`: see `Histogram`."""

    at: Moment
    function: Name
    counts: Annotated[str, Field(pattern=COUNTS_PATTERN, max_length=60_000)]
    sum_us: Annotated[int, Field(ge=0, lt=2**63)]

    @property
    def histogram(self) -> Histogram:
        return Histogram.of(self.counts, self.sum_us)


class Requests(Durations):
    """Those of requests of one route that were answered with one status by one model, if any."""

    route: Annotated[str, Field(max_length=200)]
    status: Annotated[int, Field(ge=100, le=599)]
    model_id: Annotated[str | None, Field(max_length=80)]


class Measured(Body):
    """What one process has counted since it told the last time."""

    instance_id: Annotated[str, Field(min_length=1, max_length=80)]
    requests: Annotated[tuple[Requests, ...], Field(max_length=2_000)]
    cold_starts: Annotated[tuple[Durations, ...], Field(max_length=2_000)]
