"""What the tests of reports start from, and what they look at in the end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from shared.config import Settings
from shared.drift import Verdict
from shared.instance import Instance
from shared.market.candles import rfc3339
from shared.monitoring.drift.record import DriftCheck
from shared.monitoring.reports import Report, ReportKind, ReportRequest
from shared.monitoring.reports.records import PAGE
from shared.platform.connect import connect
from tests.packages import active
from tests.training.synthetic import random_candles

CHECK = "c1"
SYMBOLS = 6
DAYS = 400
FEATURES = 6
"""Of those that moved, so many are in the record: drawing takes its time."""

UNSEEN = 90
"""Sessions that were not trained on."""

_VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "circle", "rect", "line"}


def checked_home(home: Path, store: Any, *, unseen: int = UNSEEN) -> None:
    """A home with candles, a live model that was trained on the older ones, and a check of the younger."""
    instance = instance_at(home)
    series = [random_candles(f"S{i:02}", DAYS, seed=i, momentum=0.1) for i in range(SYMBOLS)]
    store(instance.platform, series)
    times = series[0].timestamp
    window = {"start": rfc3339(int(times[100])), "end": rfc3339(int(times[-unseen]))}
    active(instance.registry, window=window, symbols=tuple(one.symbol for one in series))
    found = instance.drift_desk.check("market-signal")
    instance.drift_checks.add(drifted(found))


def instance_at(home: Path, **settings: Any) -> Instance:
    chosen = Settings(mlengine_home=home, **settings)
    return Instance(chosen, connect(chosen))


def drifted(check: DriftCheck, check_id: str = CHECK) -> DriftCheck:
    """The check with a verdict for each of its windows that is full, whatever was found: from five sessions
    on, drift.
    """
    fields = {**check.json(), "check_id": check_id}
    if any(window["start"] for window in check.windows):
        fields |= {"verdict": "drift", "why": "The residual family alarms."}
    fields["windows"] = [_judged(window) if window["start"] else window for window in check.windows]
    return DriftCheck.from_data(fields)


def _judged(window: Mapping[str, Any]) -> dict[str, Any]:
    is_drift = window["length"] >= 5
    kept = window["features"][:FEATURES]
    features = [{**feature, "drifted": is_drift and place < 2} for place, feature in enumerate(kept)]
    family = {
        "name": "residual",
        "meaning": "each feature less what the others predict",
        "statistic": 4.5 if is_drift else 2.0,
        "threshold": 3.0,
        "level": 0.05,
        "effect": 0.4,
        "min_effect": 0.1,
        "alarms": is_drift,
        "features": [feature["name"] for feature in features if feature["drifted"]],
    }
    verdict = str(Verdict.DRIFT if is_drift else Verdict.OK)
    return {**window, "features": features, "families": [family], "verdict": verdict, "excess": 1.5}


def requested(instance: Instance, report_id: str = "r1", **request: Any) -> Report:
    """A report that was asked for, without an event."""
    chosen = {"kind": ReportKind.DRIFT, "check_id": CHECK} | request
    return instance.reports.create(report_id, ReportRequest(**chosen))


def page(instance: Instance, report_id: str = "r1", name: str = PAGE) -> str:
    """A file of a report that was made."""
    (file,) = (file for file in instance.reports.get(report_id).files if file.name == name)
    return instance.reports.content(file).decode()


class Seen(HTMLParser):
    """A page as a browser takes it, and what is wrong with it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.titles: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.wrong += [f"<{tag}> isn't closed" for tag in self._open]
        self.wrong += [f"id {name} {count} times" for name, count in Counter(self.ids).items() if count > 1]
        self.wrong += [f"@import or url(): {found}" for found in re.findall(r"@import|url\((?!#)[^)]*", page)]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self._open.append(tag)
        self._look(tag, attributes)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._look(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.words.append(data)

    def _look(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "link", "base", "form"):
            self.wrong.append(f"<{tag}>")
        if tag == "svg":
            self.titles += [value or "" for name, value in attributes if name == "aria-label"]
        for name, value in attributes:
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on") or (
                name in ("href", "src", "xlink:href") and not (value or "").startswith("#")
            ):
                self.wrong.append(f"<{tag} {name}={value}>")
