"""One POST to a channel: bounded in time and size, retried with jitter, redirects not followed.

httpcore and not httpx: it makes the connection where it is told to, and neither its log nor its errors hold
URLs, which are secrets here. httpx and stamina are imported on the first call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.alerts.hearing import one_line
from shared.alerts.targets import Target, addresses_of, target_of
from shared.errors import ChannelRejected, ChannelUnavailable

MAX_ANSWER_BYTES: Final = 4_000
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 2.0
_COME_BACK_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Limits:
    """`attempt_seconds` is for one attempt, `budget_seconds` for the call with all its attempts and waits."""

    attempts: int = 3
    attempt_seconds: float = 4.0
    budget_seconds: float = 9.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    retry_after_seconds: float | None
    text: str


_LIMITS: Final = Limits()


class Poster:
    """Posts JSON to the URL that stands in a setting. `explains`: what it answers may be shown, once secrets
    are out of it; otherwise a server that repeats what it was asked would tell them.
    """

    def __init__(
        self, setting: str, *, is_insecure: bool, explains: bool = False, limits: Limits = _LIMITS
    ) -> None:
        self._setting = setting
        self._is_insecure = is_insecure
        self._explains = explains
        self._limits = limits

    def check(self, url: str) -> None:
        """
        Raises:
            ChannelRejected: it isn't a URL that may be called.
        """
        target_of(url, self._setting, is_insecure=self._is_insecure)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, secret: str = "") -> None:
        """Returns once it was taken. `secret` stands in the body, and is never shown.

        Raises:
            ChannelRejected: it may not be called, or has refused.
            ChannelUnavailable: no answer, or one that asks to come back later.
        """
        import stamina

        target = target_of(url, self._setting, is_insecure=self._is_insecure)
        deadline = time.monotonic() + self._limits.budget_seconds

        async def attempt() -> None:  # takes nothing: stamina logs what it is called with
            answer = await self._attempt(target, body, headers)
            self._check(answer, target, secret)

        def may_retry(error: Exception) -> bool | float:
            if not isinstance(error, ChannelUnavailable):
                return False
            wait = error.retry_after_seconds
            return True if wait is None else wait if time.monotonic() + wait < deadline else False

        caller = stamina.AsyncRetryingCaller(
            attempts=self._limits.attempts,
            timeout=self._limits.budget_seconds,
            wait_initial=_FIRST_WAIT_SECONDS,
            wait_jitter=_FIRST_WAIT_SECONDS,
            wait_max=_LONGEST_WAIT_SECONDS,
        )
        await caller(may_retry, attempt)

    async def _attempt(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        from shared.alerts.wire import WIRE_ERRORS, send

        seconds = self._limits.attempt_seconds
        try:
            async with asyncio.timeout(seconds):
                addresses = await addresses_of(target, self._setting, is_insecure=self._is_insecure)
                return await send(target, addresses, body, headers)
        except TimeoutError as error:
            raise ChannelUnavailable(
                f"What {self._setting} names gave no answer in {seconds:g} s."
            ) from error
        except WIRE_ERRORS as error:
            why = one_line(str(error), 120) or type(error).__name__
            raise ChannelUnavailable(f"What {self._setting} names can't be reached: {why}.") from error

    def _check(self, answer: Answer, target: Target, secret: str) -> None:
        if 200 <= answer.status < 300:
            return
        shown = answer.text
        for hidden in (secret, target.path, target.host):
            shown = shown.replace(hidden, "...") if len(hidden) > 1 else shown
        said = f": {one_line(shown, 160)}" if self._explains and shown.strip() else ""
        if 300 <= answer.status < 400:
            said = ", a redirect: it isn't followed"
        detail = f"What {self._setting} names answered {answer.status}{said}."
        if answer.status >= 500 or answer.status in _COME_BACK_LATER:
            raise ChannelUnavailable(detail, retry_after_seconds=answer.retry_after_seconds)
        raise ChannelRejected(detail)
