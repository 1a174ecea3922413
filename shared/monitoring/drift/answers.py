"""What the API shows of drift checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.monitoring.drift.record import DriftCheck
from shared.schema import Answer


class DriftFamily(Answer):
    """One family of statistics: its standardised maximum over the features against its null's threshold."""

    name: str
    meaning: str
    statistic: float | None
    threshold: float | None
    level: float
    effect: float | None
    min_effect: float
    alarms: bool
    features: list[str]


class DriftColumn(Answer):
    """One feature, the score or the labels, now and in the reference. `drifted` says whether it has moved;
    KS, Wasserstein, PSI and Jensen-Shannon don't decide.
    """

    name: str
    kind: str
    ks: float | None
    wasserstein: float | None
    psi: float | None
    jensen_shannon: float | None
    mean: float | None
    reference_mean: float | None
    sd: float | None
    reference_sd: float | None
    missing_share: float
    reference_missing_share: float
    infinite_share: float
    reference_infinite_share: float
    unseen_share: float
    family: str | None
    excess: float | None
    effect: float | None
    drifted: bool


class DriftWindow(Answer):
    """One length of window. `excess` is the furthest statistic over its threshold: above 1, it is beyond
    what the training period itself shows.
    """

    length: int
    verdict: str
    why: str
    rows: int
    excess: float | None


class ClassShare(Answer):
    """The share of a class: at training, and in the window."""

    reference: float | None
    current: float


class DriftProblem(Answer):
    """A symbol, or an audited prediction, that gave no row, and why."""

    source: str
    detail: str


class DriftAnswer(Answer):
    """A check of drift, as one of its windows shows it; `windows` sums up all of them.

    `verdict` and `why` are of this window, `overall` of the check: drift where any window has drifted.
    `window` counts sessions or rows, as `unit` says. `features` come most moved first, `features_total` of
    them there are. `predicted` are the shares of the classes among the model's answers, `labelled` those
    among the labels that are known by now. `report_url` is null until there is a report.
    """

    check_id: str
    model: str
    model_id: str
    is_live: bool
    checked_at: str
    overall: str
    verdict: str
    why: str
    unit: str
    window: int
    windows: list[DriftWindow]
    start: str | None
    end: str | None
    sessions: int | None
    rows: int
    null: int | None
    level: float
    min_effect: float
    families: list[DriftFamily]
    features: list[DriftColumn]
    features_total: int
    score: DriftColumn | None
    classes: DriftColumn | None
    predicted: dict[str, ClassShare]
    labelled: dict[str, ClassShare]
    multivariate: Mapping[str, Any] | None
    report_url: str | None
    trained_until: str | None
    sources: int
    without_rows: int
    problems: list[DriftProblem]


def drift_answer(check: DriftCheck, length: int | None = None) -> DriftAnswer:
    """The check as its window of `length` shows it; without one, as the window that tells most.

    Raises:
        NotFound: no window of that length.
    """
    facts, window = check.json(), check.window(length)
    about = {"window": window["length"], "overall": facts["verdict"], "windows": facts["windows"]}
    return DriftAnswer.model_validate({**facts, **window, **about})
