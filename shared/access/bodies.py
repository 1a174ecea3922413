"""What is sent to accounts: bodies and query parameters."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, SecretStr

from shared.schema import Body, Query

MAX_KEY_DAYS: Final = 3_650

RoleName: TypeAlias = Literal["viewer", "predictor", "operator", "admin"]
Email: TypeAlias = Annotated[
    str, Field(max_length=320, description="An email address; capitals make no difference.")
]
Password: TypeAlias = Annotated[SecretStr, Field(max_length=1_000, description="12 to 200 characters.")]
Token: TypeAlias = Annotated[SecretStr, Field(max_length=200)]


class RegisterBody(Body):
    """`bootstrap` is the secret that the platform was set up with: it makes the first admin, once."""

    email: Email
    password: Password
    invitation: Token | None = None
    bootstrap: Token | None = None


class LoginBody(Body):
    email: Email
    password: Password


class RefreshBody(Body):
    refresh_token: Token


class PasswordBody(Body):
    old_password: Password
    new_password: Password


class InvitationBody(Body):
    email: Email
    role: RoleName = "predictor"


class RoleBody(Body):
    role: RoleName


class KeyBody(Body):
    """A key has at most its maker's role. Without `models` it may use all; without `days` it never ends."""

    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,80}$")]
    role: RoleName = "predictor"
    models: Annotated[
        tuple[Annotated[str, Field(max_length=80)], ...] | None, Field(min_length=1, max_length=100)
    ] = None
    days: Annotated[int | None, Field(ge=1, le=MAX_KEY_DAYS)] = None


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class KeysQuery(PageQuery):
    """`all`: also those of others, which admins may see."""

    all: bool = False
