"""From what a caller presents to who it is."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.access.credentials import API_KEY
from shared.access.roles import EVENTS_ROUTE, FOR_SOME_MODELS, Role
from shared.config import Environment, Settings
from shared.errors import Forbidden, NotFound, Unauthenticated
from shared.platform.ports import Identities, Secrets

_VERSION = re.compile(r"-v[0-9]+\Z")

ADMIN_KEY_SECRET = "admin-api-key"  # noqa: S105 - the secret's name, not its value


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling: a name fit for logs and the audit, and a role.

    `user_id` is whose it is: of a user, or of who made the key; None for those that aren't users.
    `models` are the names of the models that the caller may use; None: all.
    """

    name: str
    role: Role
    user_id: str | None = None
    key_id: str | None = None
    session_id: str | None = None
    models: frozenset[str] | None = None

    def may_use(self, model: str) -> bool:
        """Whether the caller may use the model that this is the name or a version of. What it mayn't, it
        isn't told of either.
        """
        return self.models is None or _VERSION.sub("", model) in self.models

    def require_model(self, model: str) -> None:
        """
        Raises:
            NotFound: the caller mayn't use the model that this is the name or a version of.
        """
        if self.models is not None and not self.may_use(model):
            raise NotFound(
                f"There is no model {model!r} for this key: it is for {', '.join(sorted(self.models))}."
            )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls which function, under which ids: what the audit keeps of a request."""

    name: str
    function: str
    request_id: str
    traceparent: str


ANONYMOUS = Identity("anonymous", Role.PUBLIC)
ADMIN = Identity("admin", Role.ADMIN)
"""Whoever holds the key that the platform was set up with."""


def presented_key(header: Callable[[str], str | None]) -> str | None:
    """The key in `X-API-Key`, or in `Authorization: Bearer`."""
    key = header("x-api-key")
    if key is not None:
        return key
    scheme, _, token = (header("authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None


def is_token(key: str) -> bool:
    """Whether it has the form of a signed token (JWS: three parts joined by dots), which no key has."""
    return key.count(".") == 2


class Credentials(Protocol):
    """Who presents an API key or an access token: `shared.access.authenticator`."""

    def remembered(self, presented: str) -> Identity | None: ...

    def find(self, presented: str) -> Identity: ...


class Gatekeeper:
    """Decides who a caller is and whether the route is open to it.

    In development, callers without a key may do what a predictor may; elsewhere they may call
    health and ready, and the routes listed in OPEN_ROUTES. Events are taken from administrators, and from
    the service accounts in EVENT_SENDERS by the tokens that Google signs for them.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        identities: Identities,
        credentials: Callable[[], Credentials],
        roles: Mapping[str, Role],
    ) -> None:
        """`credentials` is asked for when the first API key or access token comes."""
        self._settings = settings
        self._secrets = secrets
        self._identities = identities
        self._credentials = credentials
        self._roles = roles
        self._admin_key: bytes | None = None
        development = settings.env is Environment.DEVELOPMENT
        self._anonymous = Identity("anonymous", Role.PREDICTOR) if development else ANONYMOUS
        self._open = frozenset(settings.open_routes)

    def admit_at_once(self, route: str, header: Callable[[str], str | None]) -> Identity | None:
        """Who calls `route`, or None where that must be looked up: `admit` does. Never blocks.

        Raises:
            Unauthenticated, Forbidden
        """
        key = presented_key(header)
        if key is None:
            return self._let_in(route, self._anonymous, key)
        if self._is_sender(route, key, header):
            return None
        if self._admin_key is not None and hmac.compare_digest(key.encode(), self._admin_key):
            return ADMIN
        known = self._credentials().remembered(key) if _is_ours(key) else None
        return None if known is None else self._let_in(route, known, key)

    def admit(self, route: str, header: Callable[[str], str | None]) -> Identity:
        """Who calls `route`. Blocks while it is looked up.

        Raises:
            Unauthenticated: a wrong key, or none where one is needed.
            Forbidden: the caller's role isn't enough.
        """
        key = presented_key(header)
        if key is not None and self._is_sender(route, key, header):
            return self._sender(key, header("host") or "")
        return self._let_in(route, self._anonymous if key is None else self._identify(key), key)

    def _let_in(self, route: str, identity: Identity, key: str | None) -> Identity:
        needed = self._roles[route]
        if identity.models is not None and needed > Role.PUBLIC and route not in FOR_SOME_MODELS:
            raise Forbidden(f"{route} tells of all models, and this key is for some: take another one.")
        if identity.role >= needed or route in self._open:
            return identity
        if key is None:
            raise Unauthenticated(
                f"{route} needs a key of role {needed.label}: send it as 'X-API-Key: <key>'."
            )
        raise Forbidden(f"{route} needs role {needed.label}; this key has role {identity.role.label}.")

    @staticmethod
    def _is_sender(route: str, key: str, header: Callable[[str], str | None]) -> bool:
        return route == EVENTS_ROUTE and header("x-api-key") is None and is_token(key)

    def _sender(self, token: str, host: str) -> Identity:
        """Whose token it is. Its audience is this very address: Cloud Run finds us by the same host."""
        email = self._identities.verify(token, f"https://{host}")
        if email not in self._settings.event_senders:
            raise Forbidden(f"{email} may not deliver events here: EVENT_SENDERS doesn't list it.")
        return Identity(email, Role.ADMIN)

    def _identify(self, key: str) -> Identity:
        if _is_ours(key):
            return self._credentials().find(key)
        if hmac.compare_digest(key.encode(), self._expected_admin_key()):
            return ADMIN
        raise Unauthenticated("The key isn't known here. Check 'X-API-Key', or send none for open routes.")

    def _expected_admin_key(self) -> bytes:
        if self._admin_key is None:
            self._admin_key = self._read_admin_key().encode()
        return self._admin_key

    def _read_admin_key(self) -> str:
        if self._settings.admin_api_key is not None:
            return self._settings.admin_api_key.get_secret_value()
        try:
            return self._secrets.get(ADMIN_KEY_SECRET)
        except NotFound as error:
            raise Unauthenticated(
                "No key is set up here: set ADMIN_API_KEY, or start with 'make up'."
            ) from error


def _is_ours(key: str) -> bool:
    """Whether it has the form of a credential that was issued here, to a user."""
    return is_token(key) or key.startswith(f"{API_KEY}_")
