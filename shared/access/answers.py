"""What accounts answer."""

from __future__ import annotations

from shared.schema import Answer


class UserAnswer(Answer):
    id: str
    email: str
    role: str
    created_at: str
    created_by: str
    disabled: bool


class UserList(Answer):
    """By address. `cursor` asks for what follows; null at the end."""

    users: list[UserAnswer]
    cursor: str | None


class TokensAnswer(Answer):
    """Send the access token as `Authorization: Bearer`; it is good for `expires_in` seconds. The refresh
    token is good once, for seven days: `POST /auth/refresh` gives the next pair, until 90 days after the
    login.
    """

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class LoginAnswer(TokensAnswer):
    user: UserAnswer


class MeAnswer(Answer):
    """Who the caller is. `user` is null for who isn't one: a key that belongs to the platform, or nobody."""

    name: str
    role: str
    models: list[str] | None
    user: UserAnswer | None


class InvitationAnswer(Answer):
    id: str
    email: str
    role: str
    invited_by: str
    expires_at: str


class NewInvitationAnswer(InvitationAnswer):
    """`token` is shown this once."""

    token: str


class InvitationList(Answer):
    """Those that are still good, by address. `cursor` asks for what follows; null at the end."""

    invitations: list[InvitationAnswer]
    cursor: str | None


class KeyAnswer(Answer):
    id: str
    prefix: str
    name: str
    role: str
    models: list[str] | None
    owner_id: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class NewKeyAnswer(KeyAnswer):
    """`key` is shown this once."""

    key: str


class KeyList(Answer):
    """Newest first. `cursor` asks for what follows; null at the end."""

    keys: list[KeyAnswer]
    cursor: str | None
