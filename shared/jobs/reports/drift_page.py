"""The drift report: one HTML page that needs nothing else, the same for the same findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shared.drift import Verdict
from shared.jobs.reports import drift_plots as plots
from shared.jobs.reports.drift_findings import DriftFindings
from shared.jobs.reports.html import (
    NOTHING,
    Html,
    badge,
    bullets,
    counted,
    figures,
    folded,
    number,
    page,
    percent,
    section,
    table,
)
from shared.monitoring.drift.record import DriftCheck

MAX_OVERLAYS: Final = 24
"""Features whose distributions are drawn: those that moved most. The table has all."""

SHOWN_CHECKS: Final = 20


def title(check: DriftCheck) -> str:
    return f"{check.model_id}, {check.checked_at[:10]}"


def conclusion(check: DriftCheck) -> str:
    """The verdict in words."""
    said = {
        Verdict.DRIFT: f"{check.model_id} meets other data than it was trained on.",
        Verdict.OK: f"{check.model_id} meets data as it was trained on.",
        Verdict.INSUFFICIENT_DATA: f"Whether {check.model_id} meets other data can't be said yet.",
    }[Verdict(check.verdict)]
    moved = check.moved()
    most = f" Most moved: {', '.join(moved)}." if moved and check.verdict == Verdict.DRIFT else ""
    return f"{said} {check.why}{most}"


def render(found: DriftFindings, facts: Mapping[str, Any]) -> str:
    """The page. `facts` are those that are kept with the report: see `shared.jobs.reports.drift`."""
    check = found.check
    return page(
        "Drift report",
        title(check),
        _badges(found),
        conclusion(check),
        [
            _against_null(found),
            _timeline(found),
            _moved(found),
            _distributions(found),
            _score(found),
            _missing(found),
            _multivariate(facts["multivariate"], check.unit),
            _evidently(facts),
            _small_print(found, facts["notes"]),
        ],
    )


def _badges(found: DriftFindings) -> Iterator[Html]:
    check = found.check
    yield _badge(check.verdict)
    for length in check.drifted_lengths:
        yield badge(f"over {length:,} {check.unit}", "bad")
    yield badge("live model" if check.is_live else "not the live model", "plain")
    if found.is_replay:
        yield badge("in a replay of history", "warn")


def _badge(verdict: str) -> Html:
    match Verdict(verdict):
        case Verdict.DRIFT:
            return badge("drift", "bad")
        case Verdict.OK:
            return badge("no drift", "good")
        case Verdict.INSUFFICIENT_DATA:
            return badge("not enough data", "warn")


def _against_null(found: DriftFindings) -> Html:
    windows, unit = found.check.windows, found.check.unit
    drawn = [window for window in windows if window["families"]]
    plot = Html(plots.against_null(drawn, unit)) if drawn else Html("")
    rows = [row for window in windows for row in _family_rows(window, unit)]
    head = [
        "Window",
        "Verdict",
        "Rows",
        "Family",
        "Statistic",
        "Limit",
        "Effect",
        "Floor",
        "Beyond the limit",
    ]
    return section(
        "The statistic against its null",
        "How far each window is from what windows of the same length did in the training period. A family "
        "of statistics alarms beyond its limit, the dashed line, if the move is also larger than the floor.",
        plot,
        table("Each family of statistics, per length of window", head, rows, left=[1, 3], words=[8]),
    )


def _family_rows(window: Mapping[str, Any], unit: str) -> Iterator[Sequence[str | Html]]:
    length = counted(window["length"], unit)
    start: list[str | Html] = [length, _badge(window["verdict"]), f"{window['rows']:,}"]
    if not window["families"]:
        yield [*start, window["why"], NOTHING, NOTHING, NOTHING, NOTHING, ""]
    for family in window["families"]:
        figures_ = (number(family[name]) for name in ("statistic", "threshold", "effect", "min_effect"))
        yield [*start, family["name"], *figures_, ", ".join(family["features"])]


def _timeline(found: DriftFindings) -> Html:
    points = found.points
    told = [point for point in points if any(value is not None for value in point.values["excess"].values())]
    if len(told) < 2:
        return section("Over time", "There is no earlier check to compare with yet.")
    rows = (
        [
            point.at[:16].replace("T", " "),
            point.values["model_id"],
            _badge(point.values["verdict"]),
            ", ".join(f"{length}: {number(value)}" for length, value in point.values["excess"].items()),
            ", ".join(point.values["moved"]) or NOTHING,
        ]
        for point in reversed(points[-SHOWN_CHECKS:])
    )
    head = ["Checked (UTC)", "Model", "Verdict", "Statistic / limit, by length", "Most moved"]
    last = table(f"The last {min(len(points), SHOWN_CHECKS)} checks", head, rows, left=[1, 2, 3], words=[4])
    return section(
        "Over time",
        f"The furthest family's statistic over its limit, in the last {len(points)} checks.",
        Html(plots.timeline(told, found.check.unit)),
        folded("The checks as a table", last),
    )


def _moved(found: DriftFindings) -> Html:
    window = found.window
    head = ["Feature", "", "Family", "Statistic / limit", "Effect", "KS", "W1 / sd", "PSI", "JS"]
    head += ["Mean: training", "now", "Sd: training", "now"]
    rows = (
        [feature["name"], _moved_badge(feature), feature["family"] or NOTHING, *_figures(feature)]
        for feature in window["features"]
    )
    more = window.get("features_total", 0) - len(window["features"])
    shown = table(
        f"All features over the last {counted(window['length'], found.check.unit)}, most moved first"
        + (f" ({more} that moved less aren't in the record)" if more > 0 else ""),
        head,
        rows,
        left=[1, 2],
    )
    if not window["features"]:
        return section("Most moved", "Nothing could be compared.")
    return section(
        "Most moved",
        "Only the calibrated rule alarms: a statistic beyond its limit, and an effect above the floor. KS, "
        "normed Wasserstein, PSI and Jensen-Shannon are there to compare with other tools: on market data "
        "their usual limits are passed by quiet weeks, too.",
        shown,
    )


def _moved_badge(feature: Mapping[str, Any]) -> Html:
    return badge("moved", "bad") if feature["drifted"] else badge("as before", "plain")


def _figures(feature: Mapping[str, Any]) -> Iterator[str]:
    names = ("excess", "effect", "ks", "wasserstein", "psi", "jensen_shannon")
    for name in (*names, "reference_mean", "mean", "reference_sd", "sd"):
        yield number(feature[name])


def _distributions(found: DriftFindings) -> Html:
    if found.rows is None:
        return section(
            "Distributions", "The rows that were checked can't be read again: see the small print."
        )
    x = found.rows.x[found.rows.places(found.window)]
    columns = {column.name: (place, column) for place, column in enumerate(found.profile.features)}
    drawn = []
    for number_, feature in enumerate(found.window["features"][:MAX_OVERLAYS]):
        place, column = columns[feature["name"]]
        name = f"{feature['name']}: training and now"
        svg = plots.overlay(f"feature-{number_}", name, column, x[:, place])
        if svg is not None:
            drawn.append((feature["name"], "moved" if feature["drifted"] else "", svg))
    total, span = len(found.profile.features), counted(found.window["length"], found.check.unit)
    which = f"The {len(drawn)} of {total} features that moved most" if len(drawn) < total else "All features"
    return section(
        "Distributions",
        f"{which}: grey is the training, the line the last {span} "
        f"({len(x):,} rows). The outermost half per cent at each end isn't drawn. A feature can have moved "
        "against the others without moving here: the residual family looks at that.",
        figures(drawn),
    )


def _score(found: DriftFindings) -> Html:
    window, parts = found.window, []
    score = window["score"]
    if score is None:
        return section("Score and answers", "The model's answers weren't compared.")
    if found.rows is not None and found.scores is not None:
        values = found.scores[found.rows.places(window)]
        svg = plots.overlay("score", "The score: training and now", found.profile.score, values)
        parts += [("The score", "on rows the model hadn't seen", svg)] if svg else []
    predicted = {name: (pair["reference"], pair["current"]) for name, pair in window["predicted"].items()}
    if predicted:
        svg = plots.shares("answers", "Shares of the answers: training and now", predicted)
        parts.append(("The answers", "share of each class", svg))
    head = ["", "KS", "W1 / sd", "PSI", "JS", "Mean: training", "now", "Sd: training", "now"]
    rows = [["Score", *list(_figures(score))[2:]]]
    answers = [[name, percent(before), percent(now)] for name, (before, now) in predicted.items()]
    return section(
        "Score and answers",
        "Whether the model answers differently than on the unseen rows of its training.",
        figures(parts),
        table("The score", head, rows),
        table("The share of each answer", ["Class", "Training", "Now"], answers) if answers else Html(""),
    )


def _missing(found: DriftFindings) -> Html:
    names = ("reference_missing_share", "missing_share", "reference_infinite_share", "infinite_share")
    some = [feature for feature in found.window["features"] if any(feature[name] for name in names)]
    if not some:
        return section("Missing values", "No feature has missing or infinite values, now or in the training.")
    rows = [[feature["name"], *(percent(feature[name]) for name in names)] for feature in some]
    head = ["Feature", "Missing: training", "now", "Infinite: training", "now"]
    return section(
        "Missing values",
        f"{len(some)} of {len(found.window['features'])} features have values that are missing or infinite.",
        table("Shares of the rows", head, rows),
    )


def _multivariate(found: Mapping[str, Any] | None, unit: str) -> Html:
    name = "All features together"
    if found is None:
        return section(name, "There are no rows to look at: see the small print.")
    said = (
        f"Whether the features still go with each other as in the training, over the last "
        f"{counted(found['length'], unit)}. {found['why']}"
    )
    if found["verdict"] == Verdict.INSUFFICIENT_DATA:
        return section(name, said)
    names = ("statistic", "threshold", "p_value", "explained_share")
    summary: list[Sequence[str | Html]] = [
        [_badge(found["verdict"]), *(number(found[key]) for key in names), f"{found['null_windows']:,}"]
    ]
    head = ["Verdict", "Furthest feature", "Limit", "p", "Variance explained", "Windows of the null"]
    rows = [[c["name"], number(c["distance"]), number(c["energy_ratio"])] for c in found["columns"]]
    return section(
        name,
        said,
        table(f"What {found['components']} principal components leave over", head, summary),
        folded(
            "The features that broke most with the others",
            table(
                "Furthest first", ["Feature", "Distance, sd of the null", "Residual energy, now / then"], rows
            ),
        ),
    )


def _evidently(facts: Mapping[str, Any]) -> Html:
    said = (
        "Its default report on the same rows, with its own limits, is a file of this report: evidently.html."
    )
    if not facts["evidently"]:
        said = "There is no report of Evidently's on these rows: see the small print."
    return section("What Evidently says", said)


def _small_print(found: DriftFindings, notes: Sequence[str]) -> Html:
    check, manifest = found.check, found.manifest
    period = f" from {manifest.window.start[:10]} to {manifest.window.end[:10]}" if manifest.window else ""
    of_windows = {
        "sessions": "windows of as many whole sessions, all symbols together, cut out of the training data",
        "rows": "windows of as many rows, drawn from the training data at random",
    }[check.unit]
    said = [
        f"The null: the same statistics between {of_windows}, and the rest of it.",
        f"The limit: what {percent(check.level)} of quiet windows would pass in any of the families.",
        f"The floor: a move below {number(check.min_effect)} standard deviations never alarms.",
        "Marginal: each feature's own distribution.",
        "Residual: each feature less what the others predict for it, which takes out what moves them all.",
        f"Trained on {manifest.rows:,} rows{period}; data fingerprint {manifest.dataset_fingerprint}.",
        f"Checked at {check.checked_at}; check {check.check_id}.",
        *map(_extent, (window for window in check.windows if window["start"] and window["end"])),
        *_without_rows(check),
        *notes,
    ]
    return section("Small print", "", bullets(said))


def _extent(window: Mapping[str, Any]) -> str:
    return f"Over {counted(window['length'], 'sessions')}: {window['start'][:10]} to {window['end'][:10]}."


def _without_rows(check: DriftCheck) -> Iterator[str]:
    if check.without_rows:
        first = "; ".join(f"{problem['source']}: {problem['detail']}" for problem in check.problems[:5])
        yield f"{check.without_rows:,} of {check.sources:,} sources gave no rows. {first}"
