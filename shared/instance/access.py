"""Who may do what: users, keys, sessions, limits, and the record of changes."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from shared.instance.parts import Parts

if TYPE_CHECKING:
    from shared.access.accounts import Accounts
    from shared.access.admin_audit import AdminAudit
    from shared.access.api_keys import ApiKeys
    from shared.access.authenticator import Authenticator
    from shared.access.idempotency import IdempotencyKeys
    from shared.access.invitations import Invitations
    from shared.access.limits import Limits
    from shared.access.sessions import Sessions
    from shared.access.tokens import AccessTokens
    from shared.access.users import Users


class AccessParts(Parts):
    @cached_property
    def authenticator(self) -> Authenticator:
        from shared.access.authenticator import Authenticator

        parts = (self.api_keys, self.users, self.sessions, self.access_tokens)
        cache_seconds = self.settings.access_cache_seconds
        return Authenticator(
            *parts, cache_seconds=cache_seconds, now=self.platform.wall, monotonic=time.monotonic
        )

    @cached_property
    def api_keys(self) -> ApiKeys:
        from shared.access.api_keys import ApiKeys

        return ApiKeys(self.platform.documents, self.platform.wall)

    @cached_property
    def users(self) -> Users:
        from shared.access.users import Users

        return Users(self.platform.documents, self.platform.wall, self.platform.new_id)

    @cached_property
    def sessions(self) -> Sessions:
        from shared.access.sessions import Sessions

        return Sessions(self.platform.documents, self.platform.wall)

    @cached_property
    def access_tokens(self) -> AccessTokens:
        from shared.access.tokens import AccessTokens

        audience = f"mlengine:{self.settings.google_cloud_project or 'local'}"
        return AccessTokens(self.platform.secrets, audience, self.platform.wall)

    @cached_property
    def limits(self) -> Limits:
        from shared.access.limits import Limits

        settings, url = self.settings, self.settings.redis_url
        return Limits(
            requests=settings.rate_limit_requests,
            window_seconds=settings.rate_limit_window_seconds,
            redis_url=None if url is None else url.get_secret_value(),
        )

    @cached_property
    def idempotency_keys(self) -> IdempotencyKeys:
        from shared.access.idempotency import IdempotencyKeys

        return IdempotencyKeys(self.platform.documents, self.platform.wall)

    @cached_property
    def admin_audit(self) -> AdminAudit:
        from shared.access.admin_audit import AdminAudit

        return AdminAudit(self.platform.documents, self.platform.wall, self.platform.new_id)

    @cached_property
    def invitations(self) -> Invitations:
        from shared.access.invitations import Invitations

        return Invitations(self.platform.documents, self.platform.wall)

    @cached_property
    def accounts(self) -> Accounts:
        from shared.access.accounts import Accounts
        from shared.access.backoff import LoginBackoff
        from shared.access.passwords import Passwords

        p = self.platform
        return Accounts(
            self.users,
            self.sessions,
            self.invitations,
            self.access_tokens,
            Passwords(),
            LoginBackoff(p.documents, p.wall),
            p.secrets,
            self.settings.registration,
            p.wall,
        )
