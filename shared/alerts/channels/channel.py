"""What a channel is: one way to tell people, or what they use."""

from __future__ import annotations

from typing import ClassVar, Protocol

from pydantic import SecretStr

from shared.alerts.record import Notification
from shared.config import Settings
from shared.errors import ConfigurationError, NotFound
from shared.platform.names import secret_variable
from shared.platform.ports import Secrets


class Channel(Protocol):
    """Tells. It is made from the settings alone; nothing is opened or read before it is used."""

    holds_incidents: ClassVar[bool]
    """Whether the other end keeps something open until it is told that it is over. It is also told when
    somebody looks after an alert."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None: ...

    def check(self) -> None:
        """
        Raises:
            ConfigurationError: it isn't set up; names the setting.
        """
        ...

    async def send(self, notification: Notification) -> None:
        """Tell it, with the notification's id so that the other end can drop what it has had. On return it
        was taken.

        Raises:
            ConfigurationError: it isn't set up.
            ChannelRejected: it was refused, and would be again.
            ChannelUnavailable: it wasn't taken; a retry may help.
        """
        ...


class ChannelSecret:
    """A secret of a channel: from the settings, else from the platform's secrets. Read when it is used."""

    def __init__(self, name: str, given: SecretStr | None, secrets: Secrets) -> None:
        self._name = name
        self._given = given
        self._secrets = secrets

    def value(self) -> str:
        """
        Raises:
            ConfigurationError: there is none.
        """
        if self._given is not None:
            return self._given.get_secret_value()
        try:
            return self._secrets.get(self._name)
        except NotFound as error:
            raise missing(secret_variable(self._name)) from error


def missing(setting: str) -> ConfigurationError:
    return ConfigurationError(
        f"This channel needs {setting}: set it, or take the channel out of ALERT_ROUTES."
    )
