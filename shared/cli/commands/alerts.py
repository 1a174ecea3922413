"""`alerts`: what is open, who looks after it, and whether it reaches people."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Final

import typer

from shared.cli.client import Document, path_part
from shared.cli.problem import problem, wrong_usage
from shared.cli.session import Session, command, group

PANEL: Final = "Engine"
POLL_SECONDS: Final = 0.3
WAIT_SECONDS: Final = 60.0
"""How long a test waits to hear that it was told: longer than a channel that is down takes to say so."""

STATES: Final = ("open", "active", "acknowledged", "resolved", "all")

AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="An id, as 'mlengine alerts' shows it.")]


def register(app: typer.Typer) -> None:
    group_app = typer.Typer(help="What is wrong: list, show, look after, resolve; try whether it arrives.")
    group(group_app)(alerts)
    command(group_app, "show")(show)
    command(group_app, "acknowledge")(acknowledge)
    command(group_app, "resolve")(resolve)
    command(group_app, "test")(send_test)
    app.add_typer(group_app, name="alerts", rich_help_panel=PANEL)


def alerts(
    session: Session,
    state: Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}.")] = "open",
    severity: Annotated[str | None, typer.Option(help="info, warning, error or critical.")] = None,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Only of this type: drift, dead_letter.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """List the alerts, the newest first."""
    if state not in STATES:
        raise wrong_usage(f"--state is one of {', '.join(STATES)}, found {state!r}.")
    document = session.client.get(
        "/alerts",
        state=None if state == "all" else state,
        severity=severity,
        type=type_,
        limit=limit,
        cursor=cursor,
    )
    from shared.cli.views.alerts import alerts as view

    filters = {"severity": severity, "type": type_}
    session.output.show_page(document, partial(view, state=state, filters=filters))
    if document["alerts"]:
        session.output.suggest(f"mlengine alerts show {document['alerts'][0]['id']}")


def show(session: Session, alert: AlertId) -> None:
    """Show an alert: what was found, what to do, and who was told."""
    document = _get(session, alert)
    from shared.cli.views.alerts import alert as view

    session.output.show(document, view)
    if document["state"] == "active":
        session.output.suggest(f"mlengine alerts acknowledge {document['id']}")


def acknowledge(
    session: Session,
    alert: AlertId,
    note: Annotated[str | None, typer.Option(help="What you are going to do.")] = None,
) -> None:
    """Say that you look after an alert: nobody is reminded of it unless it gets more severe."""
    document = _post(session, alert, "acknowledge", {} if note is None else {"note": note})
    from shared.cli.views.alerts import acknowledged

    session.output.show(document, acknowledged)
    session.output.suggest(f"mlengine alerts resolve {document['id']} --why <words>")


def resolve(
    session: Session, alert: AlertId, why: Annotated[str, typer.Option(help="What has ended it.")]
) -> None:
    """Say that an alert is over. When it is seen again, that is a new one."""
    document = _post(session, alert, "resolve", {"why": why})
    from shared.cli.views.alerts import resolved

    session.output.show(document, resolved)


def send_test(
    session: Session,
    channel: Annotated[
        str | None, typer.Option(help="log, slack, email, pagerduty or webhook; else as ALERT_ROUTES says.")
    ] = None,
) -> None:
    """Raise an alert that is none, wait until it was told, and resolve it."""
    raised = session.client.post("/alerts/test", {} if channel is None else {"channel": channel})
    document = _told(session, raised["id"])
    if document["state"] != "resolved":
        _post(session, raised["id"], "resolve", {"why": "The test is over."})
    from shared.cli.views.alerts import tested

    session.output.show(document, tested)
    sent = {told["channel"] for told in document["told"] if told["state"] == "sent"}
    if not sent.issuperset(document["channels"]):
        session.output.suggest("mlengine doctor")
        session.fail()


def _told(session: Session, alert_id: str) -> Document:
    """The alert, once every channel has taken it or refused it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        document = _get(session, alert_id)
        if {told["channel"] for told in document["told"]}.issuperset(document["channels"]):
            return document
        if time.monotonic() > deadline:
            waiting = ", ".join(document["channels"])
            detail = (
                f"Nobody has told {waiting} of {alert_id} within {WAIT_SECONDS:g} seconds: is the function "
            )
            raise problem(
                "not-told", "Not told", f"{detail}'notify' running?", next_command="mlengine doctor"
            )
        time.sleep(POLL_SECONDS)


def _get(session: Session, alert_id: str) -> Document:
    return session.client.get(f"/alerts/{path_part(alert_id)}")


def _post(session: Session, alert_id: str, act: str, body: Document) -> Document:
    return session.client.post(f"/alerts/{path_part(alert_id)}/{act}", body)
