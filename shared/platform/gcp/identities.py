"""Who calls as a service: ID tokens that Google signed for a service account.

Verified offline, against certificates that are fetched once and kept as long as their answer allows. Where
Cloud Run asks callers for a role (no `allUsers`), it has verified the token itself, and hands it on without
its signature: then only its claims are checked here, and `INVOKERS_CHECKED` must say that this is so.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.errors import PlatformUnavailable, Unauthenticated

CERTIFICATES_URL: Final = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS: Final = frozenset({"https://accounts.google.com", "accounts.google.com"})
SKEW_SECONDS: Final = 30
"""How far the clocks of Google and of this instance may be apart."""

_MAX_TOKEN_CHARACTERS: Final = 8_000
_LEAST_SECONDS_BETWEEN_FETCHES: Final = 60.0
_USUAL_SECONDS: Final = 3_600.0
_TIMEOUT_SECONDS: Final = 5.0
_MAX_AGE = re.compile(r"max-age=(\d{1,7})")


class GoogleIdentities:
    """The Identities port on Google's ID tokens."""

    def __init__(
        self,
        *,
        invokers_checked: bool,
        certificates_url: str = CERTIFICATES_URL,
        monotonic: Callable[[], float] = time.monotonic,
        time_now: Callable[[], float] = time.time,
    ) -> None:
        """With `invokers_checked`, Cloud Run has verified every token before this instance sees it."""
        self._invokers_checked = invokers_checked
        self._url = certificates_url
        self._monotonic = monotonic
        self._time_now = time_now
        self._lock = threading.Lock()
        self._certificates: Mapping[str, str] = {}
        self._fetched_at = float("-inf")
        self._ends = float("-inf")

    def verify(self, token: str, audience: str) -> str:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise Unauthenticated("The identity token is longer than any that Google makes.")
        claims = self._claims(token)
        self._check_times(claims)
        if claims.get("iss") not in ISSUERS:
            raise Unauthenticated(f"The identity token's issuer must be {min(ISSUERS)}.")
        if claims.get("aud") != audience:
            raise Unauthenticated(f"The identity token's audience must be {audience}.")
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise Unauthenticated("The identity token must have a verified 'email': ask for full claims.")
        return email

    def _claims(self, token: str) -> Mapping[str, Any]:
        """What the token says, once its signature is good."""
        from google.auth import jwt
        from google.auth.exceptions import GoogleAuthError

        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call]  # partly typed
            if self._invokers_checked:
                claims = jwt.decode(token, verify=False)  # type: ignore[no-untyped-call]
            else:
                if header.get("alg") != "RS256":
                    raise Unauthenticated("The identity token must be signed with RS256.")
                certificates = self._certificates_for(str(header.get("kid")))
                claims = jwt.decode(token, certs=dict(certificates), clock_skew_in_seconds=SKEW_SECONDS)  # type: ignore[no-untyped-call]
        except (GoogleAuthError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unauthenticated("The identity token isn't valid: its form, signature or time.") from error
        if not isinstance(claims, Mapping):
            raise Unauthenticated("The identity token's claims must be a JSON object.")
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._time_now()
        issued, expires = claims.get("iat"), claims.get("exp")
        is_good = (
            isinstance(issued, int | float)
            and isinstance(expires, int | float)
            and issued - SKEW_SECONDS <= now <= expires + SKEW_SECONDS
        )
        if not is_good:
            raise Unauthenticated("The identity token has expired, or isn't valid yet.")

    def _certificates_for(self, key_id: str) -> Mapping[str, str]:
        """The certificates by key id; fetched anew where they have aged, or don't have the key.

        Raises:
            PlatformUnavailable: they can't be fetched, and none that are kept are good.
        """
        with self._lock:
            now = self._monotonic()
            is_known = key_id in self._certificates and now < self._ends
            if not is_known and now - self._fetched_at >= _LEAST_SECONDS_BETWEEN_FETCHES:
                self._fetch(now)
            if now >= self._ends:
                raise PlatformUnavailable("Google's certificates couldn't be fetched a moment ago.")
            return self._certificates

    def _fetch(self, now: float) -> None:
        import httpx

        self._fetched_at = now  # a failure counts too: not every unknown key asks again
        try:
            answer = httpx.get(self._url, timeout=_TIMEOUT_SECONDS)
            answer.raise_for_status()
            found = {str(key): str(value) for key, value in answer.json().items()}
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            if now < self._ends:  # those that are kept still serve
                return
            raise PlatformUnavailable(
                f"Google's certificates can't be fetched: {type(error).__name__}."
            ) from error
        age = _MAX_AGE.search(answer.headers.get("cache-control", ""))
        self._certificates = found
        self._ends = now + (float(age[1]) if age else _USUAL_SECONDS)
