"""Which alerts go to which channels: the setting ALERT_ROUTES."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.alerts.raising import Severity
from shared.alerts.record import SEVERITIES
from shared.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Route:
    """Alerts of `type` (None: of any) whose severity is among `severities` go to `channels`."""

    type: str | None
    severities: frozenset[Severity]
    channels: tuple[str, ...]

    def fits(self, type: str, severity: Severity) -> bool:
        return self.type in (None, type) and severity in self.severities


@dataclass(frozen=True, slots=True)
class Routes:
    """The first route that fits decides. What none fits is told to nobody, and kept all the same."""

    routes: tuple[Route, ...]

    @property
    def all_channels(self) -> tuple[str, ...]:
        """Each channel that some alert goes to."""
        return tuple(dict.fromkeys(name for route in self.routes for name in route.channels))

    def channels(self, type: str, severity: Severity) -> tuple[str, ...]:
        return next((route.channels for route in self.routes if route.fits(type, severity)), ())


def parse_routes(text: str, *, types: Collection[str], channels: Collection[str]) -> Routes:
    """Routes as they are written: `<which>=<channels>`, separated by `;`.

    `<which>` is `*`, a severity (`critical`), a severity and those above it (`error+`), a type (`drift`), or
    a type with either (`drift:error+`). `<channels>` are separated by commas; none: nobody is told.

    Raises:
        ConfigurationError: says which part is wrong, and what may stand there.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return Routes(tuple(_route(part, types, channels) for part in parts))


def _route(text: str, types: Collection[str], channels: Collection[str]) -> Route:
    which, equals, targets = (part.strip() for part in text.partition("="))
    if not equals:
        raise _wrong(f"{text!r} has no '=': write for example 'critical=slack'")
    named = tuple(dict.fromkeys(name.strip() for name in targets.split(",") if name.strip()))
    for name in named:
        if name not in channels:
            raise _wrong(f"there is no channel {name!r}: there are {', '.join(sorted(channels))}")
    if which == "*":
        return Route(None, frozenset(SEVERITIES), named)
    alert_type, colon, severity = which.partition(":")
    if not colon and which.removesuffix("+") in SEVERITIES:
        return Route(None, _severities(which), named)
    if alert_type not in types:
        raise _wrong(
            f"{alert_type!r} is neither '*', a severity nor a type: types are {', '.join(sorted(types))}"
        )
    return Route(alert_type, _severities(severity) if colon else frozenset(SEVERITIES), named)


def _severities(text: str) -> frozenset[Severity]:
    name = text.removesuffix("+")
    if name not in SEVERITIES:
        raise _wrong(f"{name!r} is no severity: there are {', '.join(SEVERITIES)}")
    first = SEVERITIES.index(Severity(name))
    return frozenset(SEVERITIES[first:] if text.endswith("+") else SEVERITIES[first : first + 1])


def _wrong(why: str) -> ConfigurationError:
    return ConfigurationError(f"ALERT_ROUTES: {why}.")
