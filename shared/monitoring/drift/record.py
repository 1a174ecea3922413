"""The record of one check of drift: what was looked at, and what was found per length of window."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from shared.errors import NotFound
from shared.platform.ports import Data

DRIFT: Final = "drift"
"""The verdict that alarms; `shared.drift` has the others. Who only shows records loads no numpy for it."""

DEFAULT_LENGTHS: Final = {"sessions": 5, "rows": 200}
"""The window that is shown where none has alarmed."""

_VERSION_ID = re.compile(r".*-v[0-9]+\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCheck:
    """One check of one version. Times are RFC 3339 text in UTC.

    `unit` says what windows are counted in: "sessions" or "rows". `verdict` is "drift" where any window has
    drifted, else "ok" where any could be judged, else "insufficient_data". `is_live`: the version was live
    when it was checked; only such checks raise alerts. `trained_until` is the last session that it was
    trained on, `sources` how many symbols or audited predictions were looked at, and `problems` why some
    of them gave no rows (the first ones; `without_rows` counts all). Each of `windows` is what
    `WindowResult.json` gives. `report_url` and `multivariate` come later, from the job that makes the report.
    """

    check_id: str
    model: str
    model_id: str
    unit: str
    is_live: bool
    checked_at: str
    verdict: str
    why: str
    level: float
    min_effect: float
    trained_until: str | None
    sources: int
    without_rows: int
    problems: Sequence[Mapping[str, str]]
    windows: Sequence[Mapping[str, Any]]
    report_url: str | None = None
    multivariate: Mapping[str, Any] | None = None

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "problems": list(self.problems), "windows": list(self.windows)}

    @staticmethod
    def from_data(data: Data) -> DriftCheck:
        return DriftCheck(**{name: data[name] for name in DriftCheck.__dataclass_fields__})

    @property
    def subject(self) -> str:
        """Under which the history has it: the model's name where the version was live, else the version."""
        return self.model if self.is_live else self.model_id

    @property
    def drifted_lengths(self) -> Sequence[int]:
        return [window["length"] for window in self.windows if window["verdict"] == DRIFT]

    def window(self, length: int | None = None) -> Mapping[str, Any]:
        """The window of that length; without one the longest that says what the check says: where that
        is no drift, the default length first.

        Raises:
            NotFound: no window of that length, naming those that there are.
        """
        if length is not None:
            return self._of_length(length)
        telling = [window for window in self.windows if window["verdict"] == self.verdict]
        usual = [window for window in telling if window["length"] == DEFAULT_LENGTHS[self.unit]]
        if usual and self.verdict != DRIFT:
            return usual[0]
        return telling[-1]

    def moved(self, count: int = 5) -> Sequence[str]:
        """The features that the rule finds moved, in the window that is shown, most moved first."""
        features = self.window()["features"]
        return [feature["name"] for feature in features if feature["drifted"]][:count]

    def summary(self) -> dict[str, Any]:
        """What events and alerts tell of it."""
        windows = [{name: window[name] for name in ("length", "verdict", "rows")} for window in self.windows]
        told = ("check_id", "model", "model_id", "unit", "is_live", "checked_at", "why", "report_url")
        facts = {name: getattr(self, name) for name in told}
        return {**facts, "verdict": self.verdict, "windows": windows, "moved": list(self.moved())}

    def _of_length(self, length: int) -> Mapping[str, Any]:
        for window in self.windows:
            if window["length"] == length:
                return window
        there = ", ".join(str(window["length"]) for window in self.windows)
        raise NotFound(f"The check has no window of {length} {self.unit}; it has those of {there}.")


def is_version_id(model: str) -> bool:
    """Whether `model` names one version; else it is a model's name."""
    return _VERSION_ID.match(model) is not None
