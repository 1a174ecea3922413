"""Views of users, keys and oneself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.text import NOTHING


def logged_in(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Who has just logged in."""
    who = document["user"]
    yield Text.assemble("Logged in as ", (who["email"], "bold"), f" ({who['role']}).")
    yield Text(f"The login is kept in {document['kept_in']}; 'mlengine logout' ends it.", style="dim")


def logged_out(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Who has just logged out."""
    yield Text(f"{document['email']} is logged out.")


def me(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Who one is."""
    yield Text.assemble((document["name"], "bold"), f", {document['role']}")
    if document["models"] is not None:
        yield Text(f"For {', '.join(document['models'])} alone.")


def registered(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """A new user."""
    yield Text.assemble((document["email"], "bold"), f" is registered as {document['role']}.")


def user(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """A user after a change."""
    state = "disabled" if document["disabled"] else document["role"]
    yield Text.assemble((document["email"], "bold"), f" is {state} now.")


def users(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """All users."""
    if document["users"]:
        yield Listing(_USERS, [_user(one) for one in document["users"]])
    else:
        yield Text(
            "There are no users yet: 'mlengine users register EMAIL --bootstrap' makes the first admin."
        )


def invitations(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Invitations that are still good."""
    if document["invitations"]:
        yield Listing(_INVITATIONS, [_invitation(one) for one in document["invitations"]])
    else:
        yield Text("Nobody is invited: 'mlengine users invite EMAIL' does it.")


def uninvited(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """An invitation that was taken back."""
    yield Text.assemble("The invitation of ", (document["email"], "bold"), " is good no more.")


def keys(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """API keys, the newest first."""
    if document["keys"]:
        yield Listing(_KEYS, [_key(one) for one in document["keys"]])
    else:
        yield Text("There are no keys: 'mlengine keys create NAME' makes one.")


def revoked(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """A key that opens nothing more."""
    yield Text.assemble((document["prefix"], "bold"), f" ({document['name']}) is revoked.")


_USERS: Final = (
    Column("User", style="bold"),
    Column("Role"),
    Column("State", rank=1),
    Column("Since", rank=2),
    Column("By", rank=3),
    Column("Id", rank=1),
)

_KEYS: Final = (
    Column("Key", style="bold"),
    Column("Name"),
    Column("Role"),
    Column("Models", rank=2),
    Column("State"),
    Column("Last used", rank=1),
    Column("Made", rank=3),
)


_INVITATIONS: Final = (
    Column("Address"),
    Column("Role"),
    Column("Until"),
    Column("By", rank=1),
    Column("Id"),
)


def _invitation(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (one["email"], one["role"], _day(one["expires_at"]), one["invited_by"], one["id"])


def _user(one: Mapping[str, Any]) -> tuple[str | Text, ...]:
    state = Text("disabled", style="red") if one["disabled"] else Text("active")
    return (one["email"], one["role"], state, _day(one["created_at"]), one["created_by"], one["id"])


def _key(one: Mapping[str, Any]) -> tuple[str | Text, ...]:
    models = "all" if one["models"] is None else ", ".join(one["models"])
    return (
        one["id"],
        one["name"],
        one["role"],
        models,
        _state(one),
        _day(one["last_used_at"]),
        _day(one["created_at"]),
    )


def _state(one: Mapping[str, Any]) -> Text:
    if one["revoked_at"] is not None:
        return Text("revoked", style="red")
    if one["expires_at"] is not None:
        return Text(f"until {_day(one['expires_at'])}")
    return Text("good")


def _day(stamp: str | None) -> str:
    return NOTHING if stamp is None else stamp[:10]
