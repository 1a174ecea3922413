"""A circuit breaker: a dependency that keeps failing is left alone for a while, then tried by one call.

Our own, because the library at hand (purgatory) lets every waiting call through when half open, takes a
cancelled call for a failure or, excluded, for a success, raises one shared exception object whose traceback
grows with every refused call, and reads the wall clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import EngineError, UpstreamUnavailable


class Breaker:
    """Closed; open for `open_seconds` after `failures` in a row; then half open: one call probes.

    Only `UpstreamUnavailable` is a failure. Any other engine error means that something answered. A cancelled
    call says nothing.
    """

    def __init__(
        self, name: str, *, failures: int, open_seconds: float, monotonic: Callable[[], float]
    ) -> None:
        self._name = name
        self._failures = failures
        self._open_seconds = open_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._open_until: float | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether the next call would be refused."""
        return self._open_until is not None and (self._is_probing or self._remaining_seconds() > 0)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Runs one call.

        Raises:
            UpstreamUnavailable: at once, while the breaker is open.
        """
        is_probe = self._admit()
        try:
            yield
        except UpstreamUnavailable:
            self._close_or_open(is_probe, answered=False)
            raise
        except EngineError:
            self._close_or_open(is_probe, answered=True)
            raise
        except BaseException:
            self._is_probing = self._is_probing and not is_probe
            raise
        self._close_or_open(is_probe, answered=True)

    def _admit(self) -> bool:
        with self._lock:
            if self._open_until is None:
                return False
            if self.is_open:
                raise self._refusal()
            self._is_probing = True
            return True

    def _close_or_open(self, is_probe: bool, *, answered: bool) -> None:
        with self._lock:
            if self._open_until is not None and not is_probe:
                return  # a call from before the breaker opened: the probe decides
            self._is_probing = False
            self._failed_in_a_row = 0 if answered else self._failed_in_a_row + 1
            is_failing = self._failed_in_a_row >= self._failures
            self._open_until = self._monotonic() + self._open_seconds if is_failing else None

    def _remaining_seconds(self) -> float:
        return (self._open_until or 0.0) - self._monotonic()

    def _refusal(self) -> UpstreamUnavailable:
        wait = max(self._remaining_seconds(), 1.0)
        return UpstreamUnavailable(
            f"{self._name} failed {self._failed_in_a_row} times in a row and is left alone; "
            f"retry in {wait:.0f} s.",
            retry_after_seconds=wait,
        )
