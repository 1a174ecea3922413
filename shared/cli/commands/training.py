"""`train` and `runs`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shared.cli.client import Document
from shared.cli.following import RUN, follow
from shared.cli.problem import next_command_after
from shared.cli.session import Session, command, group

PANEL: Final = "Models"

RunId = Annotated[str, typer.Argument(help="A run's id, as 'mlengine runs' lists it.")]


def register(app: typer.Typer) -> None:
    command(app, "train", PANEL)(train)
    group_app = typer.Typer(help="The training runs: list, show, cancel.")
    group(group_app)(runs)
    command(group_app, "show")(show)
    command(group_app, "cancel")(cancel)
    app.add_typer(group_app, name="runs", rich_help_panel=PANEL)


def train(
    session: Session,
    problem: Annotated[str, typer.Option(help="What to learn.")] = "market_signal",
    activate: Annotated[
        bool, typer.Option("--activate", help="Let the model go live if its gates pass.")
    ] = False,
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Only these symbols. None: all that are stored.")
    ] = None,
    lookback: Annotated[
        int | None, typer.Option(min=0, help="Only the newest candles of each symbol; 0 is all.")
    ] = None,
    test_size: Annotated[
        float | None, typer.Option(help="The share of sessions held out at the end.")
    ] = None,
    random_state: Annotated[int | None, typer.Option(min=0, help="The seed.")] = None,
    cv_folds: Annotated[
        int | None, typer.Option(min=2, max=50, help="Folds, of the walk-forward or the cross-validation.")
    ] = None,
    cv_repeats: Annotated[
        int | None, typer.Option(min=1, max=50, help="Repeats of a tabular problem's cross-validation.")
    ] = None,
    candidates: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Only these algorithms, such as lightgbm.")
    ] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Candles ahead to predict.")] = None,
    search: Annotated[
        int | None,
        typer.Option(
            min=1, max=500, metavar="TRIALS", help="Search hyper-parameters first, with so many trials."
        ),
    ] = None,
    search_seconds: Annotated[
        int | None, typer.Option(min=1, help="How long the search may take, about; 600 unless given.")
    ] = None,
    search_tasks: Annotated[
        int | None, typer.Option(min=1, max=21, help="How many work on the search side by side.")
    ] = None,
    is_followed: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Watch the run until it ends.")
    ] = True,
) -> None:
    """Train, validate and register a model."""
    body = {
        "problem": problem,
        "activate": activate,
        "symbols": _names(symbols),
        "lookback": lookback,
        "test_size": test_size,
        "random_state": random_state,
        "cv_folds": cv_folds,
        "cv_repeats": cv_repeats,
        "candidates": _names(candidates),
        "horizon": horizon,
        "search": _search(search, search_seconds, search_tasks),
    }
    run = session.client.post("/admin/train", {k: v for k, v in body.items() if v is not None})
    session.output.note(f"Run {run['run_id']} is {run['status']}.")
    if is_followed:
        _finish(session, follow(session, RUN, run["run_id"]))
    else:
        session.output.show(run, lambda _: ())
        session.output.suggest(f"mlengine runs show {run['run_id']} --follow")


def _search(trials: int | None, seconds: int | None, tasks: int | None) -> dict[str, int] | None:
    """What the request says of a search; None where none is asked for."""
    given = {"trials": trials, "seconds": seconds, "tasks": tasks}
    return {name: value for name, value in given.items() if value is not None} or None


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _finish(session: Session, run: Document) -> None:
    """Show how a run ended; it fails the command unless it succeeded."""
    from shared.cli.views.runs import run as view

    session.output.show(run, view)
    session.output.suggest(_next_command(run))
    if run["status"] != "succeeded":
        session.fail()


def _next_command(run: Document) -> str:
    result: dict[str, Any] | None = run["result"]
    if result is None:
        return next_command_after(run["error"] or "") if run["status"] == "failed" else "mlengine train"
    if not result["gates_passed"] or result["suspected_leak"]:
        return f"mlengine models report {result['version_id']}"
    if not result["activated"]:
        return f"mlengine activate {result['version_id']}"
    is_market = "hold_out" in result["metrics"]
    return "mlengine predict <symbol>" if is_market else f"mlengine models show {result['version_id']}"


def runs(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """List the training runs, newest first."""
    document = session.client.get("/admin/train/status", limit=limit, cursor=cursor)
    from shared.cli.views.runs import runs as view

    session.output.show_page(document, view)


def show(
    session: Session,
    run_id: RunId,
    is_followed: Annotated[bool, typer.Option("--follow", help="Watch it until it ends.")] = False,
) -> None:
    """Show one run: progress, metrics, gates, conclusion."""
    if is_followed:
        _finish(session, follow(session, RUN, run_id))
        return
    from shared.cli.views.runs import run as view

    session.output.show(RUN.status(session.client, run_id), view)


def cancel(session: Session, run_id: RunId) -> None:
    """Ask a run to stop. What is served doesn't change."""
    run = RUN.cancel(session.client, run_id)
    from shared.cli.views.runs import cancelled

    session.output.show(run, cancelled)
