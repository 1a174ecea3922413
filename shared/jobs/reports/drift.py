"""Makes a drift report: the page, what Evidently says of the same windows, and the link from the check."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from shared.drift import Verdict
from shared.errors import ConfigurationError, EngineError, InvalidInput, NotFound
from shared.instance import Instance
from shared.jobs.multivariate import multivariate_drift
from shared.jobs.reports import evidently
from shared.jobs.reports.drift_findings import DriftFindings, gather, scores_of
from shared.jobs.reports.drift_page import conclusion, render, title
from shared.monitoring.reports import Report
from shared.monitoring.reports.records import PAGE, Made

SCORE: Final = "the model's score"

REFERENCE_ROWS: Final = 10_000
"""So many of the rows that were trained on stand for all of them, where Evidently compares."""

FACTS: Final = "facts.json"
"""What the page says besides the check's record. Kept first, so that every attempt says the same."""


def make_drift(instance: Instance, report: Report, check: Callable[[], None]) -> Made:
    """The files of a drift report; `check` is called between the steps, and may raise.

    Raises:
        NotFound: no such check, or its model isn't registered.
        PackageRefused: the model's bytes aren't those that were registered.
    """
    check_id, reports = report.request.check_id, instance.reports
    if check_id is None:
        raise InvalidInput("A drift report names its check.")
    record = instance.drift_checks.get(check_id)

    @functools.cache
    def found() -> DriftFindings:
        """Read only where a file is still to be made."""
        read = gather(instance, check_id)
        check()
        return read

    def facts_of() -> bytes:
        return json.dumps(_facts(instance, report, found(), check)).encode()

    kept = reports.keep(report.report_id, FACTS, facts_of)
    facts: Mapping[str, Any] = json.loads(reports.content(kept))
    check()
    page = reports.keep(report.report_id, PAGE, lambda: render(found(), facts).encode())
    theirs = reports.kept(report.report_id, evidently.FILE) if facts["evidently"] else None
    check()
    instance.drift_checks.attach_report(check_id, f"/reports/{report.report_id}", facts["multivariate"])
    files = (page,) if theirs is None else (page, theirs)
    return Made(title(record), conclusion(record), files, tuple(facts["notes"]))


def _facts(
    instance: Instance, report: Report, found: DriftFindings, check: Callable[[], None]
) -> dict[str, Any]:
    notes, multivariate = list(found.notes), _multivariate(found)
    check()
    has_theirs = True
    try:
        instance.reports.keep(report.report_id, evidently.FILE, lambda: _theirs(instance, found, check))
    except EngineError as error:
        if error.retryable:
            raise
        notes.append(f"Without Evidently's report: {error}")
        has_theirs = False
    return {"notes": notes, "evidently": has_theirs, "multivariate": multivariate}


def _theirs(instance: Instance, found: DriftFindings, check: Callable[[], None]) -> bytes:
    """
    Raises:
        ConfigurationError: there is no Evidently here.
        NotFound: a window's rows can't be read any more.
        OwnError: Evidently failed.
    """
    python = instance.settings.evidently_python
    if python is None:
        raise ConfigurationError("it isn't installed here (EVIDENTLY_PYTHON is empty).")
    if found.rows is None or found.scores is None or found.reference is None:
        raise NotFound("the rows of both windows can't be read again.")
    places = found.rows.places(found.window)
    rng = np.random.default_rng(0)
    known = found.reference.x[np.sort(rng.permutation(len(found.reference.x))[:REFERENCE_ROWS])]
    reference = np.column_stack([known, scores_of(found.scorer, known)])
    current = np.column_stack([found.rows.x[places], found.scores[places]])
    return evidently.report(python, [*found.manifest.feature_names, SCORE], reference, current, check)


def _multivariate(found: DriftFindings) -> dict[str, Any] | None:
    """All features at once, over the longest window, up to the one that is shown, that can be judged; None
    where rows can't be had.
    """
    tried: list[dict[str, Any]] = []
    shown = int(found.window["length"])
    for window in reversed(found.check.windows):
        if found.rows is None or found.reference is None or window["length"] > shown:
            continue
        places = found.rows.places(window)
        drift = multivariate_drift(
            found.reference.x,
            found.rows.x[places],
            found.reference.stamps,
            None if found.rows.stamps is None else found.rows.stamps[places],
            found.manifest.feature_names,
            rng=np.random.default_rng(0),
        )
        tried.append({**drift.json(), "length": window["length"]})
        if drift.verdict is not Verdict.INSUFFICIENT_DATA:
            return tried[-1]
    return tried[0] if tried else None
