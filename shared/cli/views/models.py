"""Views of models and their promotions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.metrics import cross_validation, gates, hold_out, walk_forward
from shared.cli.views.parts import UPLOADED, facts, passed
from shared.cli.views.text import counted, to_the_minute, when


def models(document: Mapping[str, Any], name: str | None) -> Iterable[RenderableType]:
    """All versions, or those of one model."""
    if document["models"]:
        yield Listing(_MODEL_COLUMNS, map(_model_row, document["models"]))
    else:
        yield Text(f"There is no model {name!r}." if name else "No models yet.")


_MODEL_COLUMNS: Final = (
    Column("Model", style="bold"),
    Column("Status"),
    Column("Gates"),
    Column("Algorithm"),
    Column("Created", rank=1),
    Column("By", rank=2),
)


def _model_row(entry: Mapping[str, Any]) -> tuple[str | Text, ...]:
    is_judged = entry.get("origin") != UPLOADED
    verdict = Text.assemble(passed(entry["gates_passed"] if is_judged else None), _leak(entry))
    created = to_the_minute(entry["created_at"])
    return entry["id"], _state(entry), verdict, entry["algorithm"], created, entry["created_by"]


def _state(entry: Mapping[str, Any]) -> Text:
    return Text("● live", style="green") if entry["active"] else Text(entry["status"], style="dim")


def _leak(entry: Mapping[str, Any]) -> Text:
    return Text(" leak?", style="red") if entry["suspected_leak"] else Text("")


def model(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One version with its manifest."""
    manifest = document["manifest"]
    yield Text.assemble((document["id"], "bold"), "  ", _state(document))
    yield _facts(document, manifest)
    if document.get("origin") == UPLOADED:
        yield Text(
            "It was uploaded: no gate has judged it, and nothing is known of its data.", style="yellow"
        )
    if document["suspected_leak"]:
        yield Text("Too good to be true: a leak is suspected.", style="red")
    yield from hold_out(manifest["metrics"])
    yield from walk_forward(manifest["metrics"])
    yield from cross_validation(manifest["metrics"])
    if manifest["gates"]:
        yield from gates(manifest["gates"])


def _extent(manifest: Mapping[str, Any]) -> str:
    symbols = f" of {counted(len(manifest['symbols']), 'symbols')}" if manifest["symbols"] else ""
    return f"{counted(manifest['rows'], 'rows')}{symbols}"


def _problem(manifest: Mapping[str, Any]) -> str:
    name, version = str(manifest["problem"]), manifest["problem_version"]
    return f"{name}, version {version} of what was declared" if version else name


def _facts(document: Mapping[str, Any], manifest: Mapping[str, Any]) -> RenderableType:
    window, names = manifest["window"], manifest["feature_names"]
    horizon = f"{manifest['horizon']} x {manifest['timeframe']}" if manifest["horizon"] else None
    return facts(
        (
            ("description", document.get("description")),
            ("tags", ", ".join(document.get("tags", ()))),
            ("owner", document.get("owner")),
            ("problem", _problem(manifest)),
            ("algorithm", manifest["algorithm"]),
            ("parameters", ", ".join(f"{k}={v}" for k, v in manifest["hyper_parameters"].items())),
            ("features", f"{len(names)} of {manifest['feature_set']}"),
            ("horizon", horizon),
            ("trained on", _extent(manifest) if manifest["rows"] else None),
            ("window", f"{when(window['start'])} to {when(window['end'])}" if window else None),
            ("created", f"{when(document['created_at'])} by {document['created_by']}"),
            ("run", document["run_id"]),
            ("code", manifest["code_revision"]),
            ("package", document["package_hash"]),
        )
    )


def edited(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """What is said of a version now."""
    yield Text(document["id"], style="bold")
    yield facts((("description", document["description"]), ("tags", ", ".join(document["tags"]))))


def deleted(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    yield Text(f"{document['id']} is archived, and lists leave it out. Activating it brings it back.")


def history(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """What was done to a version, or to all of a model, the newest first."""
    if document["history"]:
        yield Listing(_HISTORY_COLUMNS, map(_history_row, document["history"]))
    else:
        yield Text("Nothing is on record.")


_HISTORY_COLUMNS: Final = (
    Column("At"),
    Column("Version", style="bold"),
    Column("What"),
    Column("By", rank=1),
    Column("Reason", least=10),
)


def _history_row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    deed = entry["deed"].replace("_", " ")
    return to_the_minute(entry["at"]), entry["version_id"], deed, entry["by"], entry["reason"]


def stats(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """How a version was used."""
    yield Text.assemble((document["model_id"], "bold"), f"  over {document['window']}")
    times = [document[name] for name in ("p50_ms", "p95_ms", "p99_ms")]
    took = " / ".join(f"{time:.1f}" for time in times) + " ms" if document["calls"] else None
    most = "the newest " if document["is_sample"] else ""
    yield facts(
        (
            ("calls", f"{document['calls']:,}, {document['errors']:,} failed"),
            ("p50 / p95 / p99", took),
            ("predictions", f"{most}{document['predictions']:,}"),
        )
    )
    for one in document["classes"]:
        yield Text(f"  {one['share']:6.1%}  {one['label']}  ({one['count']:,})")


def promotion(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One change of what is live."""
    replaced = f" instead of {document['previous']}," if document["previous"] else ""
    live = (document["version_id"], "bold")
    yield Text.assemble(("● ", "green"), live, " is live", replaced, f" since {when(document['at'])}.")


def promotions(document: Mapping[str, Any], name: str, at: str | None) -> Iterable[RenderableType]:
    """Every change of what is live under a name, the newest first; or the last one until a time."""
    if document["promotions"]:
        yield Listing(_PROMOTION_COLUMNS, map(_promotion_row, document["promotions"]))
    else:
        until = f" until {at}" if at else ""
        yield Text(f"There is no promotion of {name!r}{until}.")


_PROMOTION_COLUMNS: Final = (
    Column("At"),
    Column("Action"),
    Column("Live", style="bold"),
    Column("Instead of", rank=1),
    Column("By", rank=2),
    Column("Reason", least=10),
)


def _promotion_row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    action, live, before = entry["action"].replace("_", " "), entry["version_id"], entry["previous"] or ""
    return to_the_minute(entry["at"]), action, live, before, entry["by"], entry["reason"]


def reloaded(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """What every instance reads anew."""
    names = ", ".join(document["reloaded"]) or "no model is live"
    yield Text(f"Read anew within {document['effective_within_seconds']:g} s: {names}.")


def report_saved(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    yield Text(f"The report of {document['id']} is in {document['file']} ({document['size_bytes']:,} bytes).")
