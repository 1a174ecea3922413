"""What a process has counted, told on a topic once a minute while requests come.

Where processors are given during requests only, nothing can tell of itself: so a request that comes when it
is time has what was counted before it published beside its own work, and never waits for that. What isn't
published when the answer leaves goes on with the next request, or when the process is told to stop. What
fails is published again under the same id, so that it counts once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from shared.errors import EngineError
from shared.logs import LOGGER
from shared.monitoring.latency.histogram import Histogram
from shared.monitoring.latency.recorder import SLOT_SECONDS, Counted, Recorder, Series
from shared.platform.ports import Event, Events, NewId

TOPIC: Final = "measurements.made"
INTERVAL_SECONDS: Final = 60.0
MAX_WAITING: Final = 20
"""Events that couldn't be published are kept up to these; then the oldest are lost, and the log says so."""


class Measurements:
    """The requests that this process has answered. Safe from many threads."""

    def __init__(
        self,
        events: Events,
        new_id: NewId,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wall` gives the seconds since 1970: how long things take is told by the clock on the wall, also
        where the platform's clock is another.
        """
        self._events = events
        self._wall = wall
        self._monotonic = monotonic
        self._recorder = Recorder(wall)
        self.instance_id = new_id()
        self._published = 0
        self._due_at = monotonic() + INTERVAL_SECONDS
        self._waiting: list[Event] = []
        self._publishing = threading.Lock()

    def record(
        self, function: str, route: str, status: int, model_id: str | None, milliseconds: float
    ) -> None:
        """Count one answered request."""
        self._recorder.record(function, route, status, model_id, milliseconds / 1e3)

    def record_cold_start(self, function: str, milliseconds: float) -> None:
        """Count a first answer, from the start of the process until it left."""
        self._recorder.record_cold_start(function, milliseconds / 1e3)

    def publish_if_due(self) -> None:
        """Begin to publish beside the running event loop, when it is time and there is something to tell."""
        if (self._recorder.has_news or self._waiting) and self._monotonic() >= self._due_at:
            self._due_at = self._monotonic() + INTERVAL_SECONDS
            asyncio.get_running_loop().run_in_executor(None, self.publish)

    def publish(self) -> None:
        """Tell what was counted and not told yet; durable on return, unless the log says why not.

        Never raises: measuring fails no request.
        """
        if not self._publishing.acquire(blocking=False):
            return
        try:
            self._publish()
        except EngineError as error:
            self._warn(error.detail)
        except Exception:  # noqa: BLE001 - see above
            LOGGER.exception("measurements not published")
        finally:
            self._publishing.release()

    def totals(self) -> tuple[dict[Series, Histogram], dict[str, Histogram]]:
        """All requests, and the cold starts by function, since this process has started."""
        return self._recorder.totals()

    def _publish(self) -> None:
        if self._recorder.has_news:
            self._waiting.append(self._event(self._recorder.drain()))
        if len(self._waiting) > MAX_WAITING:
            self._waiting = self._waiting[-MAX_WAITING:]
            self._warn("too many wait; the oldest are lost")
        if self._waiting:
            self._events.publish(TOPIC, self._waiting)
            self._waiting = []

    def _event(self, counted: Counted) -> Event:
        self._published += 1
        data = {
            "instance_id": self.instance_id,
            "requests": [
                _fields(slot, series.function, histogram)
                | {"route": series.route, "status": series.status, "model_id": series.model_id}
                for (slot, series), histogram in counted.requests.items()
            ],
            "cold_starts": [
                _fields(slot, function, histogram)
                for (slot, function), histogram in counted.cold_starts.items()
            ],
        }
        now = datetime.fromtimestamp(self._wall(), UTC)
        return Event(f"{self.instance_id}-{self._published}", "//mlengine/measurements", TOPIC, now, data)

    def _warn(self, why: str) -> None:
        LOGGER.warning(
            "measurements not published", extra={"facts": {"why": why, "waiting": len(self._waiting)}}
        )


def _fields(slot: int, function: str, histogram: Histogram) -> dict[str, Any]:
    at = datetime.fromtimestamp(slot * SLOT_SECONDS, UTC).isoformat().replace("+00:00", "Z")
    return {"at": at, "function": function, "counts": histogram.counts_text(), "sum_us": histogram.sum_us}
