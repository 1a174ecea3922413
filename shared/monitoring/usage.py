"""How a version is used: its requests from the histograms of latency, its answers from the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.monitoring.audit import Audit
from shared.monitoring.latency.latencies import Latencies, Window
from shared.monitoring.latency.report import Figures
from shared.platform.ports import Now

MAX_PREDICTIONS: Final = 10_000
"""Newest ones that are looked at: a document is read for each."""

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Usage:
    """`labels` counts what was answered: classes, or signals of market models."""

    window: str
    since: str
    until: str
    requests: Figures
    labels: Mapping[str, int]
    is_sample: bool


class Usages:
    """Looks at what was measured and audited anyway: nothing is kept for this."""

    def __init__(self, latencies: Latencies, audit: Audit, now: Now) -> None:
        self._latencies = latencies
        self._audit = audit
        self._now = now

    def of(self, version_id: str, window: Window) -> Usage:
        """The usage of a version in the newest `window`: whole intervals, so that up to one more is in it."""
        requests = self._latencies.of_model(version_id, window)
        since = self._now() - window.length
        labels, is_sample = self._labels(version_id, since)
        return Usage(window, requests.since, requests.until, requests.figures, labels, is_sample)

    def _labels(self, version_id: str, since: datetime) -> tuple[Mapping[str, int], bool]:
        found: Counter[str] = Counter()
        cursor: str | None = None
        while True:
            page = self._audit.records(
                symbol=None, model_id=version_id, since=since, limit=_PAGE, cursor=cursor
            )
            found.update(str(one.data.get("label") or one.data["signal"]) for one in page.documents)
            cursor = page.cursor
            if cursor is None or found.total() >= MAX_PREDICTIONS:
                return found, cursor is not None
