"""Delivers notifications, one channel each, and notes what became of them.

A notification that was sent is not sent again when its event comes again. Who is killed between sending and
noting sends twice, with the same id: at least once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from shared.alerts.changes import COLLECTION as ALERTS
from shared.alerts.channels.channel import Channel
from shared.alerts.record import AlertRecord, Kind, Notification, State, record_of
from shared.errors import ChannelUnavailable, ConfigurationError, EngineError, InvalidInput
from shared.platform.cas import update
from shared.platform.ports import Data, Documents, Event, Now
from shared.platform.times import utc

COLLECTION: Final = "notifications"
KEPT_FOR: Final = timedelta(days=90)

SEND_SECONDS: Final = 10.0
"""For one notification, with whatever a channel tries again."""

SIDE_BY_SIDE: Final = 4
"""So many at a time for one channel: a burst of alerts isn't a burst of connections."""

REST_SECONDS: Final = 0.5
"""So long a channel that has just failed is left alone. Events that come several at once come again one by
one as soon as one has failed: each of a dead channel would keep the others' waiting for as long as it takes.
It is shorter than any bus waits before it tries again."""

_SENT, _FAILING, _SKIPPED = "sent", "failing", "skipped"


class Notifier:
    """Sends notifications. Safe for many at once, of one process and of many."""

    def __init__(
        self,
        documents: Documents,
        channels: Mapping[str, Channel],
        now: Now,
        *,
        mark: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        """`mark` goes before each title, so that nobody takes a replay's alert for a real one."""
        self._documents = documents
        self._channels = channels
        self._now = now
        self._mark = mark
        self._monotonic = monotonic
        self._send_seconds = send_seconds
        self._failed: dict[str, tuple[float, EngineError]] = {}

    async def deliver(self, events: Sequence[Event]) -> None:
        """Deliver what `events` of `notifications.requested` ask for, side by side. Each is tried, whatever
        becomes of the others; on return all were sent.

        Raises:
            EngineError: that of the first that couldn't be sent.
        """
        lanes = {name: asyncio.Semaphore(SIDE_BY_SIDE) for name in self._channels}
        tried = (self._deliver(event, lanes) for event in events)
        results = await asyncio.gather(*tried, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def check(self, channels: Sequence[str]) -> None:
        """
        Raises:
            ConfigurationError: one of these isn't set up.
        """
        for name in channels:
            try:
                self._channels[name].check()
            except EngineError as error:
                raise ConfigurationError(f"The channel {name}: {error.detail}") from error

    async def _deliver(self, event: Event, lanes: Mapping[str, asyncio.Semaphore]) -> None:
        notification = _notification(event)
        channel = self._channels.get(notification.channel)
        if channel is None:
            raise ConfigurationError(f"There is no channel {notification.channel!r}.")
        if await asyncio.to_thread(self._is_settled, notification):
            return
        async with lanes[notification.channel]:
            try:
                await self._send(channel, notification)
            except EngineError as error:
                await asyncio.to_thread(self._note, notification, _FAILING, error.detail)
                raise
        await asyncio.to_thread(self._note, notification, _SENT, None)

    async def _send(self, channel: Channel, notification: Notification) -> None:
        name = notification.channel
        self._leave_alone(name)
        try:
            await self._bounded(channel, notification)
            if channel.holds_incidents and notification.kind is not Kind.RESOLVED:
                await self._close_if_over(channel, notification)
        except ChannelUnavailable as error:
            self._failed[name] = (self._monotonic(), error)
            raise
        self._failed.pop(name, None)

    def _leave_alone(self, channel: str) -> None:
        failed_at, error = self._failed.get(channel, (float("-inf"), None))
        if error is not None and self._monotonic() - failed_at < REST_SECONDS:
            raise ChannelUnavailable(error.detail)

    async def _close_if_over(self, channel: Channel, notification: Notification) -> None:
        """That it is over may have been told while this was on its way, and would be forgotten."""
        alert = await asyncio.to_thread(self._alert, notification)
        if alert.state is State.RESOLVED:
            await self._bounded(channel, replace(notification, kind=Kind.RESOLVED, alert=alert))

    async def _bounded(self, channel: Channel, notification: Notification) -> None:
        seconds = self._send_seconds
        try:
            async with asyncio.timeout(seconds):
                await channel.send(self._marked(notification))
        except TimeoutError as error:
            raise ChannelUnavailable(f"{notification.channel} took longer than {seconds:g} s.") from error

    def _marked(self, notification: Notification) -> Notification:
        alert = notification.alert
        return replace(notification, alert=replace(alert, title=f"{self._mark}{alert.title}"))

    def _is_settled(self, notification: Notification) -> bool:
        """Whether it was sent, or there is nothing to send: that it is over is told by its own notification,
        and nobody is reminded of what is looked after.
        """
        known = self._documents.get(COLLECTION, notification.id)
        if known is not None and known.data["state"] in (_SENT, _SKIPPED):
            return True
        if notification.kind is Kind.RESOLVED:
            return False
        state = self._alert(notification).state
        is_late = notification.kind is Kind.REMINDER and state is State.ACKNOWLEDGED
        if state is State.RESOLVED or is_late:
            self._note(notification, _SKIPPED, None)
            return True
        return False

    def _alert(self, notification: Notification) -> AlertRecord:
        found = self._documents.get(ALERTS, notification.alert.id)
        return notification.alert if found is None else record_of(found.data)

    def _note(self, notification: Notification, state: str, error: str | None) -> None:
        now = self._now()

        def noted(before: Data | None) -> dict[str, Any] | None:
            if before is not None and before["state"] == _SENT:
                return None
            return {
                "alert_id": notification.alert.id,
                "channel": notification.channel,
                "kind": str(notification.kind),
                "state": state,
                "at": utc(now),
                "attempts": 1 + (0 if before is None else before["attempts"]),
                "error": error,
                "expires_at": utc(now + KEPT_FOR),
            }

        update(self._documents, COLLECTION, notification.id, noted)


def _notification(event: Event) -> Notification:
    """
    Raises:
        InvalidInput: it is none.
    """
    try:
        data = event.data
        kind, alert = Kind(data["kind"]), record_of(data["alert"])
        return Notification(event.id, str(data["channel"]), kind, str(data["wanted_at"]), alert)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"An event of notifications.requested lacks or has a wrong {error}.") from error
