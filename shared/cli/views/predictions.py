"""Views of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import UPLOADED, dim, facts, failures, heading, of, signal
from shared.cli.views.text import NOTHING, number, to_the_minute, when

_BAR_WIDTH: Final = 21
_LEAST_REACH: Final = 0.01

Entry = Mapping[str, Any]


def prediction(document: Entry) -> Iterable[RenderableType]:
    """One prediction, as it was answered."""
    yield _title(document)
    yield facts(_answered(document))
    yield from _warnings(document)


def stored(document: Entry, feature_names: Sequence[str]) -> Iterable[RenderableType]:
    """A prediction of the audit, with its features: numbered where nobody knows their names."""
    entry = document["prediction"]
    values = entry["features"]
    names = feature_names if len(feature_names) == len(values) else [str(n) for n in range(len(values))]
    yield _title(entry)
    yield facts((*_answered(entry), *_kept(entry)))
    yield from _warnings(entry)
    if "lineage" in document:  # an engine of an earlier release tells none
        yield from _outcome(document["outcome"])
        yield from _lineage(document["lineage"])
    yield heading("Features")
    yield facts(zip(names, map(number, values), strict=True))


def _outcome(found: Entry | None) -> Iterable[RenderableType]:
    yield heading("Outcome")
    if found is None:
        yield dim("Not settled: its candles, or its label, aren't there yet.")
    elif found["label"] is None:
        yield Text(f"Unsettleable: {found['why']}.", style="yellow")
    else:
        yield facts(_settled(found))


def _settled(found: Entry) -> tuple[tuple[str, Any], ...]:
    change = found["forward_return"]
    return (
        ("realised", signal(found["label"])),
        ("return", None if change is None else f"{change:+.2%}"),
        ("until", None if found["ends_at"] is None else when(found["ends_at"])),
        ("settled at", when(found["settled_at"])),
        ("settled by", found["settled_by"]),
    )


def _lineage(found: Entry) -> Iterable[RenderableType]:
    yield heading("Lineage")
    yield facts(_origin(found))
    for note in found["notes"]:
        yield Text(note, style="yellow")


def _origin(found: Entry) -> Iterable[tuple[str, Any]]:
    model, training, run, live = (found[name] for name in ("model", "training", "run", "promotion"))
    if model is not None:
        yield "registered", f"{when(model['created_at'])} by {model['created_by']}"
        yield "trained by run", model["run_id"]
    if run is not None:
        yield "run", f"{run['status']}, asked for at {when(run['created_at'])}"
    if training is not None:
        window = training["window"]
        yield "trained on", window and f"{when(window['start'])} to {when(window['end'])}"
        yield "rows", f"{training['rows']:,}"
        yield "dataset", training["dataset_fingerprint"]
        yield "code", training["code_revision"]
    if live is not None:
        yield "live then", f"{live['version_id']}, {live['action']} at {when(live['at'])} by {live['by']}"
    yield "sealed with", found["record"]["sha256"]


def _title(entry: Entry) -> Text:
    if "label" in entry:
        return Text.assemble((entry["label"], "bold"), f"  P({entry['label']}) {entry['probability']:.1%}")
    return Text.assemble(
        (entry["symbol"], "bold"), "  ", signal(entry["signal"]), f"  P(up) {entry['probability']:.1%}"
    )


def _answered(entry: Entry) -> tuple[tuple[str, Any], ...]:
    return (
        *_about(entry),
        ("model", entry["model_id"]),
        ("prediction", entry["prediction_id"]),
        ("request", entry["request_id"]),
        ("latency", f"{entry['latency_ms']:.1f} ms"),
    )


def _about(entry: Entry) -> tuple[tuple[str, Any], ...]:
    if "label" in entry:
        shares = ", ".join(f"{share:.3f}" for share in entry["probabilities"])
        return (("about", "a row of columns"), ("probabilities", shares))
    candles = "candle" if entry["horizon"] == 1 else "candles"
    return (
        ("about", f"the close {entry['horizon']} {candles} ({entry['timeframe']}) later, up or not"),
        ("as of", when(entry["as_of"])),
    )


def _kept(entry: Entry) -> tuple[tuple[str, Any], ...]:
    return (
        ("made at", when(entry["made_at"])),
        ("caller", f"{entry['caller']}, by {entry['function']}"),
        ("problem", entry["problem"]),
        ("package", entry["package_hash"]),
        ("feature set", entry["feature_set_hash"]),
        ("trace", entry["trace_id"]),
    )


def _warnings(entry: Entry) -> Iterable[Text]:
    if entry.get("stale"):
        yield Text("The upstream couldn't be asked: the last known candles were used.", style="yellow")
    if entry.get("problem") == UPLOADED:
        yield Text("This model was uploaded: no gate has judged it.", style="yellow")
    elif not entry["gates_passed"]:
        yield Text("This model didn't pass its gates: no edge over chance was shown.", style="yellow")


def batch(document: Entry) -> Iterable[RenderableType]:
    """Many predictions, the failures below."""
    good = [entry["prediction"] for entry in document["results"] if entry["prediction"]]
    if good:
        yield _batch_listing(good)
        yield from _shared_warnings(good)
    yield from failures(entry for entry in document["results"] if entry["error"])
    yield Text(f"{document['succeeded']} predicted, {document['failed']} failed.")


def _batch_listing(predictions: Sequence[Entry]) -> Listing:
    """With a bar each, on an axis that reaches as far from one half as the farthest does."""
    reach = max(_LEAST_REACH, *(abs(entry["probability"] - 0.5) for entry in predictions))
    low, high = f"{0.5 - reach:.1%}", f"{0.5 + reach:.1%}"
    columns = (
        Column("Symbol", style="bold"),
        Column("Signal"),
        Column("P(up)", justify="right"),
        Column(low + high.rjust(_BAR_WIDTH - len(low)), rank=1),
        Column("As of"),
        Column("Model"),
    )
    return Listing(columns, (_batch_row(entry, reach) for entry in predictions))


def _batch_row(entry: Entry, reach: float) -> tuple[str | Text, ...]:
    up, said = entry["probability"], signal(entry["signal"])
    bar = Text(_bar((up - 0.5) / reach), style=said.style)
    return entry["symbol"], said, f"{up:.3f}", bar, when(entry["as_of"]), entry["model_id"]


def _bar(reach: float) -> str:
    """`     ▄▄▄▄▄│          `: from the middle, by a number from -1 to 1."""
    middle = _BAR_WIDTH // 2
    place = middle + round(reach * middle)
    row = ["▄" if min(middle, place) <= i <= max(middle, place) else " " for i in range(_BAR_WIDTH)]
    row[middle] = "│"
    return "".join(row)


def _shared_warnings(predictions: Sequence[Entry]) -> Iterable[Text]:
    failing = sorted({p["model_id"] for p in predictions if not p["gates_passed"]})
    if failing:
        yield Text(f"Gates not passed: {', '.join(failing)}. No edge over chance was shown.", style="yellow")
    stale = [p["symbol"] for p in predictions if p["stale"]]
    if stale:
        yield Text(f"From the last known candles: {', '.join(stale)}.", style="yellow")


def recent(document: Entry, filters: Mapping[str, str | None]) -> Iterable[RenderableType]:
    """The newest predictions of the audit, of those that were asked for."""
    if document["predictions"]:
        yield Listing(_RECENT_COLUMNS, map(_recent_row, document["predictions"]))
        return
    yield Text(f"No predictions{of(filters)} yet.")
    if filters["model"]:
        yield Text("--model takes a version's id, such as market-signal-v1.")


_RECENT_COLUMNS: Final = (
    Column("Made at"),
    Column("Symbol", style="bold"),
    Column("Answer"),
    Column("Probability", justify="right"),
    Column("As of", rank=1),
    Column("Model", rank=2),
    Column("Prediction"),
)


def _recent_row(entry: Entry) -> tuple[str | Text, ...]:
    """Of a market prediction the probability is that of up, else that of the label."""
    is_of_row = "label" in entry
    return (
        to_the_minute(entry["made_at"]),
        "a row" if is_of_row else entry["symbol"],
        entry["label"] if is_of_row else signal(entry["signal"]),
        f"{entry['probability']:.3f}",
        NOTHING if is_of_row else when(entry["as_of"]),
        entry["model_id"],
        entry["prediction_id"],
    )
