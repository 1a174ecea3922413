"""/auth/...: users register, log in and out; API keys are made, listed and revoked; admins manage users."""

import asyncio
from dataclasses import asdict
from datetime import timedelta

from pydantic import SecretStr

from shared.access.accounts import Tokens
from shared.access.answers import (
    InvitationAnswer,
    InvitationList,
    KeyAnswer,
    KeyList,
    LoginAnswer,
    MeAnswer,
    NewInvitationAnswer,
    NewKeyAnswer,
    TokensAnswer,
    UserAnswer,
    UserList,
)
from shared.access.bodies import (
    InvitationBody,
    KeyBody,
    KeysQuery,
    LoginBody,
    PageQuery,
    PasswordBody,
    RefreshBody,
    RegisterBody,
    RoleBody,
)
from shared.access.identity import Identity
from shared.access.roles import Role
from shared.access.users import User
from shared.errors import Conflict, FieldError, Forbidden, InvalidInput, NotFound
from shared.web import Call, Function

function = Function("accounts", needs=["documents"])


@function.post("/auth/register", status=201)
async def register(call: Call, body: RegisterBody) -> UserAnswer:
    """Register as a user, as far as REGISTRATION lets you."""
    user = await asyncio.to_thread(
        call.instance.accounts.register,
        body.email,
        body.password.get_secret_value(),
        ip=call.ip,
        invitation=revealed(body.invitation),
        bootstrap=revealed(body.bootstrap),
    )
    call.change.after = {"user": user.id, "email": user.email, "role": user.role.label}
    return answer(user)


@function.post("/auth/login")
async def login(call: Call, body: LoginBody) -> LoginAnswer:
    """Log in."""
    password = body.password.get_secret_value()
    user, tokens = await asyncio.to_thread(call.instance.accounts.login, body.email, password, ip=call.ip)
    return LoginAnswer(**asdict(tokens), user=answer(user))


@function.post("/auth/refresh")
async def refresh(call: Call, body: RefreshBody) -> TokensAnswer:
    """Exchange a refresh token for new tokens. One that comes again ends its session, for everybody."""
    token = body.refresh_token.get_secret_value()
    return tokens_answer(await asyncio.to_thread(call.instance.accounts.refresh, token))


@function.post("/auth/logout", status=204)
async def logout(call: Call) -> None:
    """End the session of this access token."""
    session_id = call.identity.session_id
    if session_id is None:
        raise Conflict("There is no session to end: keys are revoked with DELETE /auth/keys/{id}.")
    await asyncio.to_thread(call.instance.accounts.logout, session_id)


@function.get("/auth/me")
async def me(call: Call) -> MeAnswer:
    """Who the caller is, and what role that is."""
    identity = call.identity
    user = None
    if identity.user_id is not None:
        user = await asyncio.to_thread(call.instance.users.find, identity.user_id)
    return MeAnswer(
        name=identity.name,
        role=identity.role.label,
        models=None if identity.models is None else sorted(identity.models),
        user=None if user is None else answer(user),
    )


@function.post("/auth/password", holds_secret=True)
async def change_password(call: Call, body: PasswordBody) -> TokensAnswer:
    """Change the password. All sessions end; the answer has the tokens of a new one."""
    user_id = logged_in(call.identity)
    _, tokens = await asyncio.to_thread(
        call.instance.accounts.change_password,
        user_id,
        body.old_password.get_secret_value(),
        body.new_password.get_secret_value(),
        ip=call.ip,
    )
    return tokens_answer(tokens)


@function.post("/auth/invitations", status=201, holds_secret=True)
async def invite(call: Call, body: InvitationBody) -> NewInvitationAnswer:
    """Invite an address to register with a role, within seven days."""
    invitation, token = await asyncio.to_thread(
        call.instance.accounts.invite, body.email, role_of(body.role), call.identity.name
    )
    call.change.after = {"email": invitation.email, "role": invitation.role.label}
    return NewInvitationAnswer(**invitation.shown(), token=token.text)


@function.get("/auth/invitations")
async def invitations(call: Call, query: PageQuery) -> InvitationList:
    """Invitations that nobody has used, and that are still good."""
    page = await asyncio.to_thread(call.instance.invitations.list, limit=query.limit, cursor=query.cursor)
    return InvitationList(
        invitations=[InvitationAnswer(**one.shown()) for one in page.invitations], cursor=page.cursor
    )


@function.delete("/auth/invitations/{invitation_id}")
async def revoke_invitation(call: Call, invitation_id: str) -> InvitationAnswer:
    """Take an invitation back."""
    revoked = await asyncio.to_thread(call.instance.invitations.revoke, invitation_id)
    call.change.before = {"email": revoked.email, "role": revoked.role.label}
    return InvitationAnswer(**revoked.shown())


@function.get("/auth/users")
async def users(call: Call, query: PageQuery) -> UserList:
    """All users."""
    page = await asyncio.to_thread(call.instance.users.list, limit=query.limit, cursor=query.cursor)
    return UserList(users=[answer(user) for user in page.users], cursor=page.cursor)


@function.post("/auth/users/{user_id}/role")
async def set_role(call: Call, user_id: str, body: RoleBody) -> UserAnswer:
    """Give a user another role. It counts within seconds, for keys of the user too."""
    require_other(call.identity, user_id)
    users = call.instance.users
    call.change.before = {"role": (await asyncio.to_thread(users.get, user_id)).role.label}
    call.change.after = {"role": body.role}
    return answer(await asyncio.to_thread(users.set_role, user_id, role_of(body.role)))


@function.post("/auth/users/{user_id}/disable")
async def disable(call: Call, user_id: str) -> UserAnswer:
    """Let a user in no more: sessions end, keys stop working."""
    require_other(call.identity, user_id)
    call.change.after = {"disabled": True}
    return answer(await asyncio.to_thread(call.instance.users.set_disabled, user_id, disabled=True))


@function.post("/auth/users/{user_id}/enable")
async def enable(call: Call, user_id: str) -> UserAnswer:
    """Let a disabled user in again."""
    call.change.after = {"disabled": False}
    return answer(await asyncio.to_thread(call.instance.users.set_disabled, user_id, disabled=False))


@function.post("/auth/keys", status=201, holds_secret=True)
async def create_key(call: Call, body: KeyBody) -> NewKeyAnswer:
    """Make an API key for oneself. A key can't make keys: log in for that."""
    identity = call.identity
    if identity.key_id is not None:
        raise Forbidden("A key can't make keys: log in, and make it then.")
    if role_of(body.role) > identity.role:
        found = f"must be at most {identity.role.label}, which is your own"
        raise InvalidInput(f"The role {found}.", errors=[FieldError("/role", found)])
    key, secret = await asyncio.to_thread(
        call.instance.api_keys.create,
        body.name,
        role_of(body.role),
        identity.user_id or identity.name,
        models=body.models,
        lives=None if body.days is None else timedelta(days=body.days),
    )
    call.change.after = {"key": key.prefix, "name": key.name, "role": key.role.label}
    return NewKeyAnswer(**key.shown(), key=secret.text)


@function.get("/auth/keys")
async def keys(call: Call, query: KeysQuery) -> KeyList:
    """One's own API keys; admins may list those of all."""
    identity = call.identity
    if query.all and identity.role < Role.ADMIN:
        raise Forbidden("Only an admin may list the keys of all.")
    owner_id = None if query.all else identity.user_id or identity.name
    page = await asyncio.to_thread(
        call.instance.api_keys.list, owner_id=owner_id, limit=query.limit, cursor=query.cursor
    )
    return KeyList(keys=[KeyAnswer(**key.shown()) for key in page.keys], cursor=page.cursor)


@function.delete("/auth/keys/{key_id}")
async def revoke_key(call: Call, key_id: str) -> KeyAnswer:
    """Revoke an API key: one's own, or as an admin anybody's. It is gone within seconds."""
    identity, keys = call.identity, call.instance.api_keys
    key = await asyncio.to_thread(keys.find, key_id)
    is_own = key is not None and key.owner_id == (identity.user_id or identity.name)
    if key is None or not (is_own or identity.role >= Role.ADMIN):
        raise NotFound(f"There is no key {key_id!r}. GET /auth/keys lists them.")
    call.change.before = {"key": key.prefix, "owner_id": key.owner_id, "revoked_at": key.revoked_at}
    revoked = await asyncio.to_thread(keys.revoke, key_id)
    call.change.after = {"revoked_at": revoked.revoked_at}
    return KeyAnswer(**revoked.shown())


def logged_in(identity: Identity) -> str:
    """
    Raises:
        Forbidden: not a user's session.
    """
    if identity.session_id is None or identity.user_id is None:
        raise Forbidden("Only who has logged in may do this: POST /auth/login.")
    return identity.user_id


def require_other(identity: Identity, user_id: str) -> None:
    """
    Raises:
        Conflict: an admin who locks everybody out, oneself first.
    """
    if identity.user_id == user_id:
        raise Conflict("You can't do this to yourself: let another admin do it.")


def role_of(name: str) -> Role:
    return Role[name.upper()]


def revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def answer(user: User) -> UserAnswer:
    return UserAnswer(**user.shown())


def tokens_answer(tokens: Tokens) -> TokensAnswer:
    return TokensAnswer(**asdict(tokens))


main = function.entry_point()
