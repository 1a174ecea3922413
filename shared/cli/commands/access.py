"""`login`, `logout`, `whoami`, `keys` and `users`: who one is at an engine, and who may do what there."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from shared.cli.client import Document, path_part
from shared.cli.credentials import Login
from shared.cli.problem import wrong_usage
from shared.cli.session import Session, command, group

PANEL: Final = "Access"


class RoleName(StrEnum):
    VIEWER = "viewer"
    PREDICTOR = "predictor"
    OPERATOR = "operator"
    ADMIN = "admin"


Email = Annotated[str, typer.Argument(help="The user's email address.")]
UserId = Annotated[str, typer.Argument(help="A user's id or address, as 'mlengine users' lists it.")]
InvitationId = Annotated[
    str, typer.Argument(metavar="EMAIL|ID", help="As 'mlengine users invitations' lists it.")
]
KeyId = Annotated[str, typer.Argument(help="A key's id, as 'mlengine keys' lists it.")]
RoleOption = Annotated[RoleName, typer.Option("--role", help="What it may do.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many at most.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Where the last page ended.")]


def register(app: typer.Typer) -> None:
    command(app, "login", PANEL)(login)
    command(app, "logout", PANEL)(logout)
    command(app, "whoami", PANEL)(whoami)
    key_app = typer.Typer(help="API keys: list, create, revoke.")
    group(key_app)(keys)
    command(key_app, "create")(create_key)
    command(key_app, "revoke")(revoke_key)
    app.add_typer(key_app, name="keys", rich_help_panel=PANEL)
    user_app = typer.Typer(help="Users: list, register, invite, change roles, let in and keep out.")
    group(user_app)(users)
    command(user_app, "register")(register_user)
    command(user_app, "invite")(invite)
    command(user_app, "invitations")(invitations)
    command(user_app, "uninvite")(uninvite)
    command(user_app, "role")(set_role)
    command(user_app, "disable")(disable)
    command(user_app, "enable")(enable)
    app.add_typer(user_app, name="users", rich_help_panel=PANEL)


def login(session: Session, email: Email) -> None:
    """Log in, and stay logged in. The password is asked for, or read from standard input."""
    body = {"email": email, "password": _password("Password")}
    answer = session.client.post("/auth/login", body)
    session.credentials.keep(session.client.target.url, Login.of(answer["user"]["email"], answer))
    shown = {"user": answer["user"], "kept_in": session.credentials.place}
    from shared.cli.views.access import logged_in

    session.output.show(shown, logged_in)


def logout(session: Session) -> None:
    """End the session that 'mlengine login' began."""
    email = session.client.end_session(session.credentials)
    from shared.cli.views.access import logged_out

    session.output.show({"email": email}, logged_out)


def whoami(session: Session) -> None:
    """Who one is at this engine, and what role that is."""
    from shared.cli.views.access import me

    session.output.show(session.client.get("/auth/me"), me)


def keys(
    session: Session,
    all: Annotated[bool, typer.Option("--all", help="Those of all users; for admins.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List one's API keys, the newest first."""
    everybody = "true" if all else None
    document = session.client.get("/auth/keys", all=everybody, limit=limit, cursor=cursor)
    from shared.cli.views.access import keys as view

    session.output.show_page(document, view)


def create_key(
    session: Session,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: RoleOption = RoleName.PREDICTOR,
    model: Annotated[list[str] | None, typer.Option("--model", help="Only for this model; repeat.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Ends after so many days.")] = None,
) -> None:
    """Make an API key. It is shown once."""
    body: dict[str, Any] = {"name": name, "role": str(role), "models": model or None, "days": days}
    document = session.client.post("/auth/keys", body)
    session.output.show_line(document, document["key"])
    session.output.note("Shown once: keep it where only its user can read it.")


def revoke_key(session: Session, key_id: KeyId) -> None:
    """Let a key open nothing more, within seconds."""
    document = session.client.delete(f"/auth/keys/{path_part(key_id)}")
    from shared.cli.views.access import revoked

    session.output.show(document, revoked)


def users(session: Session, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the users."""
    document = session.client.get("/auth/users", limit=limit, cursor=cursor)
    from shared.cli.views.access import users as view

    session.output.show_page(document, view)


def register_user(
    session: Session,
    email: Email,
    invitation: Annotated[str | None, typer.Option("--invitation", help="An invitation's token.")] = None,
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="Ask for the bootstrap secret: makes the first admin.")
    ] = False,
) -> None:
    """Register as a user. Password, and bootstrap secret, are asked for, or read from standard input."""
    body: dict[str, Any] = {"email": email, "invitation": invitation}
    if bootstrap:
        body["bootstrap"] = _password("Bootstrap secret")
    body["password"] = _password("Password", confirm=True)
    document = session.client.post("/auth/register", body)
    from shared.cli.views.access import registered

    session.output.show(document, registered)
    session.output.suggest(f"mlengine login {document['email']}")


def invite(session: Session, email: Email, role: RoleOption = RoleName.PREDICTOR) -> None:
    """Invite somebody to register within seven days. The token is shown once."""
    document = session.client.post("/auth/invitations", {"email": email, "role": str(role)})
    session.output.show_line(
        document, f"mlengine users register {document['email']} --invitation {document['token']}"
    )
    session.output.note("Send them this line, by a way that others can't read.")


def invitations(session: Session, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the invitations that are still good."""
    document = session.client.get("/auth/invitations", limit=limit, cursor=cursor)
    from shared.cli.views.access import invitations as view

    session.output.show_page(document, view)


def uninvite(session: Session, invitation_id: InvitationId) -> None:
    """Take an invitation back; of an address, all."""
    ids = _ids_of(session, invitation_id) if "@" in invitation_id else [invitation_id]
    documents = [session.client.delete(f"/auth/invitations/{path_part(one)}") for one in ids]
    from shared.cli.views.access import uninvited

    session.output.show({**documents[0], "count": len(documents)}, uninvited)


def set_role(session: Session, user: UserId, role: Annotated[RoleName, typer.Argument()]) -> None:
    """Give a user another role; it counts within seconds."""
    _changed(session, user, "role", {"role": str(role)})


def disable(session: Session, user: UserId) -> None:
    """Let a user in no more: sessions end, keys stop working."""
    _changed(session, user, "disable")


def enable(session: Session, user: UserId) -> None:
    """Let a disabled user in again."""
    _changed(session, user, "enable")


def _changed(session: Session, user: str, act: str, body: Document | None = None) -> None:
    user_id = _id_of(session, user) if "@" in user else user
    document = session.client.post(f"/auth/users/{path_part(user_id)}/{act}", body)
    from shared.cli.views.access import user as view

    session.output.show(document, view)


def _id_of(session: Session, email: str) -> str:
    cursor = None
    while True:
        page = session.client.get("/auth/users", limit=500, cursor=cursor)
        for user in page["users"]:
            if user["email"] == email.casefold():
                return str(user["id"])
        cursor = page["cursor"]
        if cursor is None:
            raise wrong_usage(f"There is no user {email}: 'mlengine users' lists them.")


def _ids_of(session: Session, email: str) -> list[str]:
    """Of the invitations to an address."""
    found, cursor = [], None
    while True:
        page = session.client.get("/auth/invitations", limit=500, cursor=cursor)
        found += [str(one["id"]) for one in page["invitations"] if one["email"] == email.casefold()]
        cursor = page["cursor"]
        if cursor is None:
            break
    if not found:
        raise wrong_usage(f"Nobody has invited {email}: 'mlengine users invitations' lists who was.")
    return found


def _password(what: str, *, confirm: bool = False) -> str:
    """Asked for where somebody is there to answer; else the next line of standard input."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline().rstrip("\n")
        if not line:
            raise wrong_usage(f"{what}: give it as a line on standard input.")
        return line
    return str(typer.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True))
