"""Has the twin tell what it has measured every few seconds: its processor is never taken away."""

from __future__ import annotations

import threading
from typing import Final

from shared.monitoring.latency import Measurements

TELL_SECONDS: Final = 5.0


class Teller:
    """A thread that publishes measurements, and once more when it is stopped."""

    def __init__(self, measurements: Measurements) -> None:
        self._measurements = measurements
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="tell-measurements", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _tell(self) -> None:
        while not self._stopping.wait(TELL_SECONDS):
            self._measurements.publish()
        self._measurements.publish()
