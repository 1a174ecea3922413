"""Views of training runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.metrics import cross_validation, gates, hold_out, walk_forward
from shared.cli.views.parts import facts, heading, status
from shared.cli.views.text import NOTHING, seconds_between, span, to_the_minute, when


def runs(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """All runs, the newest first."""
    if document["runs"]:
        yield Listing(_COLUMNS, map(_row, document["runs"]))
    else:
        yield Text("No training runs yet.")


_COLUMNS: Final = (
    Column("Run", style="bold"),
    Column("Status"),
    Column("Created", rank=1),
    Column("Took", rank=2),
    Column("Outcome", least=16),
)


def _row(run: Mapping[str, Any]) -> tuple[str | Text, ...]:
    created = to_the_minute(run["created_at"])
    return run["run_id"], status(run["status"]), created, _took(run), _outcome(run)


def _took(run: Mapping[str, Any]) -> str:
    return span(seconds_between(run["started_at"], run["finished_at"] or run["heartbeat_at"]))


def _outcome(run: Mapping[str, Any]) -> str:
    """The version, the error or the stage: whatever there is to say."""
    version = (run["result"] or {}).get("version_id")
    stage = "" if run["finished_at"] else stage_text(run["progress"])
    return str(version or run["error"] or stage or NOTHING)


def stage_text(progress: Mapping[str, Any]) -> str:
    """`walk forward 3/30 lightgbm`"""
    if not progress.get("stage"):
        return ""
    name = progress["stage"].replace("_", " ")
    return f"{name} {progress['done']}/{progress['total']} {progress['message']}".rstrip()


def run(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """One run with all it found."""
    yield Text.assemble((document["run_id"], "bold"), "  ", status(document["status"]))
    yield _facts(document)
    yield from outcome(document)


def _facts(document: Mapping[str, Any]) -> RenderableType:
    asked, version = document["request"].items(), document["problem_version"]
    return facts(
        (
            ("asked for", ", ".join(f"{key}={_short(value)}" for key, value in asked)),
            ("declared", f"version {version}" if version else None),
            ("created", when(document["created_at"])),
            ("took", _took(document)),
            ("stages", ", ".join(f"{k.replace('_', ' ')} {span(v)}" for k, v in document["timings"].items())),
            ("progress", "" if document["finished_at"] else stage_text(document["progress"])),
        )
    )


def _short(value: Any) -> str:
    if not isinstance(value, list) or len(value) <= 3:
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{value[0]},{value[1]},... ({len(value)})"


def outcome(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """How a run ended: metrics, gates, conclusion; or why it failed."""
    result = document["result"]
    if document["error"]:
        yield Text.assemble(("The run failed: ", "bold red"), document["error"])
    if not result:
        return
    yield from hold_out(result["metrics"])
    yield from walk_forward(result["metrics"])
    yield from cross_validation(result["metrics"])
    yield from gates(result["gates"])
    yield heading("Conclusion")
    yield Text(result["conclusion"])
    yield from (Text(warning, style="yellow") for warning in result["warnings"])
    yield _place(result)


def _place(result: Mapping[str, Any]) -> Text:
    """Where the new version stands."""
    version = (result["version_id"], "bold")
    if result["activated"]:
        return Text.assemble(("● ", "green"), version, " is live.")
    return Text.assemble("○ ", version, " is registered, and not live.")


def cancelled(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """What became of the wish to stop a run."""
    is_stopping = not document["finished_at"]
    state = "will stop soon" if is_stopping else f"has ended: {document['status']}"
    yield Text(f"Run {document['run_id']} {state}.")
