"""Access tokens: JWTs (RFC 7519) signed with HS256, good for half an hour."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.errors import ConfigurationError, NotFound, Unauthenticated
from shared.platform.ports import Now, Secrets

SIGNING_KEYS_SECRET: Final = "token-signing-keys"  # noqa: S105 - the secret's name, not its value
ACCESS_TTL: Final = timedelta(minutes=30)
ISSUER: Final = "mlengine"
ALGORITHM: Final = "HS256"

_MAX_CHARACTERS: Final = 4_000
_SKEW_SECONDS: Final = 5
_MIN_KEY_BYTES: Final = 32
_MAX_KEYS: Final = 2
_KEY = re.compile(r"([a-z0-9-]{1,32}):([A-Za-z0-9_-]+={0,2})\Z")
_REFUSED: Final = "The access token isn't valid: its form, its signature or its time. Refresh it, or log in."


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: whose it is, of which session, and how long it is good."""

    user_id: str
    session_id: str
    seconds_left: float


def new_signing_key(name: str) -> str:
    """A fresh key as the secret holds it: `<name>:<32 random bytes in base64url>`."""
    return f"{name}:{secrets.token_urlsafe(_MIN_KEY_BYTES)}"


class AccessTokens:
    """Signs and verifies. The secret holds one or two keys, `name:base64url`, separated by commas: the first
    signs, both verify. To rotate, put a new one first; half an hour later the old one may go.
    """

    def __init__(self, secrets: Secrets, audience: str, now: Now) -> None:
        """`audience` says which deployment a token is for: others refuse it."""
        self._secrets = secrets
        self._audience = audience
        self._now = now

    def sign(self, user_id: str, session_id: str) -> str:
        import jwt

        name, key = self._keys()[0]
        at = self._now()
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": user_id,
            "sid": session_id,
            "iat": int(at.timestamp()),
            "exp": int((at + ACCESS_TTL).timestamp()),
        }
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": name})

    def verify(self, token: str) -> Claims:
        """
        Raises:
            Unauthenticated: whatever is wrong with it.
        """
        import jwt

        if len(token) > _MAX_CHARACTERS:
            raise Unauthenticated(_REFUSED)
        try:
            name = jwt.get_unverified_header(token).get("kid")
            key = next((key for known, key in self._keys() if known == name), None)
            if key is None:
                raise Unauthenticated(_REFUSED)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "sub", "sid"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(_REFUSED) from error
        seconds_left = self._seconds_left(claims)
        if not isinstance(claims["sub"], str) or not isinstance(claims["sid"], str):
            raise Unauthenticated(_REFUSED)
        return Claims(claims["sub"], claims["sid"], seconds_left)

    def _seconds_left(self, claims: dict[str, Any]) -> float:
        """By the platform's clock, which the library doesn't know.

        Raises:
            Unauthenticated: none, or it isn't good yet.
        """
        now = self._now().timestamp()
        issued, expires = claims["iat"], claims["exp"]
        numbers = all(isinstance(one, int) and not isinstance(one, bool) for one in (issued, expires))
        if not numbers or issued - _SKEW_SECONDS > now or now >= expires:
            raise Unauthenticated("The access token has expired: POST /auth/refresh gives a new one.")
        return float(expires - now)

    def _keys(self) -> Sequence[tuple[str, bytes]]:
        """
        Raises:
            ConfigurationError: there are none, or they aren't good.
        """
        try:
            return read_signing_keys(self._secrets.get(SIGNING_KEYS_SECRET))
        except NotFound as error:
            raise ConfigurationError(
                f"There is no secret {SIGNING_KEYS_SECRET}, so nobody can log in: 'make up' makes one, or "
                "put one or two keys into Secret Manager."
            ) from error


def read_signing_keys(text: str) -> Sequence[tuple[str, bytes]]:
    """
    Raises:
        ConfigurationError: never with the value.
    """
    expected = (
        f"The secret {SIGNING_KEYS_SECRET} must hold one or two keys, '<name>:<base64url of at least "
        f"{_MIN_KEY_BYTES} bytes>', separated by commas"
    )
    matches = [_KEY.match(part.strip()) for part in text.split(",")]
    if not 1 <= len(matches) <= _MAX_KEYS or any(match is None for match in matches):
        raise ConfigurationError(f"{expected}.")
    try:
        keys = [(m[1], base64.urlsafe_b64decode(m[2] + "=" * (-len(m[2]) % 4))) for m in matches if m]
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"{expected}: one isn't base64url.") from error
    if any(len(key) < _MIN_KEY_BYTES for _, key in keys):
        raise ConfigurationError(f"{expected}: one is shorter.")
    if len({name for name, _ in keys}) != len(keys):
        raise ConfigurationError(f"{expected}: both have the same name.")
    return keys
