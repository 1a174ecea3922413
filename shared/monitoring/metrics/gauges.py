"""Gauges of the platform, read from what the engine keeps: each provider is asked rarely, and fails alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.logs import LOGGER

SCRAPE_ERROR: Final = "mlengine_scrape_error"
KEPT_SECONDS: Final = 30.0
"""How long what a provider told is told again: however often and by whomever one is asked, the stores are
read this rarely.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric by its Prometheus name, with its unit as the last word. All samples have the same labels."""

    name: str
    help: str
    samples: tuple[Sample, ...]


Provider = Callable[[], Iterable[Gauge]]
"""Reads stores, so it blocks. May raise what they raise."""


@dataclass(frozen=True, slots=True)
class _Told:
    at: float
    gauges: tuple[Gauge, ...]
    is_error: bool


class Gauges:
    """All providers, by name. Safe from many threads; every call may block."""

    def __init__(self, providers: Mapping[str, Provider], monotonic: Callable[[], float]) -> None:
        self._providers = providers
        self._monotonic = monotonic
        self._told: dict[str, _Told] = {}
        self._lock = threading.Lock()

    def read(self) -> Sequence[Gauge]:
        """What all tell. Of one that fails nothing is told but that it did, under `SCRAPE_ERROR`."""
        with self._lock:  # who comes meanwhile gets the same, and reads nothing
            told = {name: self._of(name, provider) for name, provider in self._providers.items()}
        errors = tuple(Sample(float(one.is_error), {"provider": name}) for name, one in told.items())
        failed = Gauge(
            SCRAPE_ERROR, "Whether a provider of gauges couldn't read its stores (1) or could (0).", errors
        )
        return [failed, *(gauge for one in told.values() for gauge in one.gauges)]

    def _of(self, name: str, provider: Provider) -> _Told:
        found = self._told.get(name)
        now = self._monotonic()
        if found is not None and now - found.at < KEPT_SECONDS:
            return found
        try:
            self._told[name] = _Told(now, tuple(provider()), is_error=False)
        except Exception as error:  # noqa: BLE001 - whatever broke, the others are told all the same
            LOGGER.warning("gauges not read", extra={"facts": {"provider": name, "why": repr(error)}})
            self._told[name] = _Told(now, (), is_error=True)
        return self._told[name]
